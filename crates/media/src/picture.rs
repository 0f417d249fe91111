//! The image door: JPEG, PNG, WebP and GIF, one picture or an animation, through the `image` crate.
//!
//! Sizes are checked from the header before anything of that size is allocated. Alpha is dropped, not blended, as the
//! reference processors' `convert("RGB")` does; a stored orientation is applied. A delay of 0 or 1 hundredths of a
//! second in a GIF means 10, as every player reads it.

use std::io::Cursor;
use std::sync::Arc;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::error::MediaError;
use crate::frame::{Frame, Rgb, Time};
use crate::limits::Limits;
use crate::quiet::guarded;

/// Ticks a second when the exact common clock of an animation does not fit.
const FALLBACK_SCALE: u64 = 1_000_000;

/// The format of an image file, from its first bytes; `None` when it is none of ours.
pub(crate) fn sniff(head: &[u8]) -> Option<ImageFormat> {
    let is = |magic: &[u8]| head.starts_with(magic);
    if is(&[0xff, 0xd8, 0xff]) {
        Some(ImageFormat::Jpeg)
    } else if is(b"\x89PNG\r\n\x1a\n") {
        Some(ImageFormat::Png)
    } else if is(b"GIF87a") || is(b"GIF89a") {
        Some(ImageFormat::Gif)
    } else if is(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        Some(ImageFormat::WebP)
    } else {
        None
    }
}

/// An opened image file: its bytes, and what the header and (for animations) the delays say.
#[derive(Debug)]
pub(crate) struct Pictures {
    bytes: Arc<[u8]>,
    format: ImageFormat,
    animated: bool,
    orientation: Orientation,
    limits: image::Limits,
    /// Stored size, before orientation.
    pub(crate) coded: (u32, u32),
    /// Size as shown.
    pub(crate) shown: (u32, u32),
    /// Clockwise rotation of the stored orientation (mirrored ones count as their rotation).
    pub(crate) rotation: u16,
    /// Start of every frame; one entry for a still.
    pub(crate) times: Vec<Time>,
    /// End of the last frame; zero for a still.
    pub(crate) end: Time,
    /// Things worth telling.
    pub(crate) warnings: Vec<String>,
}

impl Pictures {
    /// Reads the header, checks its size against `limits`, and lists the frame times of an animation.
    ///
    /// # Errors
    /// Malformed headers, pictures over the pixel limit, animations over the frame limit.
    pub(crate) fn open(bytes: Arc<[u8]>, format: ImageFormat, limits: &Limits) -> Result<Self, MediaError> {
        guarded("picture", || Self::open_inner(bytes, format, limits))
    }

    fn open_inner(bytes: Arc<[u8]>, format: ImageFormat, limits: &Limits) -> Result<Self, MediaError> {
        // Eight bytes a pixel is the deepest picture (16-bit RGBA); the rest is for tables and compressed data.
        let mut guard = image::Limits::default();
        guard.max_alloc = Some(limits.pixels.saturating_mul(8).saturating_add(limits.header_bytes));
        let mut decoder = reader(&bytes, format).into_decoder().map_err(explain)?;
        let coded = decoder.dimensions();
        let pixels = u64::from(coded.0) * u64::from(coded.1);
        if pixels > limits.pixels {
            return Err(MediaError::Limit { what: "pixels of the picture", number: pixels, limit: limits.pixels });
        }
        if pixels == 0 {
            return Err(MediaError::Malformed { part: "picture", what: format!("size is {}x{}", coded.0, coded.1) });
        }
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        drop(decoder);
        let (rotation, swap) = match orientation {
            Orientation::Rotate90 | Orientation::Rotate90FlipH => (90, true),
            Orientation::Rotate180 => (180, false),
            Orientation::Rotate270 | Orientation::Rotate270FlipH => (270, true),
            Orientation::NoTransforms | Orientation::FlipHorizontal | Orientation::FlipVertical => (0, false),
        };
        let mut pictures = Pictures {
            animated: animated(&bytes, format)?,
            bytes,
            format,
            orientation,
            limits: guard,
            coded,
            shown: if swap { (coded.1, coded.0) } else { coded },
            rotation,
            times: vec![Time::new(0, 1)],
            end: Time::new(0, 1),
            warnings: Vec::new(),
        };
        if pictures.animated {
            pictures.list_times(limits)?;
        }
        Ok(pictures)
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

    /// Walks the animation once for its delays, keeping no picture.
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
            if delays.len() as u64 > limits.samples {
                let (number, limit) = (delays.len() as u64, limits.samples);
                return Err(MediaError::Limit { what: "frames of the animation", number, limit });
            }
        }
        if delays.is_empty() {
            return Err(MediaError::Malformed { part: "animation", what: "it has no frame".into() });
        }
        if self.format == ImageFormat::Gif {
            delays.iter_mut().filter(|d| d.0 < 20 * d.1).for_each(|d| *d = (100, 1));
        }
        let (mut starts, end) = clock(&delays);
        std::mem::swap(&mut self.times, &mut starts);
        self.end = end;
        if self.times.len() == 1 {
            (self.times, self.end) = (vec![Time::new(0, 1)], Time::new(0, 1));
            self.animated = false;
        }
        Ok(())
    }

    fn animation(&self) -> Result<image::Frames<'static>, MediaError> {
        let input = Cursor::new(self.bytes.clone());
        Ok(match self.format {
            ImageFormat::Gif => {
                let mut decoder = GifDecoder::new(input).map_err(explain)?;
                decoder.set_limits(self.limits.clone()).map_err(explain)?;
                decoder.into_frames()
            }
            ImageFormat::Png => PngDecoder::with_limits(input, self.limits.clone())
                .and_then(PngDecoder::apng)
                .map_err(explain)?
                .into_frames(),
            _ => WebPDecoder::new(input).map_err(explain)?.into_frames(),
        })
    }

    fn still(&self) -> Result<DynamicImage, MediaError> {
        let mut reader = reader(&self.bytes, self.format);
        reader.limits(self.limits.clone());
        let decoder = reader.into_decoder().map_err(explain)?;
        DynamicImage::from_decoder(decoder).map_err(explain)
    }

    fn finish(&self, mut picture: DynamicImage) -> Rgb {
        picture.apply_orientation(self.orientation);
        let rgb = picture.into_rgb8();
        Rgb { width: rgb.width(), height: rgb.height(), data: rgb.into_raw() }
    }
}

/// The frames at ascending `indices`, decoded one at a time.
pub(crate) struct PictureFrames {
    pictures: Arc<Pictures>,
    animation: Option<image::Frames<'static>>,
    wanted: std::vec::IntoIter<usize>,
    /// The next frame the animation will give, and the last one it gave.
    next: usize,
    last: Option<(usize, Rgb)>,
}

impl PictureFrames {
    /// `indices` must be ascending and below the number of frames.
    pub(crate) fn new(pictures: Arc<Pictures>, indices: &[usize]) -> Self {
        PictureFrames { pictures, animation: None, wanted: Vec::from(indices).into_iter(), next: 0, last: None }
    }

    fn decode(&mut self, index: usize) -> Result<Rgb, MediaError> {
        if let Some((at, image)) = &self.last
            && *at == index
        {
            return Ok(image.clone());
        }
        let pictures = self.pictures.clone();
        if !pictures.animated {
            return guarded("picture", || Ok(pictures.finish(pictures.still()?)));
        }
        if self.animation.is_none() {
            self.animation = Some(pictures.animation()?);
        }
        let Some(animation) = &mut self.animation else {
            return Err(MediaError::Bug("animation did not start".into()));
        };
        loop {
            let frame = guarded("picture", || animation.next().transpose().map_err(explain))?;
            let Some(frame) = frame else {
                let what = format!("frame {index} of {} is missing", pictures.times.len());
                return Err(MediaError::Malformed { part: "animation", what });
            };
            self.next += 1;
            if self.next > index {
                return Ok(pictures.finish(DynamicImage::ImageRgba8(frame.into_buffer())));
            }
        }
    }
}

impl Iterator for PictureFrames {
    type Item = Result<Frame, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.wanted.next()?;
        Some(self.decode(index).map(|image| {
            self.last = Some((index, image.clone()));
            Frame { index, time: self.pictures.times[index], image }
        }))
    }
}

fn reader(bytes: &Arc<[u8]>, format: ImageFormat) -> ImageReader<Cursor<Arc<[u8]>>> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes.clone()), format);
    // Our own pixel limit comes first; it is checked on the header before the first picture is allocated.
    reader.no_limits();
    reader
}

fn animated(bytes: &Arc<[u8]>, format: ImageFormat) -> Result<bool, MediaError> {
    let input = Cursor::new(bytes.clone());
    Ok(match format {
        ImageFormat::Gif => true,
        ImageFormat::Png => PngDecoder::new(input).and_then(|png| png.is_apng()).map_err(explain)?,
        ImageFormat::WebP => WebPDecoder::new(input).map_err(explain)?.has_animation(),
        _ => false,
    })
}

/// Start times and end of frames with these delays (milliseconds as fractions), on one exact clock where it fits.
fn clock(delays: &[(u32, u32)]) -> (Vec<Time>, Time) {
    let gcd = |mut a: u64, mut b: u64| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a.max(1)
    };
    let mut scale = 1u64;
    for &(numerator, denominator) in delays {
        let denominator = u64::from(denominator.max(1)) * 1000;
        let part = denominator / gcd(u64::from(numerator), denominator);
        scale = scale / gcd(scale, part) * part;
        if scale > u64::from(u32::MAX) {
            scale = FALLBACK_SCALE;
            break;
        }
    }
    let mut at = 0i64;
    let mut starts = Vec::with_capacity(delays.len());
    for &(numerator, denominator) in delays {
        starts.push(Time::new(at, scale as u32));
        at += (u128::from(numerator) * u128::from(scale) / (u128::from(denominator.max(1)) * 1000)) as i64;
    }
    (starts, Time::new(at, scale as u32))
}

fn explain(error: ImageError) -> MediaError {
    match error {
        ImageError::Unsupported(what) => MediaError::Unsupported {
            what: what.to_string(),
            remedy: "convert the picture to an ordinary JPEG, PNG, WebP or GIF".into(),
        },
        ImageError::IoError(error) => MediaError::Malformed { part: "picture", what: format!("cut short ({error})") },
        ImageError::Limits(error) => MediaError::Malformed { part: "picture", what: error.to_string() },
        error => MediaError::Malformed { part: "picture", what: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(times: &[Time]) -> Vec<f64> {
        times.iter().map(|t| t.seconds()).collect()
    }

    #[test]
    fn delays_add_up_exactly() {
        let (starts, end) = clock(&[(100, 1), (100, 3), (100, 3), (100, 3), (40, 1)]);
        assert_eq!(starts[4], Time::new(2, 10));
        assert_eq!(end, Time::new(24, 100));
        assert_eq!(seconds(&clock(&[(70, 1), (30, 1)]).0), [0.0, 0.07]);
    }

    #[test]
    fn short_gif_delays_mean_a_tenth_of_a_second() {
        let mut bytes = Vec::new();
        {
            use image::codecs::gif::GifEncoder;
            let mut encoder = GifEncoder::new(&mut bytes);
            for (i, ms) in [0u32, 10, 20, 50].into_iter().enumerate() {
                let buffer = image::RgbaImage::from_pixel(4, 3, image::Rgba([60 * i as u8, 0, 0, 255]));
                let delay = image::Delay::from_numer_denom_ms(ms, 1);
                encoder.encode_frame(image::Frame::from_parts(buffer, 0, 0, delay)).unwrap();
            }
        }
        let pictures = Pictures::open(bytes.into(), ImageFormat::Gif, &Limits::default()).unwrap();
        assert_eq!(seconds(&pictures.times), [0.0, 0.1, 0.2, 0.22]);
        assert_eq!(pictures.end.seconds(), 0.27);
        let frames: Vec<_> = PictureFrames::new(Arc::new(pictures), &[1, 1, 3]).map(Result::unwrap).collect();
        assert_eq!(frames.iter().map(|f| f.image.data[0]).collect::<Vec<_>>(), [60, 60, 180]);
    }

    #[test]
    fn pixel_limit_is_checked_on_the_header() {
        let mut png = Vec::new();
        image::RgbImage::new(8, 8).write_to(&mut Cursor::new(&mut png), ImageFormat::Png).unwrap();
        png[16..20].copy_from_slice(&40_000u32.to_be_bytes());
        png[20..24].copy_from_slice(&40_000u32.to_be_bytes());
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        let error = Pictures::open(png.into(), ImageFormat::Png, &Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), "pixels of the picture: 1600000000 is more than the limit of 100000000");
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |c, _| (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg()))
        })
    }

    #[test]
    fn every_cut_is_an_error_or_a_picture() {
        let mut png = Vec::new();
        image::RgbImage::from_fn(16, 16, |x, y| image::Rgb([x as u8, y as u8, 9]))
            .write_to(&mut Cursor::new(&mut png), ImageFormat::Png)
            .unwrap();
        for cut in 0..png.len() {
            if let Ok(pictures) = Pictures::open(png[..cut].into(), ImageFormat::Png, &Limits::default()) {
                let frames: Vec<_> = PictureFrames::new(Arc::new(pictures), &[0]).collect();
                assert_eq!(frames.len(), 1);
            }
        }
    }
}
