//! Noise whose amplitude falls with its frequency: random values on ever finer grids, interpolated and summed.

use crate::synth::rng::SynthRng;

/// Octaves of a field.
const OCTAVES: u32 = 6;

/// Values of about 0 to 1 for every pixel of a canvas, row by row.
pub(super) struct NoiseField {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

impl NoiseField {
    /// Noise whose coarsest grid has `cells` cells along the longer side; each octave is finer by two and has
    /// `persistence` of the amplitude of the one before.
    pub(super) fn new(rng: &mut SynthRng, (width, height): (usize, usize), cells: f32, persistence: f32) -> Self {
        let mut values = vec![0.0; width * height];
        let (mut amplitude, mut sum, mut cell) = (1.0, 0.0, width.max(height) as f32 / cells);
        for _ in 0..OCTAVES {
            if cell < 1.0 {
                break;
            }
            add_octave(rng, (width, height), cell, amplitude, &mut values);
            sum += amplitude;
            (amplitude, cell) = (amplitude * persistence, cell / 2.0);
        }
        values.iter_mut().for_each(|value| *value /= sum);
        NoiseField { width, height, values }
    }

    /// The value nearest to a point; points outside have that of the edge.
    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        let column = (x.max(0.0) as usize).min(self.width - 1);
        let row = (y.max(0.0) as usize).min(self.height - 1);
        self.values[row * self.width + column]
    }
}

fn add_octave(rng: &mut SynthRng, (width, height): (usize, usize), cell: f32, amplitude: f32, values: &mut [f32]) {
    let columns = (width as f32 / cell) as usize + 2;
    let rows = (height as f32 / cell) as usize + 2;
    let grid: Vec<f32> = (0..columns * rows).map(|_| rng.unit_f32()).collect();
    for (y, row) in values.chunks_exact_mut(width).enumerate() {
        let (top, v) = split(y as f32 / cell);
        let (upper, lower) = (&grid[top * columns..], &grid[(top + 1) * columns..]);
        for (x, value) in row.iter_mut().enumerate() {
            let (left, u) = split(x as f32 / cell);
            let above = upper[left] + (upper[left + 1] - upper[left]) * u;
            let below = lower[left] + (lower[left + 1] - lower[left]) * u;
            *value += amplitude * (above + (below - above) * v);
        }
    }
}

/// The cell of a place, and the smoothed share of the way to the next.
fn split(at: f32) -> (usize, f32) {
    let share = at.fract();
    (at as usize, share * share * (3.0 - 2.0 * share))
}
