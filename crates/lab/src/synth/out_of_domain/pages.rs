//! What cameras do not take: pages of text, screens, titles, test patterns.

use super::canvas::Canvas;
use super::palette::Levels;
use crate::synth::rng::SynthRng;

/// A page or a screen: boxes, and lines of strokes that look like words.
pub(super) fn text(canvas: &mut Canvas, rng: &mut SynthRng) {
    let dark = rng.random_bool(0.35);
    let paper = rng.uniform(220.0, 255.0);
    let (paper, ink) = if dark { (255.0 - paper, 200.0) } else { (paper, rng.uniform(0.0, 90.0)) };
    canvas.pixels.fill([paper; 3]);
    for _ in 0..rng.below(7) {
        let color = std::array::from_fn(|_| rng.uniform(0.0, 255.0));
        let (x, y) = (rng.below(canvas.width), rng.below(canvas.height));
        let (w, h) = (rng.below(canvas.width), rng.below(canvas.height / 3));
        fill(canvas, (x, y), (w, h), color);
    }
    let mut y = rng.below(20);
    while y < canvas.height {
        let size = rng.range_inclusive(5, 16);
        line(canvas, rng, y, size, [ink; 3]);
        y += size + rng.range_inclusive(2, 12);
    }
}

/// A line of large strokes on what is there.
pub(super) fn title(canvas: &mut Canvas, rng: &mut SynthRng) {
    let ink = if canvas.pixels[0][0] < 128.0 { 235.0 } else { 20.0 };
    let (y, size) = (canvas.height / 3 + rng.below(canvas.height / 3 + 1), rng.range_inclusive(10, 30));
    line(canvas, rng, y, size, [ink; 3]);
}

/// Words of vertical and horizontal strokes, `size` pixels high.
fn line(canvas: &mut Canvas, rng: &mut SynthRng, y: usize, size: usize, ink: Levels) {
    let stroke = (size / 6).max(1);
    let end = canvas.width.saturating_sub(rng.below(canvas.width / 2 + 1));
    let mut x = rng.below(canvas.width / 4 + 1);
    while x < end {
        for _ in 0..rng.range_inclusive(1, 9) {
            let width = rng.range_inclusive(size / 3, size * 2 / 3).max(2);
            for _ in 0..rng.range_inclusive(2, 4) {
                let (dx, dy) = (rng.below(width), rng.below(size));
                match rng.random_bool(0.5) {
                    true => fill(canvas, (x + dx.min(width - 1), y), (stroke, size), ink),
                    false => fill(canvas, (x, y + dy), (width, stroke), ink),
                }
            }
            x += width + stroke;
        }
        x += size / 2;
    }
}

/// Bars, fine checks, or rings.
pub(super) fn test_pattern(canvas: &mut Canvas, rng: &mut SynthRng) {
    let colors: Vec<Levels> = (0..8).map(|_| std::array::from_fn(|_| rng.below(2) as f32 * 255.0)).collect();
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    let (step, bars) = (rng.uniform(2.0, 9.0), rng.uniform(0.4, 0.9));
    match rng.below(3) {
        0 => canvas.paint(|x, y| {
            let lower = [255.0 * x / width; 3];
            if y < bars * height { colors[(x * 8.0 / width) as usize % 8] } else { lower }
        }),
        1 => canvas.paint(|x, y| [((x / step) as usize + (y / step) as usize) as f32 % 2.0 * 255.0; 3]),
        _ => canvas.paint(|x, y| {
            let distance = ((x - width / 2.0).powi(2) + (y - height / 2.0).powi(2)).sqrt();
            colors[(distance / (3.0 * step)) as usize % 8]
        }),
    }
}

fn fill(canvas: &mut Canvas, (x, y): (usize, usize), (width, height): (usize, usize), color: Levels) {
    let columns = x.min(canvas.width)..(x + width).min(canvas.width);
    for row in y.min(canvas.height)..(y + height).min(canvas.height) {
        canvas.pixels[row * canvas.width..][columns.clone()].fill(color);
    }
}
