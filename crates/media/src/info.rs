//! What a media file is, as shown to users.

use serde::Serialize;

use crate::color::description::Color;

/// What a file is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MediaInfo {
    /// Container or image format, lower case ("mp4", "matroska", "png", ...).
    pub container: String,
    /// Codec ("H.264", "HEVC", ...); the format again for images.
    pub codec: String,
    /// Name of the codec profile; empty when unknown.
    pub profile: String,
    /// Width of the coded frame in pixels, cropped, before rotation.
    pub coded_width: u32,
    /// Height of the coded frame in pixels, cropped, before rotation.
    pub coded_height: u32,
    /// Width of the frames given out, after rotation. The sample aspect ratio is not applied.
    pub width: u32,
    /// Height of the frames given out, after rotation. The sample aspect ratio is not applied.
    pub height: u32,
    /// Sample aspect ratio; (1, 1) is square. Frames are not stretched by it, as in the tools of the reference models.
    pub sample_aspect: (u32, u32),
    /// Clockwise rotation applied: 0, 90, 180 or 270 degrees.
    pub rotation: u16,
    /// Chroma subsampling ("4:2:0"); empty for images.
    pub sampling: String,
    /// Bits per sample; 8 for images.
    pub depth: u8,
    /// Color description used for the conversion to RGB.
    pub color: Color,
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
