//! Frames that a model saw, as small JPEG files named by what they show.

use std::io::Write;
use std::path::PathBuf;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use sha2::{Digest, Sha256};
use zoetrope_media::Rgb;
use zoetrope_system::files::write_whole;

use super::record::FrameRecord;
use crate::error::LabError;

/// Name of the folder in that of a run.
pub(super) const FOLDER: &str = "examples";
/// Longest side in pixels: enough to see what a question is about, small enough for a page with many of them.
const LONGEST_SIDE: u32 = 320;
const QUALITY: u8 = 82;

/// A folder of frames, made with the first one.
pub(super) struct FrameFolder(PathBuf);

impl FrameFolder {
    pub(super) fn new(folder: PathBuf) -> Self {
        FrameFolder(folder)
    }

    /// Writes the frame unless it is there; gives its record.
    pub(super) fn keep(&self, frame: &Rgb, time: Option<f64>) -> Result<FrameRecord, LabError> {
        let bytes = jpeg(frame)?;
        let digest = Sha256::digest(&bytes);
        let name: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        let file = format!("{name}.jpg");
        let path = self.0.join(&file);
        let failed = |error: std::io::Error| LabError::File { file: path.clone(), what: error.to_string() };
        if !path.exists() {
            std::fs::create_dir_all(&self.0).map_err(failed)?;
            write_whole(&path, |out| out.write_all(&bytes)).map_err(failed)?;
        }
        Ok(FrameRecord { file, time })
    }
}

fn jpeg(frame: &Rgb) -> Result<Vec<u8>, LabError> {
    let (width, height) = (frame.width, frame.height);
    let wrong = |what: String| LabError::Caller(format!("a frame of {width}x{height}: {what}"));
    let whole = image::RgbImage::from_raw(width, height, frame.data.clone());
    let whole = whole.ok_or_else(|| wrong(format!("{} bytes", frame.data.len())))?;
    let longest = width.max(height);
    let shown = if longest > LONGEST_SIDE {
        let side = |side: u32| (u64::from(side) * u64::from(LONGEST_SIDE) / u64::from(longest)).max(1) as u32;
        image::imageops::thumbnail(&whole, side(width), side(height))
    } else {
        whole
    };
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    let written = encoder.write_image(shown.as_raw(), shown.width(), shown.height(), ExtendedColorType::Rgb8);
    written.map_err(|error| wrong(error.to_string()))?;
    Ok(bytes)
}
