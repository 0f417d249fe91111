//! What a container says about a text track.

use super::super::byte_source::ByteSource;
use super::super::track::Sample;
use super::layout::SampleLayout;
use crate::error::MediaError;

/// How the words of a track are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TextCodec {
    /// Matroska: the words of an SRT cue.
    Srt,
    /// Matroska: the fields of an ASS dialogue without its times.
    Ass,
    /// Matroska: the words of a WebVTT cue.
    Vtt,
    /// WebM: identifier, settings and words of a WebVTT cue.
    WebmVtt,
    /// MP4 and QuickTime: a length of two bytes and the words.
    Tx3g,
    /// MP4: WebVTT cues in boxes.
    Wvtt,
    /// Anything else, by its code.
    Other(String),
}

impl TextCodec {
    /// The usual name, as shown to users.
    pub(crate) fn name(&self) -> &str {
        match self {
            TextCodec::Srt => "SRT",
            TextCodec::Ass => "ASS",
            TextCodec::Vtt | TextCodec::WebmVtt | TextCodec::Wvtt => "WebVTT",
            TextCodec::Tx3g => "tx3g",
            TextCodec::Other(code) => code,
        }
    }
}

/// Where a cue lies, and when it is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TextSample {
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) size: u32,
    /// Seconds on the clock of the file.
    pub(crate) start: f64,
    /// The end, where the container states it.
    pub(crate) end: Option<f64>,
}

/// A text track.
#[derive(Clone, Debug)]
pub(crate) struct TextTrack {
    pub(crate) codec: TextCodec,
    pub(crate) language: Option<String>,
    pub(crate) name: Option<String>,
    /// Whether the file marks it as enabled and default.
    pub(crate) default: bool,
    /// Whether it only has what everybody is to read.
    pub(crate) forced: bool,
    /// In the order of the file.
    pub(crate) samples: Vec<TextSample>,
    pub(in super::super) layout: SampleLayout,
}

impl TextTrack {
    /// The bytes of cue number `number`, which there is.
    pub(crate) fn read(&self, source: &ByteSource, number: usize) -> Result<Vec<u8>, MediaError> {
        let TextSample { offset, size, .. } = self.samples[number];
        let sample = Sample { offset, size, pts: 0, dts: 0, keyframe: true, shown: true };
        self.layout.read(source, &sample, number)
    }
}
