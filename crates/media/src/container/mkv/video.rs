//! `Video`: frame size, crop, aspect ratio, color and orientation of a track.

use super::super::track::ratio::reduced_ratio;
use super::super::track::{Crop, Orientation};
use super::ebml::{children, float, uint};
use super::ids;
use crate::color::description::Color;
use crate::error::MediaError;

/// What `Video` says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct VideoSettings {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) crop: Crop,
    /// Sample aspect ratio; `None` when the display size has no meaning in pixels.
    pub(super) sar: Option<(u32, u32)>,
    pub(super) color: Color,
    pub(super) orientation: Orientation,
}

/// Reads `Video` into `settings`.
///
/// # Errors
/// `Malformed` for a number that is too long.
pub(super) fn read(data: &[u8], settings: &mut VideoSettings, warnings: &mut Vec<String>) -> Result<(), MediaError> {
    let small = |body: &[u8]| uint(body).map(|v| u32::try_from(v).unwrap_or(u32::MAX));
    let (mut display, mut unit, mut crop) = ((0, 0), 0, Crop::default());
    for (id, body) in children(data) {
        match id {
            ids::PIXEL_WIDTH => settings.width = small(body)?,
            ids::PIXEL_HEIGHT => settings.height = small(body)?,
            ids::DISPLAY_WIDTH => display.0 = small(body)?,
            ids::DISPLAY_HEIGHT => display.1 = small(body)?,
            ids::DISPLAY_UNIT => unit = small(body)?,
            ids::PIXEL_CROP_BOTTOM => crop.bottom = small(body)?,
            ids::PIXEL_CROP_TOP => crop.top = small(body)?,
            ids::PIXEL_CROP_LEFT => crop.left = small(body)?,
            ids::PIXEL_CROP_RIGHT => crop.right = small(body)?,
            ids::COLOR => settings.color = color(body)?,
            ids::PROJECTION => settings.orientation = orientation(body, warnings)?,
            _ => {}
        }
    }
    let stored = (settings.width, settings.height);
    let shown = crop.size(stored).unwrap_or_else(|| {
        let Crop { left, top, right, bottom } = crop;
        warnings.push(format!(
            "the crop {left}+{right} by {top}+{bottom} leaves nothing of {}x{}, it is not applied",
            stored.0, stored.1
        ));
        crop = Crop::default();
        stored
    });
    settings.crop = crop;
    // Units 0 (pixels), 1 and 2 (lengths) and 3 (a ratio) all only matter as a ratio; 4 is unknown. The display size is
    // that of the cropped picture, and equal to it where it is not stated (RFC 9559, 5.1.4.1.28.12).
    if unit < 4 {
        let stated = |display: u32, shown: u32| u64::from(if display > 0 { display } else { shown });
        let (w, h) = (u64::from(shown.0), u64::from(shown.1));
        let (display_w, display_h) = (stated(display.0, shown.0), stated(display.1, shown.1));
        settings.sar = Some(reduced_ratio(display_w.saturating_mul(h), display_h.saturating_mul(w)));
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

/// Flip and turn from the pose of a projection: a yaw of half a turn shows the picture from behind, roll is a turn.
fn orientation(data: &[u8], warnings: &mut Vec<String>) -> Result<Orientation, MediaError> {
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
    let mirrored = pose[0].abs() == 180.0;
    match [0u16, 90, 180, 270].into_iter().find(|&q| f64::from(q) == roll) {
        // Roll is counterclockwise.
        Some(quarter) if (pose[0] == 0.0 || mirrored) && pose[1] == 0.0 => {
            Ok(Orientation { mirrored, rotation: (360 - quarter) % 360 })
        }
        _ => {
            warnings.push(format!("a projection turned by {pose:?} degrees is shown as stored"));
            Ok(Orientation::default())
        }
    }
}
