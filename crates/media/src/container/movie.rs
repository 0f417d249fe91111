//! The index of a container file: its video track and where every sample lies.

use super::byte_source::ByteSource;
use super::choice;
use super::sample::layout::SampleLayout;
use super::sample::text::TextTrack;
use super::track::{Container, TrackSummary, VideoTrack};
use crate::error::{MediaError, malformed};
use crate::options::limits::Limits;

/// The index of a container file, as far as video is concerned.
#[derive(Clone, Debug)]
pub struct Movie {
    /// The format.
    pub container: Container,
    /// The chosen video track.
    pub track: VideoTrack,
    /// All video tracks in the order of the file.
    pub tracks: Vec<TrackSummary>,
    /// Position of the chosen one in `tracks`.
    pub chosen: usize,
    /// Presentation time of the first shown frame in ticks of the track.
    pub start: i64,
    /// What was odd about the file, one sentence each.
    pub warnings: Vec<String>,
    /// Number of audio tracks.
    pub audio_tracks: usize,
    /// Number of subtitle or text tracks.
    pub sub_tracks: usize,
    /// Text tracks, with where their cues lie.
    pub(crate) texts: Vec<TextTrack>,
    layout: SampleLayout,
}

/// What a container reader returns, before the checks that all formats share.
pub(super) struct ParsedFile {
    pub(super) track: VideoTrack,
    pub(super) tracks: Vec<TrackSummary>,
    pub(super) chosen: usize,
    pub(super) warnings: Vec<String>,
    pub(super) audio_tracks: usize,
    pub(super) sub_tracks: usize,
    pub(super) texts: Vec<TextTrack>,
    pub(super) layout: SampleLayout,
}

impl ParsedFile {
    /// A file of video alone, whose samples are ranges of its bytes.
    pub(super) fn of_video(track: VideoTrack, tracks: Vec<TrackSummary>, chosen: usize, warnings: Vec<String>) -> Self {
        let (audio_tracks, sub_tracks, texts, layout) = (0, 0, Vec::new(), SampleLayout::Ranges);
        ParsedFile { track, tracks, chosen, warnings, audio_tracks, sub_tracks, texts, layout }
    }
}

impl Movie {
    /// Checks frame size and duration against `limits` and finds the start time.
    pub(super) fn new(container: Container, parsed: ParsedFile, limits: &Limits) -> Result<Movie, MediaError> {
        let ParsedFile { track, tracks, chosen, mut warnings, audio_tracks, sub_tracks, texts, layout } = parsed;
        warnings.extend(choice::warning(&tracks, chosen));
        limits.check_pixels(track.width.into(), track.height.into())?;
        let mut shown: Vec<i64> = track.samples.iter().filter(|s| s.shown).map(|s| s.pts).collect();
        shown.sort_unstable();
        let Some(&start) = shown.first() else {
            return Err(malformed("video track", "it holds no frame to show"));
        };
        check_seconds(&shown, track.timescale, limits, &mut warnings)?;
        Ok(Movie { container, track, tracks, chosen, start, warnings, audio_tracks, sub_tracks, texts, layout })
    }

    /// Whether the parameter sets that the container states change within the track.
    pub(crate) fn changes_parameter_sets(&self) -> bool {
        matches!(self.layout, SampleLayout::WithParameterSets(_))
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

/// Seconds that one frame may plausibly stay on the screen. What is longer is a clock that was set, and costs nothing.
const LONGEST_FRAME: f64 = 3600.0;

/// Checks the length of a video with frames at ascending `times`; no frame counts for more than [`LONGEST_FRAME`].
fn check_seconds(times: &[i64], timescale: u32, limits: &Limits, warnings: &mut Vec<String>) -> Result<(), MediaError> {
    let gaps = times.windows(2).map(|pair| (pair[1] as f64 - pair[0] as f64) / f64::from(timescale));
    let (mut seconds, mut longest) = (0.0, 0.0f64);
    for gap in gaps {
        seconds += gap.min(LONGEST_FRAME);
        longest = longest.max(gap);
    }
    if seconds > limits.seconds {
        let (number, limit) = (seconds as u64, limits.seconds as u64);
        return Err(MediaError::Limit { what: "seconds of video", number, limit });
    }
    if longest > LONGEST_FRAME {
        warnings.push(format!("one frame stays for {longest:.0} s, the clock may have been set"));
    }
    Ok(())
}
