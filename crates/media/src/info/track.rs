//! The video tracks of a file, for people who want to choose one.

use serde::{Deserialize, Serialize};

use crate::container::track::TrackSummary;

/// What a video track shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackKind {
    /// A moving picture.
    Video,
    /// One picture: a cover, a poster, the pictures of chapters.
    Picture,
}

/// One video track of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackInfo {
    /// Position among the video tracks of the file, from 0: what [`crate::OpenOptions::track`] takes.
    pub number: usize,
    /// Codec ("H.264", "HEVC", ...).
    pub codec: String,
    /// Width in pixels as the container states it, before rotation; 0 when it does not.
    pub width: u32,
    /// Height in pixels as the container states it, before rotation; 0 when it does not.
    pub height: u32,
    /// Coded frames, where they are known without reading the whole track.
    pub frames: Option<u64>,
    /// Length in seconds, where the container tells.
    pub duration: Option<f64>,
    /// Whether the file marks it as enabled and default.
    pub default: bool,
    /// What it shows.
    pub kind: TrackKind,
    /// Whether [`crate::open`] reads this one with the same options.
    pub used: bool,
    /// The decoder that is tried first ("ffmpeg" where there is none here).
    pub decoder: String,
}

impl TrackInfo {
    /// Describes track `number`.
    pub(crate) fn new(number: usize, track: &TrackSummary, used: bool, decoder: &str) -> Self {
        let picture = track.picture || track.frames == Some(1);
        TrackInfo {
            number,
            codec: track.codec.name().to_string(),
            width: track.width,
            height: track.height,
            frames: track.frames,
            duration: track.seconds,
            default: track.default,
            kind: if picture { TrackKind::Picture } else { TrackKind::Video },
            used,
            decoder: decoder.to_string(),
        }
    }
}
