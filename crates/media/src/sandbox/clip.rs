//! A file that a sandboxed process has opened.

use std::fs::File;
use std::sync::Arc;

use super::frames::SandboxedFrames;
use super::opened_file::{OpenedFile, open_in};
use super::options::Role;
use super::pool::Pool;
use super::process::Failed;
use super::wire::check_indices;
use crate::container::byte_source::ByteSource;
use crate::error::MediaError;
use crate::frame::Time;
use crate::image::format::sniff;
use crate::info::MediaInfo;
use crate::info::track::TrackInfo;
use crate::open::unrecognized::may_be_media;
use crate::options::{DecoderChoice, OpenOptions};
use crate::subtitle::{SubtitleTrack, Subtitles};

/// A file that was opened in a process without rights, with what it said of it. Dropping the last copy kills the
/// process.
#[derive(Clone)]
pub struct SandboxedClip(Arc<OpenedFile>);

impl SandboxedClip {
    /// Opens `file` with the built-in decoders, and with FFmpeg what these refuse.
    pub(super) fn open(pool: Arc<Pool>, file: File, options: &OpenOptions) -> Result<Self, MediaError> {
        let mut refused = None;
        if options.decoder != DecoderChoice::Ffmpeg {
            let embedded = OpenOptions { decoder: DecoderChoice::Embedded, ..options.clone() };
            match open_in(&pool, Role::Decode, &file, &embedded) {
                Ok(opened) => return Ok(Self::of(OpenedFile::new(pool, file, embedded, Role::Decode, opened))),
                Err(Failed::Refused(error)) if options.decoder == DecoderChoice::Auto && may_ask(&file, &error) => {
                    refused = Some(error);
                }
                Err(Failed::Gone(error) | Failed::Refused(error)) => return Err(error),
            }
        }
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

/// Whether FFmpeg may be asked about what was refused. No process is started for pictures that are malformed, nor for
/// text.
fn may_ask(file: &File, refused: &MediaError) -> bool {
    let mut head = [0; 64];
    let source = file.try_clone().map_err(MediaError::from).and_then(ByteSource::from_file);
    let read = source.and_then(|source| source.read_some(0, &mut head)).unwrap_or(0);
    let head = &head[..read];
    let is_media = may_be_media(head) || head.starts_with(b"YUV4MPEG2");
    match refused {
        MediaError::Unsupported { .. } => is_media,
        MediaError::Malformed { .. } => is_media && sniff(head, &[]).is_none(),
        _ => false,
    }
}
