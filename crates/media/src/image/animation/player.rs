//! An animation whose frames are picture files of their own, once their chunks are put together: APNG and WebP.
//!
//! The list of frames is read from chunk headers; no pixel is decoded for it. Playing takes one canvas and one frame.

use std::sync::Arc;

use image::RgbaImage;

use super::super::format::PictureFormat;
use super::super::still;
use super::canvas::{Canvas, Rect};
use super::coded_frame::CodedFrame;
use super::{apng, webp};
use crate::decode::decoder_panic::catch_decoder_panic;
use crate::error::{MediaError, malformed};

/// An animation: its canvas and its frames in order.
#[derive(Clone, Debug)]
pub(in super::super) struct Animation {
    pub(in super::super) bytes: Arc<[u8]>,
    /// `Png` or `WebP`.
    pub(in super::super) format: PictureFormat,
    pub(in super::super) size: (u32, u32),
    /// Chunks of a PNG that every frame needs.
    pub(in super::super) shared: Vec<std::ops::Range<usize>>,
    pub(in super::super) frames: Vec<CodedFrame>,
    pub(in super::super) limits: image::Limits,
}

impl Animation {
    /// Decodes frame `index` alone, without what was drawn before it.
    fn decode(&self, index: usize) -> Result<RgbaImage, MediaError> {
        let frame = &self.frames[index];
        let file = match self.format {
            PictureFormat::Png => apng::frame_file(&self.bytes, &self.shared, frame),
            _ => webp::frame_file(&self.bytes, frame),
        };
        let image = still::decode(&file.into(), self.format, &self.limits)?.into_rgba8();
        let Rect { width, height, .. } = frame.rect;
        if image.dimensions() != (width, height) {
            let (w, h) = image.dimensions();
            return Err(malformed("animation", format!("frame {index} is {w}x{h}, its header says {width}x{height}")));
        }
        Ok(image)
    }
}

/// An animation that is being played from its first frame.
pub(in super::super) struct Player {
    canvas: Canvas,
    next: usize,
}

impl Player {
    pub(in super::super) fn new(animation: &Animation) -> Self {
        Player { canvas: Canvas::new(animation.size), next: 0 }
    }

    /// Plays on up to frame `index` and gives what the canvas shows then, and whether the frame itself was decoded.
    /// A damaged frame leaves the canvas as it was.
    ///
    /// # Errors
    /// What is wrong with the first frame.
    pub(in super::super) fn play(
        &mut self,
        animation: &Animation,
        index: usize,
    ) -> Result<(&RgbaImage, bool), MediaError> {
        let mut decoded = true;
        while self.next <= index {
            let frame = &animation.frames[self.next];
            match catch_decoder_panic("animation", || animation.decode(self.next)) {
                Ok(image) => {
                    self.canvas.draw(&image, frame.rect, frame.blend, frame.dispose);
                    decoded = true;
                }
                Err(error) if self.next == 0 => return Err(error),
                Err(error) => {
                    tracing::debug!("frame {} is repeated: {error}", self.next);
                    decoded = false;
                }
            }
            self.next += 1;
        }
        Ok((self.canvas.image(), decoded))
    }
}
