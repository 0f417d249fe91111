//! A file that a sandboxed process has opened.

use std::fs::File;
use std::sync::Arc;

use super::frames::SandboxedFrames;
use super::opened_file::{OpenedFile, open_in};
use super::options::Role;
use super::pool::Pool;
use super::process::Failed;
use super::wire::check_indices;
use crate::error::MediaError;
use crate::frame::Time;
use crate::info::MediaInfo;
use crate::info::track::TrackInfo;
use crate::options::{DecoderChoice, OpenOptions};
use crate::subtitle::{SubtitleTrack, Subtitles};

/// A file that was opened in a process without rights, with what it said of it. Dropping the last copy kills the
/// process.
#[derive(Clone)]
pub struct SandboxedClip(Arc<OpenedFile>);

impl SandboxedClip {
    /// Opens `file` with the built-in decoders, and with FFmpeg what these refuse.
    pub(super) fn open(pool: Arc<Pool>, file: File, options: &OpenOptions) -> Result<Self, MediaError> {
        let refused = match options.decoder {
            DecoderChoice::Ffmpeg => None,
            choice => {
                let embedded = OpenOptions { decoder: DecoderChoice::Embedded, ..options.clone() };
                match open_in(&pool, Role::Decode, &file, &embedded) {
                    Ok(opened) => return Ok(Self::of(OpenedFile::new(pool, file, embedded, Role::Decode, opened))),
                    Err(Failed::Refused(error)) => match error {
                        MediaError::Unsupported { .. } | MediaError::Malformed { .. }
                            if choice == DecoderChoice::Auto =>
                        {
                            Some(error)
                        }
                        error => return Err(error),
                    },
                    Err(Failed::Gone(error)) => return Err(error),
                }
            }
        };
        let options = OpenOptions { decoder: DecoderChoice::Ffmpeg, ..options.clone() };
        match open_in(&pool, Role::Ffmpeg, &file, &options) {
            Ok((process, mut opened, times)) => {
                if let Some(MediaError::Malformed { part, what }) = refused {
                    opened.info.warnings.push(format!("the {part} looks malformed ({what}); FFmpeg reads it"));
                }
                Ok(Self::of(OpenedFile::new(pool, file, options, Role::Ffmpeg, (process, opened, times))))
            }
            Err(Failed::Gone(error) | Failed::Refused(error)) => Err(refused.unwrap_or(error)),
        }
    }

    fn of(file: OpenedFile) -> Self {
        SandboxedClip(Arc::new(file))
    }

    /// What the file is.
    pub fn info(&self) -> &MediaInfo {
        &self.0.opened.info
    }

    /// The video tracks of the file in its own order.
    pub fn tracks(&self) -> &[TrackInfo] {
        &self.0.opened.tracks
    }

    /// The text tracks of the file in its own order.
    pub fn subtitle_tracks(&self) -> &[SubtitleTrack] {
        &self.0.opened.subtitle_tracks
    }

    /// Whether it is one image.
    pub fn is_still(&self) -> bool {
        self.0.opened.still
    }

    /// Exact presentation times of all frames, in order.
    pub fn times(&self) -> &[Time] {
        &self.0.times
    }

    /// End of the last frame in seconds, on the same clock as [`SandboxedClip::times`].
    pub fn end(&self) -> f64 {
        self.0.opened.end
    }

    /// Width and height of the frame with the most pixels (see [`crate::Clip::largest_size`]).
    pub fn largest_size(&self) -> (u32, u32) {
        self.0.opened.largest_size
    }

    /// The subtitles of text track `number`. Times count from the start of the first frame.
    ///
    /// # Errors
    /// As [`crate::Clip::subtitles`]; also `Malformed` and `Limit` when the process fails.
    pub fn subtitles(&self, number: usize) -> Result<Subtitles, MediaError> {
        let mut process = self.0.process()?;
        match process.subtitles(number) {
            Err(Failed::Gone(error)) => Err(error),
            Err(Failed::Refused(error)) => {
                self.0.give_back(process);
                Err(error)
            }
            Ok(subtitles) => {
                self.0.give_back(process);
                Ok(subtitles)
            }
        }
    }

    /// The frames at `indices` (positions in [`SandboxedClip::times`], ascending, repeats allowed), as they are taken.
    ///
    /// Dropping the iterator early kills its process; the next call gets a fresh one.
    ///
    /// # Errors
    /// `Caller` for indices that are out of range or not ascending. The iterator itself gives decoding errors, and ends
    /// after one about its process.
    pub fn frames(&self, indices: &[usize]) -> Result<SandboxedFrames, MediaError> {
        check_indices(indices, self.0.times.len())?;
        SandboxedFrames::new(self.0.clone(), self.0.process()?, indices)
    }
}
