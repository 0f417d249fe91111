//! An opened image file: what its header and, for an animation, its list of frames say.

use std::sync::Arc;

use image::DynamicImage;
use image::metadata::Orientation;

use super::animation::delay::frame_times;
use super::animation::player::Animation;
use super::animation::{apng, gif, webp};
use super::essential::exif::exif_orientation;
use super::essential::{Essential, essential};
use super::format::PictureFormat;
use super::heif::HeifPicture;
use super::still::{check_size, explain, header};
use super::{alpha, ico, still};
use crate::container::byte_source::ByteSource;
use crate::container::items::Items;
use crate::container::track;
use crate::decode::decoder_panic::catch_decoder_panic;
use crate::error::{MediaError, malformed};
use crate::frame::{Rgb, Time};
use crate::options::limits::{Limits, check_limit};
use crate::options::{Alpha, OpenOptions};

/// An opened image file: a still image or an animation.
#[derive(Debug)]
pub(crate) struct ImageFile {
    pub(super) pixels: PixelSource,
    /// The lower-case name of the format.
    pub(crate) format_name: &'static str,
    orientation: Orientation,
    /// What becomes of transparent parts.
    background: Alpha,
    /// Whether the picture has an alpha channel or a transparent color.
    transparent: bool,
    /// Stored size in pixels, before orientation.
    pub(crate) coded_size: (u32, u32),
    /// Size in pixels as shown.
    pub(crate) shown_size: (u32, u32),
    /// Whether the stored orientation mirrors the picture (left and right exchanged) before it is turned.
    pub(crate) mirrored: bool,
    /// Clockwise rotation for display in degrees.
    pub(crate) rotation: u16,
    /// Start of every frame; one entry for a still image.
    pub(crate) times: Vec<Time>,
    /// End of the last frame; zero for a still image.
    pub(crate) end: Time,
    /// What was odd about the file.
    pub(crate) warnings: Vec<String>,
}

/// Where the pixels come from.
#[derive(Debug)]
pub(super) enum PixelSource {
    /// A file that the `image` crate decodes as one picture.
    Still { bytes: Arc<[u8]>, format: PictureFormat, limits: image::Limits },
    /// A GIF, whose frames the `image` crate puts together.
    Gif { bytes: Arc<[u8]>, limits: image::Limits },
    /// An animation that is put together here.
    Animation(Animation),
    /// A HEIC or AVIF picture.
    Heif(Box<HeifPicture>),
}

impl ImageFile {
    /// Reads the header, checks its size against the limits, and lists the frame times of an animation.
    ///
    /// # Errors
    /// `Malformed` headers; `Unsupported` kinds; `Limit` for too many pixels or too many frames.
    pub(crate) fn open(bytes: Arc<[u8]>, format: PictureFormat, options: &OpenOptions) -> Result<Self, MediaError> {
        catch_decoder_panic("picture", || Self::read(bytes, format, options))
    }

    fn read(bytes: Arc<[u8]>, format: PictureFormat, options: &OpenOptions) -> Result<Self, MediaError> {
        let limits = &options.limits;
        let mut file = match format {
            PictureFormat::Png => match apng::read(&bytes, limits.samples)? {
                Some(animation) => Self::apng(bytes, animation, limits)?,
                None => Self::still(bytes, format, limits)?,
            },
            PictureFormat::WebP => match webp::read(&bytes, limits.samples)? {
                Some(animation) => Self::webp(bytes, animation, limits)?,
                None => Self::still(bytes, format, limits)?,
            },
            PictureFormat::Gif => Self::gif(bytes, limits)?,
            PictureFormat::Ico => {
                let (bytes, inner) = ico::largest(&bytes)?;
                ImageFile { format_name: format.name(), ..Self::still(bytes, inner, limits)? }
            }
            _ => Self::still(bytes, format, limits)?,
        };
        file.background = options.alpha;
        Ok(file)
    }

    /// Opens a HEIC or AVIF picture with these items.
    ///
    /// # Errors
    /// `Malformed` items; `Unsupported` codecs and derivations; `Limit` for too many pixels.
    pub(crate) fn heif(source: ByteSource, items: Items, options: &OpenOptions) -> Result<Self, MediaError> {
        catch_decoder_panic("picture", || {
            let mut warnings = Vec::new();
            let picture = HeifPicture::open(source, items, options, &mut warnings)?;
            let (name, size, alpha) = (picture.format_name(), picture.coded_size(), picture.has_alpha());
            let (shown_size, orientation) = (picture.shown_size(), picture.orientation());
            let track::Orientation { mirrored, rotation } = orientation;
            let file = ImageFile::new(PixelSource::Heif(Box::new(picture)), name, size, alpha);
            Ok(ImageFile { background: options.alpha, shown_size, rotation, mirrored, warnings, ..file })
        })
    }

    fn still(bytes: Arc<[u8]>, format: PictureFormat, limits: &Limits) -> Result<Self, MediaError> {
        let limits_of_decoder = decoder_limits(limits);
        let Essential { bytes, orientation, warnings } = essential(bytes, format)?;
        let header = header(&bytes, format, &limits_of_decoder)?;
        header.check(limits)?;
        let pixels = PixelSource::Still { bytes, format, limits: limits_of_decoder };
        let mut file = ImageFile::new(pixels, format.name(), header.size, header.alpha);
        file.orient(orientation.unwrap_or(header.orientation));
        file.warnings = warnings;
        Ok(file)
    }

    fn apng(bytes: Arc<[u8]>, animation: apng::Header, limits: &Limits) -> Result<Self, MediaError> {
        check_size(animation.size, limits.pixels)?;
        let orientation = animation.exif.and_then(|range| exif_orientation(&bytes[range]));
        let (size, frames, limits) = (animation.size, animation.frames, decoder_limits(limits));
        let (format, shared) = (PictureFormat::Png, animation.shared);
        let pixels = PixelSource::Animation(Animation { bytes, format, size, shared, frames, limits });
        let mut file = ImageFile::new(pixels, "apng", size, animation.alpha);
        file.warnings = animation.warnings;
        file.orient(orientation.unwrap_or(Orientation::NoTransforms));
        Ok(file)
    }

    fn webp(bytes: Arc<[u8]>, animation: webp::Header, limits: &Limits) -> Result<Self, MediaError> {
        check_size(animation.size, limits.pixels)?;
        let orientation = animation.exif.and_then(|range| exif_orientation(&bytes[range]));
        let (size, frames, limits) = (animation.size, animation.frames, decoder_limits(limits));
        let (format, shared) = (PictureFormat::WebP, Vec::new());
        let pixels = PixelSource::Animation(Animation { bytes, format, size, shared, frames, limits });
        let mut file = ImageFile::new(pixels, "webp", size, animation.alpha);
        file.warnings = animation.warnings;
        file.orient(orientation.unwrap_or(Orientation::NoTransforms));
        Ok(file)
    }

    /// Walks the animation once for its delays and keeps no image.
    fn gif(bytes: Arc<[u8]>, limits: &Limits) -> Result<Self, MediaError> {
        let bytes = gif::with_screen(essential(bytes, PictureFormat::Gif)?.bytes);
        let limits_of_decoder = decoder_limits(limits);
        let size = header(&bytes, PictureFormat::Gif, &limits_of_decoder)?.size;
        check_size(size, limits.pixels)?;
        let (mut delays, mut warnings) = (Vec::new(), Vec::new());
        for frame in gif::frames(&bytes, &limits_of_decoder)? {
            match frame {
                Ok(frame) => delays.push(frame.delay().numer_denom_ms()),
                Err(error) if delays.is_empty() => return Err(explain(error)),
                Err(error) => {
                    warnings.push(format!("animation ends early after {} frames: {error}", delays.len()));
                    break;
                }
            }
            check_limit("frames of the animation", delays.len() as u64, limits.samples)?;
        }
        if delays.is_empty() {
            return Err(malformed("animation", "it has no frame"));
        }
        // A delay below 20 ms means 100 ms, as every player reads it.
        delays.iter_mut().filter(|d| d.0 < 20 * d.1).for_each(|d| *d = (100, 1));
        let transparent = gif::is_transparent(&bytes, size);
        let mut file = ImageFile::new(PixelSource::Gif { bytes, limits: limits_of_decoder }, "gif", size, transparent);
        file.warnings = warnings;
        file.set_delays(&delays);
        Ok(file)
    }

    /// A file of one picture, or of the frames that `pixels` lists.
    fn new(pixels: PixelSource, format_name: &'static str, coded_size: (u32, u32), transparent: bool) -> Self {
        let delays = match &pixels {
            PixelSource::Animation(animation) => animation.frames.iter().map(|frame| frame.delay).collect(),
            _ => Vec::new(),
        };
        let mut file = ImageFile {
            pixels,
            format_name,
            orientation: Orientation::NoTransforms,
            background: Alpha::default(),
            transparent,
            coded_size,
            shown_size: coded_size,
            mirrored: false,
            rotation: 0,
            times: vec![Time::new(0, 1)],
            end: Time::new(0, 1),
            warnings: Vec::new(),
        };
        file.set_delays(&delays);
        file
    }

    /// Sets the times of an animation. One frame alone is a still image.
    fn set_delays(&mut self, delays: &[(u32, u32)]) {
        if delays.len() > 1 {
            (self.times, self.end) = frame_times(delays);
        }
    }

    /// What was done with transparent parts; `None` when the picture has none.
    pub(crate) fn alpha(&self) -> Option<Alpha> {
        self.transparent.then_some(self.background)
    }

    /// Sets what a stored orientation makes of the size.
    fn orient(&mut self, orientation: Orientation) {
        self.orientation = orientation;
        // A flip after a quarter turn is the flip before the opposite turn.
        (self.mirrored, self.rotation) = match orientation {
            Orientation::NoTransforms => (false, 0),
            Orientation::Rotate90 => (false, 90),
            Orientation::Rotate180 => (false, 180),
            Orientation::Rotate270 => (false, 270),
            Orientation::FlipHorizontal => (true, 0),
            Orientation::Rotate270FlipH => (true, 90),
            Orientation::FlipVertical => (true, 180),
            Orientation::Rotate90FlipH => (true, 270),
        };
        let (width, height) = self.coded_size;
        self.shown_size = if self.rotation % 180 == 90 { (height, width) } else { (width, height) };
    }

    /// Removes transparency and applies the orientation.
    pub(super) fn to_rgb(&self, image: DynamicImage) -> Rgb {
        let rgb = alpha::to_rgb(image, self.background);
        if self.orientation == Orientation::NoTransforms {
            return rgb;
        }
        let Rgb { width, height, data } = rgb;
        let Some(rgb) = image::RgbImage::from_raw(width, height, data) else { return Rgb::default() };
        let mut image = DynamicImage::ImageRgb8(rgb);
        image.apply_orientation(self.orientation);
        let (width, height) = (image.width(), image.height());
        Rgb { width, height, data: image.into_rgb8().into_raw() }
    }

    /// Decodes a still image.
    pub(super) fn decode_still(&self) -> Result<Rgb, MediaError> {
        match &self.pixels {
            PixelSource::Still { bytes, format, limits } => Ok(self.to_rgb(still::decode(bytes, *format, limits)?)),
            PixelSource::Heif(picture) => picture.decode(),
            _ => Err(MediaError::Bug("an animation was decoded as a still image".into())),
        }
    }
}

/// Limits of the `image` crate: the budget of a picture, and what its tables and compressed data may take.
fn decoder_limits(limits: &Limits) -> image::Limits {
    let mut memory = image::Limits::default();
    memory.max_alloc = Some(limits.picture_bytes.saturating_add(limits.header_bytes));
    memory
}
