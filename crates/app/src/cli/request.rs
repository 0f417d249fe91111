//! Options of a request: which frames, and how the answer is made.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::numbers::{
    finite, frames, media, merge, not_negative, positive, positive_number, rate, seed, share, tokens, top_k,
};

/// What transparent parts of pictures are shown on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Background {
    /// White, as viewers show them
    #[default]
    White,
    /// Black
    Black,
    /// The color that is stored under them, as the reference processors do
    Stored,
}

/// Which frames, at which size.
#[derive(Args, Debug, Default)]
pub(crate) struct MediaArgs {
    /// Frames a second to look at [default: what the model was trained with]
    #[arg(long, value_name = "RATE", value_parser = rate, help_heading = "Media")]
    pub(crate) fps: Option<f64>,
    /// Pictures a second of a folder of frames [default: the seconds that all names end with, as in
    /// frame_00012.50s.png; else 1]
    #[arg(long, value_name = "RATE", value_parser = rate, help_heading = "Media")]
    pub(crate) frame_rate: Option<f64>,
    /// Most frames of a video
    #[arg(long, value_name = "N", value_parser = frames, help_heading = "Media")]
    pub(crate) max_frames: Option<usize>,
    /// Most visual tokens of all media; pictures shrink to fit
    #[arg(long, value_name = "N", value_parser = positive, help_heading = "Media")]
    pub(crate) max_visual_tokens: Option<usize>,
    /// Most pictures and videos of a conversation [default: 64]
    #[arg(long, value_name = "N", value_parser = media, help_heading = "Media")]
    pub(crate) max_media: Option<usize>,
    /// Look at videos from this second on, counted from their first frame
    #[arg(long, value_name = "SECONDS", value_parser = finite, allow_hyphen_values = true, help_heading = "Media")]
    pub(crate) start: Option<f64>,
    /// Look at videos up to this second, counted from their first frame
    #[arg(long, value_name = "SECONDS", value_parser = finite, allow_hyphen_values = true, help_heading = "Media")]
    pub(crate) end: Option<f64>,
    /// The video track to look at, where a file has several (see `probe`)
    #[arg(long, value_name = "N", help_heading = "Media")]
    pub(crate) track: Option<usize>,
    /// Subtitles of a film, for models that read them: a file (SRT, WebVTT, ASS), track:N of the film (see `probe`),
    /// or none [default: the file beside the film, such as film.srt or film.en.srt, else the film's own track]
    #[arg(long, value_name = "FILE|track:N|none", help_heading = "Media")]
    pub(crate) subtitles: Option<OsString>,
    /// What transparent parts of pictures are shown on
    #[arg(long, value_enum, default_value = "white", help_heading = "Media")]
    pub(crate) background: Background,
    /// Show pixels that are not square as players do; otherwise frames keep their stored pixels
    #[arg(long, help_heading = "Media")]
    pub(crate) square_pixels: bool,
    /// Leave high dynamic range (PQ, HLG) as it is coded instead of showing it as standard dynamic range
    #[arg(long, help_heading = "Media")]
    pub(crate) no_tone_map: bool,
    /// A setting of the model's family, such as merge=2 (see `info`; may be given several times)
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Media")]
    pub(crate) set: Vec<String>,
    /// `--set merge=N`, as version 0.1 had it
    #[arg(long, value_name = "N", value_parser = merge, hide = true)]
    pub(crate) image_merge: Option<usize>,
    /// `--set prune=false`, as version 0.1 had it
    #[arg(long, hide = true)]
    pub(crate) no_prune: bool,
}

/// Whether features of films that were stored before are used.
#[derive(Args, Debug, Default)]
pub(crate) struct IndexUseArgs {
    /// Encode films again, even where `zoetrope index` or an earlier question has stored their features; keep nothing
    #[arg(long, conflicts_with = "index", help_heading = "Media")]
    pub(crate) no_index: bool,
    /// Neither use nor keep what was computed of films (see `zoetrope cache`)
    #[arg(long, help_heading = "Media")]
    pub(crate) no_cache: bool,
    /// A file of features to look into before the one beside the film
    #[arg(long, value_name = "FILE", help_heading = "Media")]
    pub(crate) index: Option<PathBuf>,
}

/// How answers are written. Without any of the sampling options the answer is greedy: the likeliest token each time.
#[derive(Args, Debug)]
pub(crate) struct AnswerArgs {
    /// Most tokens of an answer
    #[arg(long, short = 'n', aliases = ["n-predict", "max-tokens"], value_name = "N", default_value_t = 1024,
        value_parser = tokens, help_heading = "Answer")]
    pub(crate) max_new_tokens: usize,
    /// Sample with this temperature [default: 0, which is greedy: the likeliest token each time]
    #[arg(long, value_name = "T", value_parser = not_negative, help_heading = "Answer")]
    pub(crate) temperature: Option<f64>,
    /// Sample from the likeliest tokens that together have this probability (temperature 1 unless given)
    #[arg(long, value_name = "P", value_parser = share, help_heading = "Answer")]
    pub(crate) top_p: Option<f64>,
    /// Sample from this many likeliest tokens (temperature 1 unless given); 0 is all of them
    #[arg(long, value_name = "K", value_parser = top_k, help_heading = "Answer")]
    pub(crate) top_k: Option<usize>,
    /// Make tokens that were there before less likely; 1 changes nothing
    #[arg(long, value_name = "X", value_parser = positive_number, default_value_t = 1.0, help_heading = "Answer")]
    pub(crate) repetition_penalty: f64,
    /// Seed of the sampling: the same seed gives the same answer; -1 is another one each time
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = seed, allow_negative_numbers = true,
        help_heading = "Answer")]
    pub(crate) seed: u64,
    /// End the answer before this text (may be given several times)
    #[arg(long, value_name = "TEXT", help_heading = "Answer")]
    pub(crate) stop: Vec<String>,
    /// Instructions for the model before the conversation
    #[arg(long, value_name = "TEXT", help_heading = "Answer")]
    pub(crate) system: Option<String>,
    /// Answer with JSON that fits this schema: a file, or the schema itself
    #[arg(long, value_name = "FILE|TEXT", group = "follow", help_heading = "Answer")]
    pub(crate) json_schema: Option<OsString>,
    /// Answer with a text that matches this regular expression as a whole
    #[arg(long, value_name = "REGEX", group = "follow", help_heading = "Answer")]
    pub(crate) regex: Option<String>,
    /// Answer with this text or another of them (given several times)
    #[arg(long, value_name = "TEXT", group = "follow", help_heading = "Answer")]
    pub(crate) choice: Vec<String>,
}
