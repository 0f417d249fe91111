//! Subtitle files: their format by what they hold, and those that lie beside a film.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::cues::Subtitles;
use super::{ass, encoding, srt, vtt};
use crate::error::{MediaError, malformed};
use crate::options::limits::check_limit;

/// Bytes of a subtitle file at most; those of a long film have some hundred thousand.
const MAX_BYTES: u64 = 16 << 20;

/// Endings of subtitle files, in order of preference.
const ENDINGS: [&str; 4] = ["srt", "vtt", "ass", "ssa"];

/// Reads a subtitle file, whatever its name ends with.
///
/// # Errors
/// `Io` as the system reports it, `Limit` for more than 16 MiB, `Malformed` when nothing in it is a cue.
pub fn read_file(path: &Path) -> Result<Subtitles, MediaError> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(MediaError::Caller("this is a folder, not a file of subtitles".into()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    check_limit("bytes of a subtitle file", bytes.len() as u64, MAX_BYTES)?;
    parse(&bytes)
}

/// The cues of a file's bytes: WebVTT, ASS or SSA, or else SRT.
///
/// # Errors
/// `Malformed` when nothing in it is a cue.
pub fn parse(bytes: &[u8]) -> Result<Subtitles, MediaError> {
    let text = encoding::decode(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let (found, named) = match text {
        text if vtt::sniff(text) => (vtt::parse(text), true),
        text if ass::sniff(text) => (ass::parse(text), true),
        text => (srt::parse(text), false),
    };
    if found.cues.is_empty() && !named && !text.trim().is_empty() {
        let what = format!("none of its {} cues is sound SRT, WebVTT or ASS", found.skipped);
        return Err(malformed("subtitle file", what));
    }
    Ok(found)
}

/// The subtitle files beside `film`, the best one first: `film.srt`, then `film.en.srt`, then others by name; of each
/// SRT before WebVTT before ASS. Those of forced lines only (`film.en.forced.srt`) are not among them.
pub fn beside(film: &Path) -> Vec<PathBuf> {
    let folder = film.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Some(stem), Ok(entries)) = (film.file_stem().and_then(|stem| stem.to_str()), std::fs::read_dir(folder)) else {
        return Vec::new();
    };
    let rank = |path: &PathBuf| -> Option<(bool, bool, usize, String)> {
        let rest = path.file_name()?.to_str()?.strip_prefix(stem)?.strip_prefix('.')?;
        let (tags, ending) = rest.rsplit_once('.').unwrap_or(("", rest));
        let ending = ENDINGS.iter().position(|own| ending.eq_ignore_ascii_case(own))?;
        // `film.2.srt` is of a film called `film.2`; languages and roles are words.
        let word = |tag: &str| tag.starts_with(|c: char| c.is_alphabetic()) && tag.len() <= 32;
        let sound = tags.is_empty() || tags.split('.').all(word);
        let forced = tags.split('.').any(|tag| tag.eq_ignore_ascii_case("forced"));
        let first = tags.split('.').next().unwrap_or_default().to_ascii_lowercase();
        let english = first == "en" || first == "eng" || first == "english" || first.starts_with("en-");
        (sound && !forced).then(|| (!tags.is_empty(), !english, ending, tags.to_string()))
    };
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let path = film.with_file_name(entry.ok()?.file_name());
            Some((rank(&path)?, path))
        })
        .filter(|(_, path)| path.is_file())
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}
