//! The requested frames of an image file.

use std::sync::Arc;

use image::DynamicImage;

use super::animation::gif;
use super::animation::player::Player;
use super::file::{ImageFile, PixelSource};
use super::still::explain;
use crate::decode::decoder_panic::catch_decoder_panic;
use crate::error::{MediaError, malformed};
use crate::frame::{Frame, Rgb};

/// The frames at ascending indices, decoded one at a time.
pub(crate) struct ImageFrames {
    file: Arc<ImageFile>,
    state: State,
    requested: std::iter::Peekable<std::vec::IntoIter<usize>>,
    /// The last frame given, when it is requested again: its index and image.
    last: Option<(usize, Rgb)>,
    /// Frames given that show the canvas before them because they could not be decoded.
    pub(crate) repeated: usize,
}

/// How far an animation has been played.
enum State {
    Start,
    /// The decoder, and the index of the frame that it gives next.
    Gif(image::Frames<'static>, usize),
    Animation(Player),
}

impl ImageFrames {
    /// `indices` must be ascending and below the number of frames.
    pub(crate) fn new(file: Arc<ImageFile>, indices: &[usize]) -> Self {
        let requested = Vec::from(indices).into_iter().peekable();
        ImageFrames { file, state: State::Start, requested, last: None, repeated: 0 }
    }

    fn decode(&mut self, index: usize) -> Result<Rgb, MediaError> {
        if let Some((_, image)) = self.last.take_if(|(at, _)| *at == index) {
            return Ok(image);
        }
        let file = self.file.clone();
        match &file.pixels {
            PixelSource::Still { .. } | PixelSource::Heif(_) => catch_decoder_panic("picture", || file.decode_still()),
            PixelSource::Gif { bytes, limits } => {
                if matches!(self.state, State::Start) {
                    self.state = State::Gif(gif::frames(bytes, limits)?, 0);
                }
                let State::Gif(frames, next) = &mut self.state else { return Err(not_started()) };
                let frame = catch_decoder_panic("picture", || gif_frame(frames, next, index))?;
                Ok(file.to_rgb(DynamicImage::ImageRgba8(frame.into_buffer())))
            }
            PixelSource::Animation(animation) => {
                if matches!(self.state, State::Start) {
                    self.state = State::Animation(Player::new(animation));
                }
                let State::Animation(player) = &mut self.state else { return Err(not_started()) };
                let (image, decoded) = player.play(animation, index)?;
                self.repeated += usize::from(!decoded);
                Ok(file.to_rgb(DynamicImage::ImageRgba8(image.clone())))
            }
        }
    }
}

fn not_started() -> MediaError {
    MediaError::Bug("animation did not start".into())
}

/// Takes frames up to the one at `index`. `next` counts them.
fn gif_frame(frames: &mut image::Frames<'_>, next: &mut usize, index: usize) -> Result<image::Frame, MediaError> {
    loop {
        let Some(frame) = frames.next().transpose().map_err(explain)? else {
            return Err(malformed("animation", format!("frame {index} is missing, it ends after {next}")));
        };
        *next += 1;
        if *next > index {
            return Ok(frame);
        }
    }
}

impl Iterator for ImageFrames {
    type Item = Result<Frame, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.requested.next()?;
        Some(self.decode(index).map(|image| {
            if self.requested.peek() == Some(&index) {
                self.last = Some((index, image.clone()));
            }
            Frame { index, time: self.file.times[index], image }
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::ImageFormat;

    use super::super::format::PictureFormat;
    use super::*;
    use crate::options::OpenOptions;

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
        let file = ImageFile::open(bytes.into(), PictureFormat::Gif, &OpenOptions::default()).unwrap();
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
        let error = ImageFile::open(png.into(), PictureFormat::Png, &OpenOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), "pixels of the picture: 1600000000 is more than the limit of 357913941");
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
            if let Ok(file) = ImageFile::open(png[..cut].into(), PictureFormat::Png, &OpenOptions::default()) {
                let frames: Vec<_> = ImageFrames::new(Arc::new(file), &[0]).collect();
                assert_eq!(frames.len(), 1);
            }
        }
    }
}
