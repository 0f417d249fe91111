//! How to open a clip: limits, threads and the choice of decoder.

pub(crate) mod limits;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::subtitle::SubtitleChoice;
use limits::Limits;

/// Which decoders may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecoderChoice {
    /// The embedded ones, and the system's FFmpeg for what they do not read.
    #[default]
    Auto,
    /// Only the embedded ones.
    Embedded,
    /// Only the system's FFmpeg. Images stay embedded.
    Ffmpeg,
}

/// What to do with samples (stored pixels) that are not square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SampleAspect {
    /// Frames keep their stored pixels, as the tools of the reference models give them.
    /// [`crate::MediaInfo::display_width`] tells the size that players show.
    #[default]
    Stored,
    /// The width of frames is scaled by the sample aspect ratio, as players do. Square samples stay untouched.
    Square,
}

/// What to do with high dynamic range: the PQ and HLG transfer functions of ITU-R BT.2100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HighDynamicRange {
    /// It is shown as standard dynamic range with BT.709 primaries: compressed from 1000 to 203 cd/m² by the curve of
    /// ITU-R BT.2390. Frames of FFmpeg are left as they are.
    #[default]
    ToneMap,
    /// The signal is given as it is coded, which looks flat and pale.
    Signal,
}

/// What becomes of the alpha channel of a picture. Colors are RGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alpha {
    /// The picture is composited over this background color, as viewers do.
    Over([u8; 3]),
    /// The alpha channel is dropped, and transparent parts show whatever color is stored under them, as Pillow's
    /// `convert("RGB")` in the reference processors does.
    Drop,
}

impl Default for Alpha {
    /// Over white.
    fn default() -> Self {
        Alpha::Over([255; 3])
    }
}

/// How to open a clip. What concerns other files and processes does not travel to a sandboxed process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpenOptions {
    /// What the file may cost.
    pub limits: Limits,
    /// Threads that decode side by side, at least 1.
    pub threads: usize,
    /// Which decoders may be used.
    pub decoder: DecoderChoice,
    /// What to do with samples that are not square. Frames of FFmpeg keep their stored pixels.
    pub sample_aspect: SampleAspect,
    /// What to do with high dynamic range.
    pub high_dynamic_range: HighDynamicRange,
    /// What becomes of transparent parts of pictures.
    pub alpha: Alpha,
    /// The video track to read, as its position among the video tracks of the file ([`crate::tracks`] lists them); the
    /// choice is free when `None`. Pictures have no tracks.
    pub track: Option<usize>,
    /// Pictures a second of a folder that is shown as a video. When `None`, times come from names, where all of them
    /// end in seconds (`frame_00012.50s.png`), and else there is one picture a second.
    pub frame_rate: Option<f64>,
    /// Which subtitles of the file are wanted by those who show them with its frames.
    #[serde(skip)]
    pub subtitles: SubtitleChoice,
    /// How long a pipe may be silent before it is given up.
    pub pipe_time: Duration,
    /// The program that answers to `decode-child` (see [`crate::decoder_process`]); the running program when `None`.
    #[serde(skip)]
    pub child_program: Option<PathBuf>,
    /// Whether this process may die of a file, as a sandboxed one may: AV1 is decoded in it then.
    #[serde(skip)]
    pub expendable: bool,
}

impl Default for OpenOptions {
    /// Default limits, every core, automatic choice of decoder, pictures over white.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        OpenOptions {
            limits: Limits::default(),
            threads,
            decoder: DecoderChoice::Auto,
            sample_aspect: SampleAspect::Stored,
            high_dynamic_range: HighDynamicRange::ToneMap,
            alpha: Alpha::default(),
            track: None,
            frame_rate: None,
            subtitles: SubtitleChoice::Auto,
            pipe_time: Duration::from_secs(10),
            child_program: None,
            expendable: false,
        }
    }
}
