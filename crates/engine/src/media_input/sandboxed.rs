//! Files of strangers as sources: opened and decoded in processes without rights.

use std::sync::Arc;

use zoetrope_media::MediaError;
use zoetrope_media::sandbox::{SandboxedClip, SandboxedFrames};
use zoetrope_media::subtitle::SubtitleChoice;
use zoetrope_models::contract::media_plan::MediaMetadata;

use super::faults::{CountsFaults, tell_faults};
use super::source::{FoundSubtitles, FrameIter, MediaSource};
use super::subtitles::{default_track, told, track_name};

/// A clip that a sandboxed process has open, as a source. `name` is what warnings call it; no path is needed.
///
/// Subtitles come from the file itself: one beside it is not looked for, and one that is named by its path is refused.
pub fn sandboxed_source(name: &str, clip: SandboxedClip, subtitles: SubtitleChoice) -> Arc<dyn MediaSource> {
    for warning in &clip.info().warnings {
        tracing::warn!("{name}: {warning}");
    }
    Arc::new(SandboxedSource { clip, name: name.to_string(), subtitles })
}

struct SandboxedSource {
    clip: SandboxedClip,
    name: String,
    subtitles: SubtitleChoice,
}

impl MediaSource for SandboxedSource {
    fn metadata(&self) -> MediaMetadata {
        let clip = &self.clip;
        if clip.is_still() {
            MediaMetadata::picture(clip.largest_size())
        } else {
            MediaMetadata::video(clip.largest_size(), clip.times(), clip.end())
        }
    }

    fn subtitles(&self) -> Result<Option<FoundSubtitles>, MediaError> {
        let (clip, tracks) = (&self.clip, self.clip.subtitle_tracks());
        match &self.subtitles {
            _ if clip.is_still() => Ok(None),
            SubtitleChoice::None => Ok(None),
            SubtitleChoice::Auto => Ok(default_track(&self.name, tracks, &|number| clip.subtitles(number))),
            SubtitleChoice::Track(number) => {
                let found = clip.subtitles(*number)?;
                Ok(Some(told(track_name(*number, tracks.get(*number)), found)))
            }
            SubtitleChoice::File(_) => {
                Err(MediaError::Caller("subtitles of a file beside the film cannot be named here".into()))
            }
        }
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        match self.clip.frames(indices) {
            Ok(frames) => Box::new(tell_faults(frames)),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }
}

impl CountsFaults for SandboxedFrames {
    fn repeated(&self) -> usize {
        SandboxedFrames::repeated(self)
    }

    fn damaged(&self) -> usize {
        SandboxedFrames::damaged(self)
    }
}
