//! The index of a container file: its video track and where every sample lies.

use super::byte_source::ByteSource;
use super::sample_layout::SampleLayout;
use super::track::{Container, VideoTrack};
use crate::error::{MediaError, malformed};
use crate::limits::Limits;

/// The index of a container file, as far as video is concerned.
#[derive(Clone, Debug)]
pub struct Movie {
    /// The format.
    pub container: Container,
    /// The chosen video track: the first one that is enabled and not a cover or chapter image.
    pub track: VideoTrack,
    /// Presentation time of the first shown frame in ticks of the track.
    pub start: i64,
    /// What was odd about the file, one sentence each.
    pub warnings: Vec<String>,
    /// Number of audio tracks.
    pub audio_tracks: usize,
    /// Number of subtitle or text tracks.
    pub sub_tracks: usize,
    layout: SampleLayout,
}

/// What a container reader returns, before the checks that all formats share.
pub(super) struct ParsedFile {
    pub(super) track: VideoTrack,
    pub(super) warnings: Vec<String>,
    pub(super) audio_tracks: usize,
    pub(super) sub_tracks: usize,
    pub(super) layout: SampleLayout,
}

impl Movie {
    /// Checks frame size and duration against `limits` and finds the start time.
    pub(super) fn new(container: Container, parsed: ParsedFile, limits: &Limits) -> Result<Movie, MediaError> {
        let ParsedFile { track, warnings, audio_tracks, sub_tracks, layout } = parsed;
        limits.check_pixels(track.width.into(), track.height.into())?;
        let mut shown = track.samples.iter().filter(|s| s.shown).map(|s| s.pts);
        let Some(first) = shown.next() else {
            return Err(malformed("video track", "it holds no frame to show"));
        };
        let (start, end) = shown.fold((first, first), |(low, high), pts| (low.min(pts), high.max(pts)));
        let seconds = (end as f64 - start as f64) / f64::from(track.timescale);
        if seconds > limits.seconds {
            let (number, limit) = (seconds as u64, limits.seconds as u64);
            return Err(MediaError::Limit { what: "seconds of video", number, limit });
        }
        Ok(Movie { container, track, start, warnings, audio_tracks, sub_tracks, layout })
    }

    /// The coded bytes of sample `index` (decoding order).
    ///
    /// # Errors
    /// `Caller` for an index out of range, `Io` and `Malformed` when the bytes are no longer there.
    pub fn read_sample(&self, source: &ByteSource, index: usize) -> Result<Vec<u8>, MediaError> {
        let Some(sample) = self.track.samples.get(index) else {
            let text = format!("sample {index} wanted, the track has {}", self.track.samples.len());
            return Err(MediaError::Caller(text));
        };
        self.layout.read(source, sample, index)
    }
}
