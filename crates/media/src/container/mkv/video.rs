//! `Video`: frame size, aspect ratio, color and rotation of a track.

use super::super::ratio::reduced_ratio;
use super::ebml::{children, float, uint};
use super::ids;
use crate::color::description::Color;
use crate::error::MediaError;

/// What `Video` says.
#[derive(Clone, Copy, Debug)]
pub(super) struct VideoSettings {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Sample aspect ratio.
    pub(super) sar: (u32, u32),
    pub(super) color: Color,
    /// Clockwise rotation in degrees.
    pub(super) rotation: u16,
}

impl Default for VideoSettings {
    fn default() -> Self {
        VideoSettings { width: 0, height: 0, sar: (1, 1), color: Color::default(), rotation: 0 }
    }
}

/// Reads `Video` into `settings`.
///
/// # Errors
/// `Malformed` for a number that is too long.
pub(super) fn read(data: &[u8], settings: &mut VideoSettings, warnings: &mut Vec<String>) -> Result<(), MediaError> {
    let small = |body: &[u8]| uint(body).map(|v| u32::try_from(v).unwrap_or(u32::MAX));
    let (mut display, mut unit, mut cropped) = ((0, 0), 0, false);
    for (id, body) in children(data) {
        match id {
            ids::PIXEL_WIDTH => settings.width = small(body)?,
            ids::PIXEL_HEIGHT => settings.height = small(body)?,
            ids::DISPLAY_WIDTH => display.0 = small(body)?,
            ids::DISPLAY_HEIGHT => display.1 = small(body)?,
            ids::DISPLAY_UNIT => unit = small(body)?,
            ids::PIXEL_CROP_BOTTOM | ids::PIXEL_CROP_TOP | ids::PIXEL_CROP_LEFT | ids::PIXEL_CROP_RIGHT => {
                cropped |= uint(body)? != 0;
            }
            ids::COLOR => settings.color = color(body)?,
            ids::PROJECTION => settings.rotation = rotation(body, warnings)?,
            _ => {}
        }
    }
    if cropped {
        warnings.push("the crop that the track asks for is not applied".into());
    }
    // Units 0 (pixels), 1 and 2 (lengths) and 3 (a ratio) all only matter as a ratio; 4 is unknown.
    if display.0 > 0 && display.1 > 0 && unit < 4 {
        let (w, h) = (u64::from(settings.width), u64::from(settings.height));
        let (display_w, display_h) = (u64::from(display.0), u64::from(display.1));
        settings.sar = reduced_ratio(display_w.saturating_mul(h), display_h.saturating_mul(w));
    }
    Ok(())
}

fn color(data: &[u8]) -> Result<Color, MediaError> {
    let mut color = Color::default();
    // Code 2 means unspecified.
    let code = |body: &[u8]| uint(body).map(|v| u8::try_from(v).ok().filter(|&v| v != 2));
    for (id, body) in children(data) {
        match id {
            ids::MATRIX_COEFFICIENTS => color.matrix = code(body)?,
            ids::COLOR_RANGE => {
                color.full_range = match uint(body)? {
                    1 => Some(false),
                    2 => Some(true),
                    _ => None,
                }
            }
            ids::TRANSFER_CHARACTERISTICS => color.transfer = code(body)?,
            ids::PRIMARIES => color.primaries = code(body)?,
            _ => {}
        }
    }
    Ok(color)
}

/// Clockwise rotation from the roll of a projection, when it is a plain quarter turn.
fn rotation(data: &[u8], warnings: &mut Vec<String>) -> Result<u16, MediaError> {
    let mut pose = [0.0f64; 3];
    for (id, body) in children(data) {
        match id {
            ids::PROJECTION_POSE_YAW => pose[0] = float(body)?,
            ids::PROJECTION_POSE_PITCH => pose[1] = float(body)?,
            ids::PROJECTION_POSE_ROLL => pose[2] = float(body)?,
            _ => {}
        }
    }
    let roll = pose[2].rem_euclid(360.0);
    match [0u16, 90, 180, 270].into_iter().find(|&q| f64::from(q) == roll) {
        // Roll is counterclockwise.
        Some(quarter) if pose[0] == 0.0 && pose[1] == 0.0 => Ok((360 - quarter) % 360),
        _ => {
            warnings.push(format!("a projection turned by {pose:?} degrees is shown as stored"));
            Ok(0)
        }
    }
}
