//! Integer weights for the windows of one axis.

use super::options::{Filter, Order};

/// Fractional bits of Pillow's weights; an i32 then holds 8 bits of pixel and 2 bits of headroom.
const PILLOW_BITS: u32 = 22;

/// For every output of an axis: the first input of its window and the window's weights.
pub(super) struct Table {
    /// Window of output `i`: its first input, and where its weights begin in `weights`.
    windows: Vec<(usize, usize)>,
    weights: Vec<i32>,
    /// Fractional bits of the weights.
    pub(super) bits: u32,
}

impl Table {
    /// The table for `inputs` -> `outputs` (neither is zero).
    pub(super) fn new(inputs: usize, outputs: usize, filter: Filter, order: Order) -> Table {
        let mut windows = Vec::with_capacity(outputs + 1);
        let mut exact = Vec::new();
        let scale = inputs as f64 / outputs as f64;
        let stretch = scale.max(1.0);
        let (radius, inverse) = (filter.radius() * stretch, 1.0 / stretch);
        for output in 0..outputs {
            let center = (output as f64 + 0.5) * scale;
            let first = ((center - radius + 0.5) as i64).max(0) as usize;
            let end = ((center + radius + 0.5) as usize).min(inputs);
            let begin = exact.len();
            exact.extend((first..end).map(|x| filter.at((x as f64 - center + 0.5) * inverse)));
            let sum: f64 = exact[begin..].iter().sum();
            if sum != 0.0 {
                exact[begin..].iter_mut().for_each(|weight| *weight /= sum);
            }
            windows.push((first, begin));
        }
        windows.push((inputs, exact.len()));
        let bits = match order {
            Order::HorizontalFirst | Order::Pillow13 => PILLOW_BITS,
            Order::Torchvision => bits_below_i16(&exact),
        };
        let one = f64::from(1u32 << bits);
        // `round` takes halves away from zero, as both references do.
        let weights = exact.iter().map(|weight| (weight * one).round() as i32).collect();
        Table { windows, weights, bits }
    }

    /// First input and weights of an output.
    pub(super) fn window(&self, output: usize) -> (usize, &[i32]) {
        let (first, begin) = self.windows[output];
        (first, &self.weights[begin..self.windows[output + 1].1])
    }
}

/// The most fractional bits, at most 22, with which the largest weight still rounds to less than 2^15.
fn bits_below_i16(weights: &[f64]) -> u32 {
    let largest = weights.iter().copied().fold(0.0, f64::max);
    (0..PILLOW_BITS)
        .find(|bits| (0.5 + largest * f64::from(1u32 << (bits + 1))) as i64 >= 1 << 15)
        .unwrap_or(PILLOW_BITS)
}

impl Filter {
    /// Support radius: beyond it the filter is zero.
    fn radius(self) -> f64 {
        match self {
            Filter::Bilinear => 1.0,
            Filter::Bicubic => 2.0,
            Filter::Lanczos => 3.0,
        }
    }

    /// The filter at distance `x`. The order of operations is that of Pillow, so that f64 agrees to the last bit.
    fn at(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let t = x.abs();
        match self {
            Filter::Bilinear => (1.0 - t).max(0.0),
            Filter::Bicubic if t < 1.0 => ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0,
            Filter::Bicubic if t < 2.0 => (((t - 5.0) * t + 8.0) * t - 4.0) * A,
            Filter::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Filter::Bicubic | Filter::Lanczos => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}
