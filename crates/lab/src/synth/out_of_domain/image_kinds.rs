//! Images of several kinds, and what makes them look taken and not drawn: blur, vignette, gray film, bars.

use super::canvas::Canvas;
use super::leaves::{self, LeafStyle};
use super::noise::NoiseField;
use super::pages;
use super::palette::{Palette, mix};
use crate::synth::rng::SynthRng;

/// A random image of one of the kinds.
pub(super) fn sample(rng: &mut SynthRng, (width, height): (usize, usize)) -> Canvas {
    let mut canvas = Canvas::new(width, height);
    let palette = Palette::sample(rng);
    match rng.weighted_index(&[0.22, 0.18, 0.14, 0.1, 0.1, 0.08, 0.06, 0.05, 0.07]) {
        0 => leaves::paint(&mut canvas, rng, &palette, LeafStyle::Many),
        1 => landscape(&mut canvas, rng, &palette),
        2 => leaves::paint(&mut canvas, rng, &palette, LeafStyle::Few),
        3 => portrait(&mut canvas, rng, &palette),
        4 => clouds(&mut canvas, rng, &palette),
        5 => glow(&mut canvas, rng, &palette),
        6 => pages::text(&mut canvas, rng),
        7 => nearly_empty(&mut canvas, rng),
        _ => pages::test_pattern(&mut canvas, rng),
    }
    finish(&mut canvas, rng);
    canvas
}

/// Noise through all colors of a palette, pushed about by other noise.
fn clouds(canvas: &mut Canvas, rng: &mut SynthRng, palette: &Palette) {
    let (size, cells) = ((canvas.width, canvas.height), rng.uniform(2.0, 9.0));
    let persistence = rng.uniform(0.4, 0.75);
    let field = NoiseField::new(rng, size, cells, persistence);
    let warp = NoiseField::new(rng, size, 3.0, 0.5);
    let (push, contrast) = (rng.uniform(0.0, 90.0), rng.uniform(1.0, 3.0));
    canvas.paint(|x, y| {
        let shift = (warp.at(x, y) - 0.5) * push;
        palette.along(0.5 + (field.at(x + shift, y - shift) - 0.5) * contrast)
    });
}

/// Ground and sky with a rough line between them, and things that stand on it.
fn landscape(canvas: &mut Canvas, rng: &mut SynthRng, palette: &Palette) {
    let size = (canvas.width, canvas.height);
    let cells = [rng.uniform(2.0, 6.0), rng.uniform(6.0, 30.0), rng.uniform(2.0, 6.0)];
    let [sky, ground, line] = cells.map(|cells| NoiseField::new(rng, size, cells, 0.6));
    let horizon = rng.uniform(0.2, 0.8) * canvas.height as f32;
    let rough = rng.uniform(0.0, 0.5) * canvas.height as f32;
    let (high, low, earth) = (palette.near(rng), palette.near(rng), palette.near(rng));
    canvas.paint(|x, y| {
        let edge = horizon + (line.at(x, 0.0) - 0.5) * rough;
        if y < edge {
            let share = (y / edge.max(1.0)).clamp(0.0, 1.0);
            mix(high, low, share).map(|level| level + (sky.at(x, y) - 0.5) * 60.0)
        } else {
            earth.map(|level| level + (ground.at(x, y) - 0.5) * 150.0)
        }
    });
    leaves::paint(canvas, rng, palette, LeafStyle::Standing);
}

/// One or a few large things, sharp before a background that is not.
fn portrait(canvas: &mut Canvas, rng: &mut SynthRng, palette: &Palette) {
    let behind = if rng.random_bool(0.5) { LeafStyle::Many } else { LeafStyle::Few };
    leaves::paint(canvas, rng, palette, behind);
    let radius = rng.range_inclusive(3, 12);
    canvas.blur(radius);
    canvas.blur(radius);
    let colors = Palette::sample(rng);
    leaves::paint(canvas, rng, &colors, LeafStyle::Grown);
}

/// Lights in the dark: fire, lamps, a stage.
fn glow(canvas: &mut Canvas, rng: &mut SynthRng, palette: &Palette) {
    let size = (canvas.width, canvas.height);
    let cells = rng.uniform(3.0, 12.0);
    let field = NoiseField::new(rng, size, cells, 0.65);
    let warp = NoiseField::new(rng, size, 5.0, 0.6);
    let (dark, light) = (rng.uniform(0.0, 40.0), palette.near(rng));
    let (steep, threshold, push) = (rng.uniform(3.0, 12.0), rng.uniform(0.5, 0.65), rng.uniform(0.0, 60.0));
    canvas.paint(|x, y| {
        let level = field.at(x, y + (warp.at(x, y) - 0.5) * push);
        let share = ((level - threshold) * steep).clamp(0.0, 1.0);
        mix(mix([dark; 3], light, share), [255.0; 3], (2.0 * share - 1.0).max(0.0))
    });
}

/// A dark or bright frame with next to nothing on it, as films begin and end.
fn nearly_empty(canvas: &mut Canvas, rng: &mut SynthRng) {
    let level = if rng.random_bool(0.6) { rng.uniform(0.0, 18.0) } else { rng.uniform(236.0, 255.0) };
    let field = NoiseField::new(rng, (canvas.width, canvas.height), 3.0, 0.5);
    let amplitude = rng.uniform(0.0, 30.0);
    canvas.paint(|x, y| [level + (field.at(x, y) - 0.5) * amplitude; 3]);
    if rng.random_bool(0.4) {
        pages::title(canvas, rng);
    }
}

fn finish(canvas: &mut Canvas, rng: &mut SynthRng) {
    if rng.random_bool(0.3) {
        let radius = rng.range_inclusive(1, 3);
        canvas.blur(radius);
    }
    if rng.random_bool(0.3) {
        let (width, height, depth) = (canvas.width as f32, canvas.height as f32, rng.uniform(0.2, 0.9));
        let light = |x: f32, y: f32| {
            let (u, v) = (x / width - 0.5, y / height - 0.5);
            1.0 - depth * (u * u + v * v) * 2.0
        };
        canvas.change(|pixel, x, y| pixel.map(|level| level * light(x, y)));
    }
    if rng.random_bool(0.15) {
        canvas.change(|pixel, _, _| [0.3 * pixel[0] + 0.59 * pixel[1] + 0.11 * pixel[2]; 3]);
    }
    let (gain, shift) = (rng.uniform(0.7, 1.2), rng.uniform(-25.0, 25.0));
    canvas.change(|pixel, _, _| pixel.map(|level| (level - 128.0) * gain + 128.0 + shift));
    if rng.random_bool(0.15) {
        letterbox(canvas, rng);
    }
}

/// Black bars above and below.
fn letterbox(canvas: &mut Canvas, rng: &mut SynthRng) {
    let bar = (rng.uniform(0.05, 0.2) * canvas.height as f32) as usize * canvas.width;
    let end = canvas.pixels.len() - bar;
    canvas.pixels[..bar].fill([0.0; 3]);
    canvas.pixels[end..].fill([0.0; 3]);
}
