//! What a media file is, as shown to users.

pub(crate) mod track;

use serde::{Deserialize, Serialize};

use crate::color::description::Color;
use crate::container::track::Orientation;
use crate::decode::stretch::display_width;
use crate::options::Alpha;

/// What a file is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MediaInfo {
    /// Container or image format, lower case ("mp4", "matroska", "png", ...).
    pub container: String,
    /// Codec ("H.264", "HEVC", ...); the format again for images.
    pub codec: String,
    /// Name of the codec profile; empty when unknown.
    pub profile: String,
    /// Width of the coded frame in pixels, cropped as bitstream and container say, before rotation.
    pub coded_width: u32,
    /// Height of the coded frame in pixels, cropped as bitstream and container say, before rotation.
    pub coded_height: u32,
    /// Width of the frames given out, after rotation.
    pub width: u32,
    /// Height of the frames given out, after rotation.
    pub height: u32,
    /// Width in square pixels that players show, after rotation. It differs from `width` where samples are not square
    /// and `OpenOptions::sample_aspect` leaves them so.
    pub display_width: u32,
    /// Height in square pixels that players show, after rotation.
    pub display_height: u32,
    /// Sample aspect ratio of the stored frame, before rotation; (1, 1) is square. The container's goes before the
    /// bitstream's.
    pub sample_aspect: (u32, u32),
    /// Whether frames are mirrored (left and right exchanged) before the rotation.
    pub mirrored: bool,
    /// Clockwise rotation applied: 0, 90, 180 or 270 degrees.
    pub rotation: u16,
    /// Chroma subsampling ("4:2:0"); empty for images.
    pub sampling: String,
    /// Bits per sample; 8 for images.
    pub depth: u8,
    /// Color description used for the conversion to RGB.
    pub color: Color,
    /// What became of transparent parts; `None` when there is no alpha channel and no transparent color.
    pub alpha: Option<Alpha>,
    /// Seconds from the first frame's start to the last frame's end; 0 for a still image.
    pub duration: f64,
    /// Frames that can be shown.
    pub frames: usize,
    /// Average frames per second; 0 for a still image.
    pub fps: f64,
    /// Presentation time of the first frame in seconds.
    pub start: f64,
    /// Audio tracks (not read here).
    pub audio_tracks: usize,
    /// The decoder at work.
    pub decoder: String,
    /// What was odd about the file.
    pub warnings: Vec<String>,
}

/// Average frames per second; 0 for no duration.
pub(crate) fn average_fps(frames: usize, duration: f64) -> f64 {
    if duration > 0.0 { frames as f64 / duration } else { 0.0 }
}

/// Width and height in square pixels as shown: the stored width scaled by the sample aspect ratio, then turned.
pub(crate) fn display_size(info: &MediaInfo) -> (u32, u32) {
    let orientation = Orientation { mirrored: info.mirrored, rotation: info.rotation };
    orientation.turned((display_width(info.coded_width, info.sample_aspect), info.coded_height))
}
