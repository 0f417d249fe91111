//! The subtitles of a film: a file beside it, or a text track inside it.

use std::path::Path;

use zoetrope_media::subtitle::{SubtitleChoice, SubtitleTrack, Subtitles, beside, read_file};
use zoetrope_media::{Clip, MediaError};
use zoetrope_models::contract::media_plan::Caption;

use super::source::FoundSubtitles;

/// The subtitles of `clip`, which lies at `film`, that `choice` wants.
///
/// What is found without having been named and cannot be read is a warning, and the next candidate is taken.
///
/// # Errors
/// When a file or track that was named cannot be read.
pub(super) fn find(clip: &Clip, film: &Path, choice: &SubtitleChoice) -> Result<Option<FoundSubtitles>, MediaError> {
    let tracks = clip.subtitle_tracks();
    match choice {
        SubtitleChoice::None => Ok(None),
        SubtitleChoice::File(file) => match read_file(file) {
            Ok(found) => Ok(Some(told(file.display().to_string(), found))),
            Err(error) => Err(MediaError::Caller(format!("subtitles {}: {error}", file.display()))),
        },
        SubtitleChoice::Track(number) => {
            let found = clip.subtitles(*number)?;
            Ok(Some(told(track_name(*number, tracks.get(*number)), found)))
        }
        SubtitleChoice::Auto => Ok(automatic(clip, film, &tracks)),
    }
}

fn automatic(clip: &Clip, film: &Path, tracks: &[SubtitleTrack]) -> Option<FoundSubtitles> {
    for file in beside(film) {
        match read_file(&file) {
            Ok(found) => return Some(told(file.display().to_string(), found)),
            Err(error) => tracing::warn!("{}: not used: {error}", file.display()),
        }
    }
    default_track(&film.display().to_string(), tracks, &|number| clip.subtitles(number))
}

/// The words of the text track that the film marks as default, else of the first that can be read. `film` is its name.
pub(super) fn default_track(
    film: &str,
    tracks: &[SubtitleTrack],
    read: &dyn Fn(usize) -> Result<Subtitles, MediaError>,
) -> Option<FoundSubtitles> {
    let mut wanted: Vec<&SubtitleTrack> = tracks.iter().filter(|track| track.readable && !track.forced).collect();
    // The default one, else the first.
    wanted.sort_by_key(|track| !track.default);
    for track in wanted {
        match read(track.number) {
            Ok(found) if found.cues.is_empty() => {}
            Ok(found) => return Some(told(track_name(track.number, Some(track)), found)),
            Err(error) => tracing::warn!("{film}: subtitle track {}: {error}", track.number),
        }
    }
    None
}

pub(super) fn track_name(number: usize, track: Option<&SubtitleTrack>) -> String {
    let language = track.and_then(|track| track.language.as_deref()).map(|language| format!(" ({language})"));
    format!("text track {number}{}", language.unwrap_or_default())
}

pub(super) fn told(name: String, found: Subtitles) -> FoundSubtitles {
    if found.skipped > 0 {
        let all = found.skipped + found.cues.len();
        tracing::warn!("{name}: {} of {all} subtitles are damaged and left out", found.skipped);
    }
    let caption = |cue: zoetrope_media::subtitle::Subtitle| Caption { start: cue.start, end: cue.end, text: cue.text };
    FoundSubtitles { name, captions: found.cues.into_iter().map(caption).collect(), skipped: found.skipped }
}
