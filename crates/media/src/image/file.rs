//! An opened image file: what its header and, for an animation, its frame delays say.

use std::sync::Arc;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat};

use super::delay::frame_times;
use super::format::{animation_frames, explain, is_animated, still_reader};
use crate::decode::decoder_panic::catch_decoder_panic;
use crate::error::{MediaError, malformed};
use crate::frame::{Rgb, Time};
use crate::limits::{Limits, check_limit};

/// An opened image file: a still image or an animation.
#[derive(Debug)]
pub(crate) struct ImageFile {
    bytes: Arc<[u8]>,
    format: ImageFormat,
    /// Whether frames come from an animation.
    pub(super) animated: bool,
    orientation: Orientation,
    limits: image::Limits,
    /// Stored size in pixels, before orientation.
    pub(crate) coded_size: (u32, u32),
    /// Size in pixels as shown.
    pub(crate) shown_size: (u32, u32),
    /// Clockwise rotation of the stored orientation in degrees. Mirrored orientations count as their rotation.
    pub(crate) rotation: u16,
    /// Start of every frame; one entry for a still image.
    pub(crate) times: Vec<Time>,
    /// End of the last frame; zero for a still image.
    pub(crate) end: Time,
    /// What was odd about the file.
    pub(crate) warnings: Vec<String>,
}

impl ImageFile {
    /// Reads the header, checks its size against `limits`, and lists the frame times of an animation.
    ///
    /// # Errors
    /// `Malformed` headers; `Limit` for too many pixels or too many frames.
    pub(crate) fn open(bytes: Arc<[u8]>, format: ImageFormat, limits: &Limits) -> Result<Self, MediaError> {
        catch_decoder_panic("picture", || Self::read_header(bytes, format, limits))
    }

    fn read_header(bytes: Arc<[u8]>, format: ImageFormat, limits: &Limits) -> Result<Self, MediaError> {
        // Eight bytes per pixel is the deepest image (16-bit RGBA); the rest is for tables and compressed data.
        let mut memory_limit = image::Limits::default();
        memory_limit.max_alloc = Some(limits.pixels.saturating_mul(8).saturating_add(limits.header_bytes));
        let mut decoder = still_reader(&bytes, format).into_decoder().map_err(explain)?;
        let coded_size = decoder.dimensions();
        let pixels = u64::from(coded_size.0) * u64::from(coded_size.1);
        check_limit("pixels of the picture", pixels, limits.pixels)?;
        if pixels == 0 {
            return Err(malformed("picture", format!("size is {}x{}", coded_size.0, coded_size.1)));
        }
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        drop(decoder);
        let (rotation, swap) = match orientation {
            Orientation::Rotate90 | Orientation::Rotate90FlipH => (90, true),
            Orientation::Rotate180 => (180, false),
            Orientation::Rotate270 | Orientation::Rotate270FlipH => (270, true),
            Orientation::NoTransforms | Orientation::FlipHorizontal | Orientation::FlipVertical => (0, false),
        };
        let mut file = ImageFile {
            animated: is_animated(&bytes, format)?,
            bytes,
            format,
            orientation,
            limits: memory_limit,
            coded_size,
            shown_size: if swap { (coded_size.1, coded_size.0) } else { coded_size },
            rotation,
            times: vec![Time::new(0, 1)],
            end: Time::new(0, 1),
            warnings: Vec::new(),
        };
        if file.animated {
            file.list_times(limits)?;
        }
        Ok(file)
    }

    /// The lower-case name of the format.
    pub(crate) fn format_name(&self) -> &'static str {
        match self.format {
            ImageFormat::Jpeg => "jpeg",
            ImageFormat::Png if self.animated => "apng",
            ImageFormat::Png => "png",
            ImageFormat::Gif => "gif",
            _ => "webp",
        }
    }

    /// Walks the animation once for its delays and keeps no image. One frame alone is a still image.
    fn list_times(&mut self, limits: &Limits) -> Result<(), MediaError> {
        let mut delays = Vec::new();
        for frame in self.animation()? {
            match frame {
                Ok(frame) => delays.push(frame.delay().numer_denom_ms()),
                Err(error) if delays.is_empty() => return Err(explain(error)),
                Err(error) => {
                    self.warnings.push(format!("animation ends early after {} frames: {error}", delays.len()));
                    break;
                }
            }
            check_limit("frames of the animation", delays.len() as u64, limits.samples)?;
        }
        if delays.is_empty() {
            return Err(malformed("animation", "it has no frame"));
        }
        if self.format == ImageFormat::Gif {
            // A delay below 20 ms means 100 ms, as every player reads it.
            delays.iter_mut().filter(|d| d.0 < 20 * d.1).for_each(|d| *d = (100, 1));
        }
        (self.times, self.end) = frame_times(&delays);
        if self.times.len() == 1 {
            (self.times, self.end) = (vec![Time::new(0, 1)], Time::new(0, 1));
            self.animated = false;
        }
        Ok(())
    }

    /// The frames of the animation, from the first one.
    pub(super) fn animation(&self) -> Result<image::Frames<'static>, MediaError> {
        animation_frames(&self.bytes, self.format, &self.limits)
    }

    /// Decodes the image of a file that is not animated.
    pub(super) fn decode_still(&self) -> Result<DynamicImage, MediaError> {
        let mut reader = still_reader(&self.bytes, self.format);
        reader.limits(self.limits.clone());
        let decoder = reader.into_decoder().map_err(explain)?;
        DynamicImage::from_decoder(decoder).map_err(explain)
    }

    /// Applies the orientation and converts to RGB.
    pub(super) fn to_rgb(&self, mut image: DynamicImage) -> Rgb {
        image.apply_orientation(self.orientation);
        let rgb = image.into_rgb8();
        Rgb { width: rgb.width(), height: rgb.height(), data: rgb.into_raw() }
    }
}
