//! The canvas of an animation: its frames are drawn onto it one after the other.
//!
//! Blending and disposal are those that APNG (W3C PNG, third edition, 10.3) and animated WebP (RFC 9649, 2.7.1) share.
//! The canvas starts transparent and "background" means transparent, as browsers do it.

use image::RgbaImage;

/// How the pixels of a frame join those of the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blend {
    /// They replace them, alpha included.
    Replace,
    /// They are composited over them.
    Over,
}

/// What becomes of a frame's rectangle before the next frame is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dispose {
    /// It stays.
    Keep,
    /// It is cleared.
    Background,
    /// What the canvas showed there before the frame comes back.
    Previous,
}

/// The rectangle of a frame on its canvas, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// The canvas and what has to happen to it before the next frame.
pub(super) struct Canvas {
    image: RgbaImage,
    /// Rectangle to restore first, with its pixels; `None` for the pixels clears it.
    dispose: Option<(Rect, Option<RgbaImage>)>,
}

impl Canvas {
    /// A transparent canvas. The caller has checked the size.
    pub(super) fn new((width, height): (u32, u32)) -> Self {
        Canvas { image: RgbaImage::new(width, height), dispose: None }
    }

    /// What the canvas shows now.
    pub(super) fn image(&self) -> &RgbaImage {
        &self.image
    }

    /// Disposes of the frame before and draws `frame`, which has the size of `rect` and lies on the canvas.
    pub(super) fn draw(&mut self, frame: &RgbaImage, rect: Rect, blend: Blend, dispose: Dispose) {
        self.dispose_of_last();
        self.dispose = match dispose {
            Dispose::Keep => None,
            Dispose::Background => Some((rect, None)),
            Dispose::Previous => {
                let before = image::imageops::crop_imm(&self.image, rect.x, rect.y, rect.width, rect.height);
                Some((rect, Some(before.to_image())))
            }
        };
        self.each_row(rect, |row, to| {
            let from = &frame.as_raw()[row * to.len()..(row + 1) * to.len()];
            match blend {
                Blend::Replace => to.copy_from_slice(from),
                Blend::Over => blend_row(from, to),
            }
        });
    }

    /// Disposes of the frame before, for a frame that cannot be decoded.
    fn dispose_of_last(&mut self) {
        match self.dispose.take() {
            None => {}
            Some((rect, None)) => self.each_row(rect, |_, to| to.fill(0)),
            Some((rect, Some(before))) => self.each_row(rect, |row, to| {
                to.copy_from_slice(&before.as_raw()[row * to.len()..(row + 1) * to.len()]);
            }),
        }
    }

    /// Calls `work` with the number and the bytes of each row of `rect`.
    fn each_row(&mut self, rect: Rect, work: impl Fn(usize, &mut [u8])) {
        let stride = self.image.width() as usize * 4;
        let (from, to) = (rect.x as usize * 4, (rect.x + rect.width) as usize * 4);
        let rows = self.image.chunks_exact_mut(stride).skip(rect.y as usize).take(rect.height as usize);
        rows.enumerate().for_each(|(row, bytes)| work(row, &mut bytes[from..to]));
    }
}

/// Composites pixels of straight alpha over pixels of straight alpha, rounded to nearest.
fn blend_row(from: &[u8], to: &mut [u8]) {
    for (from, to) in from.chunks_exact(4).zip(to.chunks_exact_mut(4)) {
        match from[3] {
            0 => {}
            255 => to.copy_from_slice(from),
            alpha => {
                let above = u32::from(alpha) * 255;
                let below = u32::from(to[3]) * (255 - u32::from(alpha));
                let sum = above + below;
                for (to, &from) in to[..3].iter_mut().zip(from) {
                    *to = ((u32::from(from) * above + u32::from(*to) * below + sum / 2) / sum) as u8;
                }
                to[3] = ((sum + 127) / 255) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgba;

    use super::*;

    const RED: [u8; 4] = [255, 0, 0, 255];

    fn one(color: [u8; 4]) -> RgbaImage {
        RgbaImage::from_pixel(1, 1, Rgba(color))
    }

    fn at(x: u32) -> Rect {
        Rect { x, y: 0, width: 1, height: 1 }
    }

    fn shown(canvas: &Canvas) -> Vec<u8> {
        canvas.image().pixels().map(|p| p.0[3]).collect()
    }

    #[test]
    fn a_frame_is_disposed_of_before_the_next_is_drawn() {
        let mut canvas = Canvas::new((3, 1));
        canvas.draw(&one(RED), at(0), Blend::Over, Dispose::Background);
        assert_eq!(shown(&canvas), [255, 0, 0]);
        canvas.draw(&one(RED), at(1), Blend::Over, Dispose::Keep);
        assert_eq!(shown(&canvas), [0, 255, 0]);
        canvas.draw(&one([0, 0, 0, 0]), at(1), Blend::Replace, Dispose::Previous);
        assert_eq!(shown(&canvas), [0, 0, 0]);
        canvas.draw(&one(RED), at(2), Blend::Over, Dispose::Keep);
        assert_eq!(shown(&canvas), [0, 255, 255]);
    }

    #[test]
    fn half_over_half_is_three_quarters() {
        let mut canvas = Canvas::new((1, 1));
        canvas.draw(&one([0, 0, 0, 128]), at(0), Blend::Replace, Dispose::Keep);
        canvas.draw(&one([255, 0, 0, 128]), at(0), Blend::Over, Dispose::Keep);
        assert_eq!(canvas.image().get_pixel(0, 0).0, [170, 0, 0, 192]);
        canvas.draw(&one([9, 9, 9, 0]), at(0), Blend::Over, Dispose::Keep);
        assert_eq!(canvas.image().get_pixel(0, 0).0, [170, 0, 0, 192]);
    }
}
