//! The requested frames of an image file.

use std::sync::Arc;

use image::DynamicImage;

use super::file::ImageFile;
use super::format::explain;
use crate::decode::decoder_panic::catch_decoder_panic;
use crate::error::{MediaError, malformed};
use crate::frame::{Frame, Rgb};

/// The frames at ascending indices, decoded one at a time.
pub(crate) struct ImageFrames {
    file: Arc<ImageFile>,
    animation: Option<image::Frames<'static>>,
    requested: std::vec::IntoIter<usize>,
    /// Index of the next frame that the animation will give.
    next: usize,
    /// The last frame given: its index and image.
    last: Option<(usize, Rgb)>,
}

impl ImageFrames {
    /// `indices` must be ascending and below the number of frames.
    pub(crate) fn new(file: Arc<ImageFile>, indices: &[usize]) -> Self {
        ImageFrames { file, animation: None, requested: Vec::from(indices).into_iter(), next: 0, last: None }
    }

    fn decode(&mut self, index: usize) -> Result<Rgb, MediaError> {
        if let Some((at, image)) = &self.last
            && *at == index
        {
            return Ok(image.clone());
        }
        let file = self.file.clone();
        if !file.animated {
            return catch_decoder_panic("picture", || Ok(file.to_rgb(file.decode_still()?)));
        }
        if self.animation.is_none() {
            self.animation = Some(file.animation()?);
        }
        let Some(animation) = &mut self.animation else {
            return Err(MediaError::Bug("animation did not start".into()));
        };
        loop {
            let frame = catch_decoder_panic("picture", || animation.next().transpose().map_err(explain))?;
            let Some(frame) = frame else {
                let what = format!("frame {index} of {} is missing", file.times.len());
                return Err(malformed("animation", what));
            };
            self.next += 1;
            if self.next > index {
                return Ok(file.to_rgb(DynamicImage::ImageRgba8(frame.into_buffer())));
            }
        }
    }
}

impl Iterator for ImageFrames {
    type Item = Result<Frame, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.requested.next()?;
        Some(self.decode(index).map(|image| {
            self.last = Some((index, image.clone()));
            Frame { index, time: self.file.times[index], image }
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::ImageFormat;

    use super::*;
    use crate::limits::Limits;

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
        let file = ImageFile::open(bytes.into(), ImageFormat::Gif, &Limits::default()).unwrap();
        assert_eq!(file.times.iter().map(|t| t.seconds()).collect::<Vec<_>>(), [0.0, 0.1, 0.2, 0.22]);
        assert_eq!(file.end.seconds(), 0.27);
        let frames: Vec<_> = ImageFrames::new(Arc::new(file), &[1, 1, 3]).map(Result::unwrap).collect();
        assert_eq!(frames.iter().map(|f| f.image.data[0]).collect::<Vec<_>>(), [60, 60, 180]);
    }

    #[test]
    fn the_pixel_limit_is_checked_on_the_header() {
        let mut png = Vec::new();
        image::RgbImage::new(8, 8).write_to(&mut Cursor::new(&mut png), ImageFormat::Png).unwrap();
        png[16..20].copy_from_slice(&40_000u32.to_be_bytes());
        png[20..24].copy_from_slice(&40_000u32.to_be_bytes());
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        let error = ImageFile::open(png.into(), ImageFormat::Png, &Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), "pixels of the picture: 1600000000 is more than the limit of 100000000");
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |c, _| (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg()))
        })
    }

    #[test]
    fn every_truncation_is_an_error_or_an_image() {
        let mut png = Vec::new();
        image::RgbImage::from_fn(16, 16, |x, y| image::Rgb([x as u8, y as u8, 9]))
            .write_to(&mut Cursor::new(&mut png), ImageFormat::Png)
            .unwrap();
        for cut in 0..png.len() {
            if let Ok(file) = ImageFile::open(png[..cut].into(), ImageFormat::Png, &Limits::default()) {
                let frames: Vec<_> = ImageFrames::new(Arc::new(file), &[0]).collect();
                assert_eq!(frames.len(), 1);
            }
        }
    }
}
