//! `zoetrope cache`: what is kept of films that were asked about, and of those that were indexed into the cache.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use zoetrope_engine::{EntryKind, Store, StoreOptions};
use zoetrope_models::contract::feature_file::StoredFeatures;
use zoetrope_system::files;

use super::stored::{features_folder, store_folder};
use crate::cli::{CacheArgs, CacheCommand, Common};
use crate::failure::Failure;
use crate::output::{self, size};

/// What is kept of a film for one model.
#[derive(Default, Serialize)]
struct KeptFilm {
    /// Its name; empty where that is not known.
    film: String,
    model: String,
    features_bytes: u64,
    keys_values_bytes: u64,
    /// Bytes of what `zoetrope index` has written to the cache.
    index_bytes: u64,
    other_bytes: u64,
    files: usize,
    /// Seconds since 1970.
    last_used: u64,
}

impl KeptFilm {
    fn bytes(&self) -> u64 {
        self.features_bytes + self.keys_values_bytes + self.index_bytes + self.other_bytes
    }
}

/// All that is kept.
#[derive(Serialize)]
struct Listing<'a> {
    folder: String,
    films: Vec<&'a KeptFilm>,
    total_bytes: u64,
    /// Bytes that may be kept; files of `zoetrope index` do not count.
    most_bytes: u64,
}

/// What was removed.
#[derive(Serialize)]
struct Removed {
    files: usize,
    bytes: u64,
}

/// A file in the cache, and whose it is.
struct CacheFile {
    path: PathBuf,
    /// `None` for a file of `zoetrope index`.
    kind: Option<EntryKind>,
    film: String,
    model: String,
    bytes: u64,
    used: SystemTime,
}

/// Obeys.
pub(crate) fn run(args: &CacheArgs, common: &Common) -> Result<(), Failure> {
    let Some(folder) = store_folder() else {
        return Err(Failure::usage("there is no folder for caches", "set XDG_CACHE_HOME or HOME"));
    };
    if let CacheCommand::Path = args.command {
        return match common.json {
            true => output::json(&serde_json::json!({ "folder": folder.display().to_string() })),
            false => Ok(output::text(&format!("{}\n", folder.display()))?),
        };
    }
    let store = Store::open(StoreOptions::new(folder.clone())).map_err(|error| Failure::file(&folder, &error))?;
    match &args.command {
        CacheCommand::Ls | CacheCommand::Path => list(&store, common),
        CacheCommand::Rm { names, all } => remove(&store, names, *all, common),
        CacheCommand::Prune { to, check } => prune(&store, *to, *check, common),
    }
}

fn list(store: &Arc<Store>, common: &Common) -> Result<(), Failure> {
    let films = films(all_files(store));
    let total_bytes = films.iter().map(KeptFilm::bytes).sum();
    let (folder, most_bytes) = (store.folder().display().to_string(), store.most_bytes());
    if common.json {
        return output::json(&Listing { folder, films: films.iter().collect(), total_bytes, most_bytes });
    }
    let mut text = String::new();
    for film in &films {
        let name = if film.film.is_empty() { "(unknown)" } else { &film.film };
        let parts = [
            ("features", film.features_bytes),
            ("keys and values", film.keys_values_bytes),
            ("index", film.index_bytes),
            ("other", film.other_bytes),
        ];
        let parts = parts.into_iter().filter(|part| part.1 > 0).map(|(what, bytes)| format!("{what} {}", size(bytes)));
        let used = UNIX_EPOCH + Duration::from_secs(film.last_used);
        let (parts, model) = (parts.collect::<Vec<_>>().join(", "), &film.model);
        text += &format!("{name}  {}  {model}  {}  ({parts})\n", size(film.bytes()), ago(used));
    }
    text += &format!("{} of at most {} in {folder}\n", size(total_bytes), size(most_bytes));
    Ok(output::text(&text)?)
}

fn remove(store: &Arc<Store>, names: &[String], all: bool, common: &Common) -> Result<(), Failure> {
    let files = all_files(store);
    for name in names {
        if !files.iter().any(|file| is_named(file, name)) {
            let hint = "`zoetrope cache ls` lists films and models".to_string();
            return Err(Failure::Error(format!("nothing is kept of {name:?}"), Some(hint)));
        }
    }
    // What `zoetrope index` has written took long, and was asked for.
    let goes = |file: &CacheFile| all && file.kind.is_some() || names.iter().any(|name| is_named(file, name));
    tell(&remove_files(files.iter().filter(|file| goes(file)).map(|file| (&file.path, file.bytes)))?, common)
}

fn is_named(file: &CacheFile, name: &str) -> bool {
    file.model == name || file.film.split(", ").any(|film| film == name)
}

fn prune(store: &Arc<Store>, to: Option<u64>, check: bool, common: &Common) -> Result<(), Failure> {
    let damaged = if check { store.damaged() } else { Vec::new() };
    let removed = remove_files(damaged.iter().map(|file| (&file.path, file.bytes)))?;
    let (files, bytes) = store.shrink(to.unwrap_or(store.most_bytes()));
    tell(&Removed { files: removed.files + files, bytes: removed.bytes + bytes }, common)
}

fn remove_files<'a>(all: impl Iterator<Item = (&'a PathBuf, u64)>) -> Result<Removed, Failure> {
    let mut removed = Removed { files: 0, bytes: 0 };
    for (path, bytes) in all {
        files::remove(path).map_err(|error| Failure::file(path, &error))?;
        removed = Removed { files: removed.files + 1, bytes: removed.bytes + bytes };
    }
    Ok(removed)
}

fn tell(removed: &Removed, common: &Common) -> Result<(), Failure> {
    match common.json {
        true => output::json(removed),
        false => Ok(output::text(&format!("{} files, {}\n", removed.files, size(removed.bytes)))?),
    }
}

/// The files of the store and those of `zoetrope index`.
fn all_files(store: &Store) -> Vec<CacheFile> {
    let kept = store.files().into_iter().map(|file| {
        let (model, film) = file.names().unwrap_or_default();
        CacheFile { kind: Some(file.kind), film, model, bytes: file.bytes, used: file.used, path: file.path }
    });
    let indexed = features_folder().map(|folder| indexed(&folder).unwrap_or_default());
    kept.chain(indexed.into_iter().flatten()).collect()
}

fn indexed(folder: &Path) -> io::Result<Vec<CacheFile>> {
    let mut all = Vec::new();
    for folder in folder.read_dir()?.flatten() {
        for file in folder.path().read_dir().into_iter().flatten().flatten() {
            let (path, found) = (file.path(), file.metadata()?);
            let Ok(stored) = StoredFeatures::open(&path) else { continue };
            let film = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let (model, used) = (stored.key().model.family.clone(), found.modified().unwrap_or(UNIX_EPOCH));
            all.push(CacheFile { path, kind: None, film, model, bytes: found.len(), used });
        }
    }
    Ok(all)
}

/// What is kept of each film, the last used first.
fn films(files: Vec<CacheFile>) -> Vec<KeptFilm> {
    let mut films: BTreeMap<(String, String), KeptFilm> = BTreeMap::new();
    for CacheFile { kind, film, model, bytes, used, .. } in files {
        let own = films.entry((film.clone(), model.clone())).or_insert_with(|| KeptFilm {
            film,
            model,
            ..Default::default()
        });
        match kind {
            Some(EntryKind::Features) => own.features_bytes += bytes,
            Some(EntryKind::KeysValues) => own.keys_values_bytes += bytes,
            Some(EntryKind::Digest) => own.other_bytes += bytes,
            None => own.index_bytes += bytes,
        }
        own.files += 1;
        own.last_used = own.last_used.max(used.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()));
    }
    let mut films: Vec<KeptFilm> = films.into_values().collect();
    films.sort_by_key(|film| std::cmp::Reverse(film.last_used));
    films
}

/// "5 min ago".
fn ago(used: SystemTime) -> String {
    let seconds = used.elapsed().map_or(0, |time| time.as_secs());
    match seconds {
        0..60 => "just now".to_string(),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_use_in_words() {
        let words = [5, 130, 7200, 300_000].map(|seconds| ago(SystemTime::now() - Duration::from_secs(seconds)));
        assert_eq!(words, ["just now", "2 min ago", "2 h ago", "3 days ago"]);
    }
}
