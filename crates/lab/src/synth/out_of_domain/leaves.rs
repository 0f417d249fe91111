//! Dead leaves: textured shapes of all sizes that hide each other, as things in photographs do.

use super::canvas::Canvas;
use super::noise::NoiseField;
use super::palette::{Levels, Palette};
use crate::synth::rng::SynthRng;

/// What an image of leaves looks like.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum LeafStyle {
    /// The canvas is full of them.
    Many,
    /// Large ones, softly shaded, over noise.
    Few,
    /// Some on top of what is there, with their feet in the lower part.
    Standing,
    /// Parts of one thing on top of what is there: each grows out of the one before.
    Grown,
}

struct Leaf {
    center: (f32, f32),
    /// Half axes in pixels.
    reach: (f32, f32),
    /// Cosine and sine.
    angle: (f32, f32),
    outline: Outline,
    color: Levels,
    /// Levels from one side to the other.
    shade: f32,
    texture: f32,
}

#[derive(Clone, Copy)]
enum Outline {
    Ellipse,
    Box,
    /// An ellipse with lobes: how many, and how deep.
    Blob(f32, f32),
}

/// Paints leaves over what is there.
pub(super) fn paint(canvas: &mut Canvas, rng: &mut SynthRng, palette: &Palette, style: LeafStyle) {
    let size = (canvas.width, canvas.height);
    let cells = rng.uniform(8.0, 60.0);
    let texture = NoiseField::new(rng, size, cells, 0.7);
    let side = canvas.width.min(canvas.height) as f32;
    if matches!(style, LeafStyle::Many | LeafStyle::Few) {
        let (ground, field) = (palette.near(rng), NoiseField::new(rng, size, 4.0, 0.6));
        canvas.paint(|x, y| ground.map(|level| level + (field.at(x, y) - 0.5) * 120.0));
    }
    let (count, smallest, largest) = match style {
        LeafStyle::Many => (rng.range_inclusive(100, 1500), rng.uniform(0.008, 0.04) * side, 0.6 * side),
        LeafStyle::Few => (rng.range_inclusive(8, 60), 0.1 * side, 0.8 * side),
        LeafStyle::Standing => (rng.range_inclusive(2, 30), 0.05 * side, 0.5 * side),
        LeafStyle::Grown => (rng.range_inclusive(4, 30), 0.05 * side, 0.4 * side),
    };
    let mut before: Option<(f32, f32)> = None;
    for _ in 0..count {
        let mut leaf = Leaf::sample(rng, palette, (canvas.width, canvas.height), (smallest, largest), style);
        if let (LeafStyle::Grown, Some(before)) = (style, before) {
            let shift = |rng: &mut SynthRng| rng.uniform(-0.2, 0.2) * side;
            leaf.center = (before.0 + shift(rng), before.1 + shift(rng));
        }
        before = Some(leaf.center);
        leaf.paint(canvas, &texture);
    }
}

impl Leaf {
    fn sample(
        rng: &mut SynthRng,
        palette: &Palette,
        (width, height): (usize, usize),
        (smallest, largest): (f32, f32),
        style: LeafStyle,
    ) -> Self {
        // Sizes whose density falls with the third power: images of them look alike at every scale.
        let unit = rng.unit_f32();
        let (a, b) = (smallest.powi(-2), largest.powi(-2));
        let size = (a + (b - a) * unit).powf(-0.5);
        let aspect = rng.uniform(0.3, 1.0);
        let angle = rng.uniform(0.0, std::f32::consts::TAU);
        let stands = style == LeafStyle::Standing;
        let angle = if stands { (angle - std::f32::consts::PI) * 0.06 } else { angle };
        let y = if stands { rng.uniform(0.3, 1.0) } else { rng.unit_f32() };
        let outline = match rng.weighted_index(&[0.35, 0.3, 0.35]) {
            0 => Outline::Ellipse,
            1 => Outline::Box,
            _ => Outline::Blob(rng.range_inclusive(2, 7) as f32, rng.uniform(0.1, 0.4)),
        };
        Leaf {
            center: (rng.unit_f32() * width as f32, y * height as f32),
            reach: (size * aspect, size),
            angle: (angle.cos(), angle.sin()),
            outline,
            color: palette.near(rng),
            shade: rng.uniform(-90.0, 90.0),
            texture: rng.uniform(0.0, 110.0),
        }
    }

    fn paint(&self, canvas: &mut Canvas, texture: &NoiseField) {
        let reach = 1.5 * self.reach.0.max(self.reach.1);
        let range = |center: f32, size: usize| {
            let low = (center - reach).max(0.0) as usize;
            low.min(size)..((center + reach).max(0.0) as usize).min(size)
        };
        let columns = range(self.center.0, canvas.width);
        for y in range(self.center.1, canvas.height) {
            for x in columns.clone() {
                let (dx, dy) = (x as f32 - self.center.0, y as f32 - self.center.1);
                let u = (dx * self.angle.0 + dy * self.angle.1) / self.reach.0;
                let v = (dy * self.angle.0 - dx * self.angle.1) / self.reach.1;
                if self.outline.holds(u, v) {
                    let light = self.shade * v + (texture.at(x as f32, y as f32) - 0.5) * self.texture;
                    canvas.pixels[y * canvas.width + x] = self.color.map(|level| level + light);
                }
            }
        }
    }
}

impl Outline {
    /// Whether a point is inside, in half axes from the center.
    fn holds(self, u: f32, v: f32) -> bool {
        match self {
            Outline::Ellipse => u * u + v * v <= 1.0,
            Outline::Box => u.abs() <= 1.0 && v.abs() <= 1.0,
            Outline::Blob(lobes, depth) => (u * u + v * v).sqrt() <= 1.0 + depth * (lobes * v.atan2(u)).sin(),
        }
    }
}
