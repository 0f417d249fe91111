//! Which checkpoint: a folder, a name on the hub, or the embedded default.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{MAIN_SEPARATOR as SEPARATOR, Path, PathBuf};
use std::sync::Arc;

use zoetrope_hub::{DownloadProgress, Extent, HubError, HubOptions, Preview, Retry, Watch};
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::loading;
use zoetrope_models::weights::{Archive, LoadOptions, RandomFor};

use crate::cli::{ModelArgs, ModelSource};
use crate::embedded::{EMBEDDED, EMBEDDED_NAME};
use crate::failure::Failure;
use crate::progress::Bars;

/// A model ready for questions.
pub(crate) struct Loaded {
    /// As the user calls it.
    pub(crate) name: String,
    /// The model.
    pub(crate) model: Arc<dyn VideoLanguageModel>,
    /// Its files.
    pub(crate) checkpoint: Checkpoint,
}

/// Loads the model that the user named, or the embedded one; shows what takes time.
pub(crate) fn load(args: &ModelArgs, bars: &mut Bars) -> Result<Loaded, Failure> {
    // A device that there is not is told before anything is downloaded.
    open(args.source(), args.load_options()?, bars)
}

/// The user's model with random weights: of the checkpoint only configuration and tokenizer are read.
pub(crate) fn load_random(args: &ModelArgs, bars: &mut Bars) -> Result<Loaded, Failure> {
    let name = format!("{} (random weights)", shown(args.model.as_deref()));
    let options = args.load_options()?;
    let checkpoint = outline(args.source(), bars)?;
    bars.spin(format!("making {name}"));
    let model = loading::open_with(&checkpoint, vec![Archive::random(0, RandomFor::Everything)], options)?;
    bars.clear();
    Ok(Loaded { name, model, checkpoint })
}

/// Loads a model by folder or name; the embedded one where there is none.
pub(crate) fn open(source: ModelSource<'_>, options: LoadOptions, bars: &mut Bars) -> Result<Loaded, Failure> {
    let name = shown(source.name);
    let checkpoint = checkpoint(source, bars)?;
    if source.name.is_some() {
        bars.spin(format!("loading {name}"));
    }
    let model = loading::open(&checkpoint, options)?;
    bars.clear();
    Ok(Loaded { name, model, checkpoint })
}

/// What the user's model is called.
pub(crate) fn shown(name: Option<&OsStr>) -> String {
    name.map_or_else(|| EMBEDDED_NAME.to_string(), |name| name.to_string_lossy().into_owned())
}

/// What the user calls a model: a folder whose name is not UTF-8, or what the hub takes.
fn folder_or_name(name: &OsStr) -> Result<Result<PathBuf, &str>, Failure> {
    match name.to_str() {
        Some(name) => Ok(Err(name)),
        None if Path::new(name).is_dir() => Ok(Ok(PathBuf::from(name))),
        None => Err(HubError::Caller(format!("model {name:?}: no such folder, and names are UTF-8")).into()),
    }
}

/// The checkpoint that is named by folder or by hub name (downloaded when the cache does not have it), over its base;
/// the embedded one where there is no name.
pub(crate) fn checkpoint(source: ModelSource<'_>, bars: &mut Bars) -> Result<Checkpoint, Failure> {
    resolve(source, Extent::Whole, bars)
}

/// As [`checkpoint`], without weights that are not there yet: configuration, tokenizer, templates.
pub(crate) fn outline(source: ModelSource<'_>, bars: &mut Bars) -> Result<Checkpoint, Failure> {
    resolve(source, Extent::Outline, bars)
}

fn resolve(source: ModelSource<'_>, extent: Extent, bars: &mut Bars) -> Result<Checkpoint, Failure> {
    let base = source.base.map(|base| resolve_one(Some(base), FolderRole::Base, extent, bars)).transpose()?;
    let own = resolve_one(source.name, FolderRole::of(base.as_ref()), extent, bars)?;
    let whole = lie_over(own, base);
    let Some(adapter) = source.adapter else { return Ok(whole) };
    let adapter = resolve_one(Some(adapter), FolderRole::Stage(&whole), extent, bars)?;
    Ok(adapter.with_base(whole))
}

/// One folder; what must be known of it before its weights are fetched is asked of it over its base.
fn resolve_one(
    name: Option<&OsStr>,
    role: FolderRole<'_>,
    extent: Extent,
    bars: &mut Bars,
) -> Result<Checkpoint, Failure> {
    let Some(name) = name else { return Ok(EMBEDDED) };
    let name = match folder_or_name(name)? {
        Ok(folder) => return Ok(Checkpoint::Folder(folder)),
        Err(name) => name,
    };
    let options = HubOptions::from_env()?;
    let folder = zoetrope_hub::resolve(name, extent, &options, &mut Watcher { bars, role })?;
    bars.clear();
    Ok(Checkpoint::Folder(folder))
}

fn lie_over(own: Checkpoint, base: Option<Checkpoint>) -> Checkpoint {
    match base {
        Some(base) => own.with_base(base),
        None => own,
    }
}

/// A checkpoint to look at: weights that are not there yet are stood for by their headers.
pub(crate) struct Previewed {
    /// The checkpoint.
    pub(crate) checkpoint: Checkpoint,
    previews: Vec<Preview>,
}

impl Previewed {
    /// The model, of which nothing may be computed. Errors name the checkpoint's files as the hub has them, not the
    /// temporary folder that stands for it.
    pub(crate) fn open(&self, options: LoadOptions) -> Result<Arc<dyn VideoLanguageModel>, Failure> {
        loading::open_listed(&self.checkpoint, options).map_err(|error| {
            let temporary = self.previews.iter().filter_map(Preview::temporary);
            let failure = Failure::from(error);
            temporary.fold(failure, |failure, folder| failure.without(&format!("{}{SEPARATOR}", folder.display())))
        })
    }
}

/// The checkpoint that is named by folder or by hub name, over its base, without fetching weights; the embedded one
/// where there is no name.
pub(crate) fn preview(source: ModelSource<'_>, bars: &mut Bars) -> Result<Previewed, Failure> {
    let mut previews = Vec::new();
    let base = source.base.map(|base| preview_one(Some(base), FolderRole::Base, &mut previews, bars)).transpose()?;
    let own = preview_one(source.name, FolderRole::of(base.as_ref()), &mut previews, bars)?;
    let mut checkpoint = lie_over(own, base);
    if let Some(adapter) = source.adapter {
        let adapter = preview_one(Some(adapter), FolderRole::Stage(&checkpoint), &mut previews, bars)?;
        checkpoint = adapter.with_base(checkpoint);
    }
    Ok(Previewed { checkpoint, previews })
}

fn preview_one(
    name: Option<&OsStr>,
    role: FolderRole<'_>,
    previews: &mut Vec<Preview>,
    bars: &mut Bars,
) -> Result<Checkpoint, Failure> {
    let Some(name) = name else { return Ok(EMBEDDED) };
    let name = match folder_or_name(name)? {
        Ok(folder) => return Ok(Checkpoint::Folder(folder)),
        Err(name) => name,
    };
    let preview = zoetrope_hub::preview(name, &HubOptions::from_env()?, &mut Watcher { bars, role })?;
    bars.clear();
    let checkpoint = Checkpoint::Folder(preview.folder().to_path_buf());
    previews.push(preview);
    Ok(checkpoint)
}

/// Downloads a model into the cache, or its newest revision.
pub(crate) fn download(name: &str, bars: &mut Bars) -> Result<PathBuf, Failure> {
    bars.spin(format!("asking for {name}"));
    let folder = zoetrope_hub::pull(name, &HubOptions::from_env()?, &mut Watcher { bars, role: FolderRole::Whole })?;
    bars.clear();
    Ok(folder)
}

/// Shows a download, and refuses models that cannot run here before their weights are fetched.
struct Watcher<'b> {
    bars: &'b mut Bars,
    role: FolderRole<'b>,
}

/// What a folder is of a model.
#[derive(Clone, Copy)]
enum FolderRole<'b> {
    /// All of it.
    Whole,
    /// What lies over this base.
    Stage(&'b Checkpoint),
    /// What a stage lies over: perhaps a language model alone.
    Base,
}

impl<'b> FolderRole<'b> {
    /// The part of what lies over `base`.
    fn of(base: Option<&'b Checkpoint>) -> Self {
        base.map_or(FolderRole::Whole, FolderRole::Stage)
    }
}

impl Watch for Watcher<'_> {
    fn progress(&mut self, progress: DownloadProgress) {
        self.bars.bytes(&progress.file, progress.done, progress.total);
    }

    fn retry(&mut self, retry: Retry<'_>) {
        let Retry { url, why, pause, attempt, most } = retry;
        let seconds = pause.as_secs_f32();
        self.bars.say(&format!("{url}: {why}; attempt {attempt} of {most} in {seconds:.1} s"));
    }

    fn admit(&mut self, folder: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
        let own = Checkpoint::from(folder);
        match self.role {
            FolderRole::Whole => loading::family(&own).map(|_| ())?,
            FolderRole::Stage(base) => loading::family(&own.with_base(base.clone())).map(|_| ())?,
            FolderRole::Base => {}
        }
        Ok(())
    }
}
