//! A picture that is painted on, and what makes it look taken and not drawn: blur, vignette, gray film, blocks.

use zoetrope_media::Rgb;

use super::leaves::{self, LeafStyle};
use super::noise::NoiseField;
use super::pages;
use super::palette::{Levels, Palette, mix};
use crate::synth::rng::SynthRng;

/// Levels of every pixel, row by row.
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<Levels>,
}

impl Canvas {
    /// A random image of one of the kinds.
    pub(super) fn sample(rng: &mut SynthRng, (width, height): (usize, usize)) -> Self {
        let mut canvas = Canvas { width, height, pixels: vec![[0.0; 3]; width * height] };
        let palette = Palette::sample(rng);
        match rng.weighted_index(&[0.28, 0.22, 0.16, 0.14, 0.08, 0.06, 0.06]) {
            0 => leaves::paint(&mut canvas, rng, &palette, LeafStyle::Many),
            1 => canvas.landscape(rng, &palette),
            2 => leaves::paint(&mut canvas, rng, &palette, LeafStyle::Few),
            3 => canvas.clouds(rng, &palette),
            4 => pages::text(&mut canvas, rng),
            5 => pages::test_pattern(&mut canvas, rng),
            _ => canvas.nearly_empty(rng),
        }
        canvas.finish(rng);
        canvas
    }

    /// Noise through all colors of a palette, pushed about by other noise.
    fn clouds(&mut self, rng: &mut SynthRng, palette: &Palette) {
        let (size, cells) = ((self.width, self.height), rng.uniform(2.0, 9.0));
        let persistence = rng.uniform(0.4, 0.75);
        let field = NoiseField::new(rng, size, cells, persistence);
        let warp = NoiseField::new(rng, size, 3.0, 0.5);
        let (push, contrast) = (rng.uniform(0.0, 90.0), rng.uniform(1.0, 3.0));
        self.paint(|x, y| {
            let shift = (warp.at(x, y) - 0.5) * push;
            palette.along(0.5 + (field.at(x + shift, y - shift) - 0.5) * contrast)
        });
    }

    /// Ground and sky with a rough line between them, and things that stand on it.
    fn landscape(&mut self, rng: &mut SynthRng, palette: &Palette) {
        let size = (self.width, self.height);
        let cells = [rng.uniform(2.0, 6.0), rng.uniform(6.0, 30.0), rng.uniform(2.0, 6.0)];
        let [sky, ground, line] = cells.map(|cells| NoiseField::new(rng, size, cells, 0.6));
        let horizon = rng.uniform(0.2, 0.8) * self.height as f32;
        let rough = rng.uniform(0.0, 0.5) * self.height as f32;
        let (high, low, earth) = (palette.near(rng), palette.near(rng), palette.near(rng));
        self.paint(|x, y| {
            let edge = horizon + (line.at(x, 0.0) - 0.5) * rough;
            if y < edge {
                let share = (y / edge.max(1.0)).clamp(0.0, 1.0);
                mix(high, low, share).map(|level| level + (sky.at(x, y) - 0.5) * 60.0)
            } else {
                earth.map(|level| level + (ground.at(x, y) - 0.5) * 150.0)
            }
        });
        leaves::paint(self, rng, palette, LeafStyle::Standing);
    }

    /// A dark or bright frame with next to nothing on it, as films begin and end.
    fn nearly_empty(&mut self, rng: &mut SynthRng) {
        let level = if rng.random_bool(0.6) { rng.uniform(0.0, 18.0) } else { rng.uniform(236.0, 255.0) };
        let field = NoiseField::new(rng, (self.width, self.height), 3.0, 0.5);
        let amplitude = rng.uniform(0.0, 30.0);
        self.paint(|x, y| [level + (field.at(x, y) - 0.5) * amplitude; 3]);
        if rng.random_bool(0.4) {
            pages::title(self, rng);
        }
    }

    /// Gives every pixel the color of its place.
    pub(super) fn paint(&mut self, color: impl Fn(f32, f32) -> Levels) {
        for (y, row) in self.pixels.chunks_exact_mut(self.width).enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = color(x as f32, y as f32);
            }
        }
    }

    fn finish(&mut self, rng: &mut SynthRng) {
        if rng.random_bool(0.4) {
            let radius = rng.range_inclusive(1, 3);
            self.blur(radius);
        }
        if rng.random_bool(0.3) {
            let (width, height, depth) = (self.width as f32, self.height as f32, rng.uniform(0.2, 0.9));
            let light = |x: f32, y: f32| {
                let (u, v) = (x / width - 0.5, y / height - 0.5);
                1.0 - depth * (u * u + v * v) * 2.0
            };
            self.change(|pixel, x, y| pixel.map(|level| level * light(x, y)));
        }
        if rng.random_bool(0.15) {
            self.change(|pixel, _, _| [0.3 * pixel[0] + 0.59 * pixel[1] + 0.11 * pixel[2]; 3]);
        }
        let (gain, shift) = (rng.uniform(0.7, 1.2), rng.uniform(-25.0, 25.0));
        self.change(|pixel, _, _| pixel.map(|level| (level - 128.0) * gain + 128.0 + shift));
        if rng.random_bool(0.15) {
            self.letterbox(rng);
        }
    }

    fn change(&mut self, new: impl Fn(Levels, f32, f32) -> Levels) {
        for (y, row) in self.pixels.chunks_exact_mut(self.width).enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = new(*pixel, x as f32, y as f32);
            }
        }
    }

    /// The mean over `2 radius + 1` pixels, along rows and then along columns.
    fn blur(&mut self, radius: usize) {
        let (width, height) = (self.width, self.height);
        self.pixels = blurred(&self.pixels, (height, width), (width, 1), radius);
        self.pixels = blurred(&self.pixels, (width, height), (1, width), radius);
    }

    /// Black bars above and below.
    fn letterbox(&mut self, rng: &mut SynthRng) {
        let bar = (rng.uniform(0.05, 0.2) * self.height as f32) as usize * self.width;
        let end = self.pixels.len() - bar;
        self.pixels[..bar].fill([0.0; 3]);
        self.pixels[end..].fill([0.0; 3]);
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
