//! A picture of float levels that is painted on.

use zoetrope_media::Rgb;

use super::palette::{Levels, mix};

/// Levels of every pixel, row by row.
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<Levels>,
}

impl Canvas {
    /// A black one.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Canvas { width, height, pixels: vec![[0.0; 3]; width * height] }
    }

    /// Gives every pixel the color of its place.
    pub(super) fn paint(&mut self, color: impl Fn(f32, f32) -> Levels) {
        for (y, row) in self.pixels.chunks_exact_mut(self.width).enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = color(x as f32, y as f32);
            }
        }
    }

    /// Gives every pixel a color that follows from its own and its place.
    pub(super) fn change(&mut self, new: impl Fn(Levels, f32, f32) -> Levels) {
        for (y, row) in self.pixels.chunks_exact_mut(self.width).enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = new(*pixel, x as f32, y as f32);
            }
        }
    }

    /// The mean over `2 radius + 1` pixels, along rows and then along columns.
    pub(super) fn blur(&mut self, radius: usize) {
        let (width, height) = (self.width, self.height);
        self.pixels = blurred(&self.pixels, (height, width), (width, 1), radius);
        self.pixels = blurred(&self.pixels, (width, height), (1, width), radius);
    }

    /// The levels at a point, between pixels; outside, the canvas is mirrored.
    pub(super) fn at(&self, x: f32, y: f32) -> Levels {
        let (x, y) = (mirrored(x, (self.width - 1) as f32), mirrored(y, (self.height - 1) as f32));
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let pixel = |x: usize, y: usize| self.pixels[y * self.width + x];
        let above = mix(pixel(left, top), pixel(right, top), x.fract());
        let below = mix(pixel(left, bottom), pixel(right, bottom), x.fract());
        mix(above, below, y.fract())
    }

    /// The pixels `color(x, y)` of a picture of `width` by `height`.
    pub(super) fn picture(width: u32, height: u32, color: impl Fn(f32, f32) -> Levels) -> Rgb {
        let mut data = Vec::with_capacity(width as usize * height as usize * 3);
        for y in 0..height {
            for x in 0..width {
                data.extend(color(x as f32, y as f32).map(|level| level.clamp(0.0, 255.0).round() as u8));
            }
        }
        Rgb { width, height, data }
    }
}

/// `at` folded into `0..=last`.
fn mirrored(at: f32, last: f32) -> f32 {
    let folded = at.rem_euclid(2.0 * last);
    folded.min(2.0 * last - folded)
}

/// Means over lines: `lines` of `length` pixels that begin `strides.0` and go on `strides.1` apart.
fn blurred(pixels: &[Levels], (lines, length): (usize, usize), strides: (usize, usize), radius: usize) -> Vec<Levels> {
    let mut out = vec![[0.0; 3]; pixels.len()];
    for line in 0..lines {
        let at = |place: usize| line * strides.0 + place * strides.1;
        for place in 0..length {
            let (first, last) = (place.saturating_sub(radius), (place + radius).min(length - 1));
            let mut sum = [0.0; 3];
            for near in first..=last {
                sum.iter_mut().zip(pixels[at(near)]).for_each(|(sum, level)| *sum += level);
            }
            out[at(place)] = sum.map(|sum| sum / (last - first + 1) as f32);
        }
    }
    out
}
