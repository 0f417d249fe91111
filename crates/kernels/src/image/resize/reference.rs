//! The definition of the resize: both passes one value at a time, with weights computed anew for every output. Shares
//! no code with the fast passes; slow, for tests and benchmarks.

use super::options::{Filter, Order};

/// An image of three channels.
struct Image {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

/// The result of [`super::resize`] for a buffer of the right length and sides that are not zero. Sizes are (width,
/// height).
pub fn resize(src: &[u8], size: (usize, usize), out_size: (usize, usize), filter: Filter, order: Order) -> Vec<u8> {
    let image = Image { width: size.0, height: size.1, data: src.to_vec() };
    let less_wide = size.0 as i64 - out_size.0 as i64;
    let less_high = size.1 as i64 - out_size.1 as i64;
    if order == Order::Pillow13 && less_high > 0 && less_high > 2 * less_wide {
        let middle = columns(image, out_size.1, filter, order);
        return rows(middle, out_size.0, filter, order).data;
    }
    let middle = rows(image, out_size.0, filter, order);
    columns(middle, out_size.1, filter, order).data
}

fn rows(from: Image, width: usize, filter: Filter, order: Order) -> Image {
    if from.width == width {
        return from;
    }
    let bits = bits(from.width, width, filter, order);
    let mut data = vec![0; width * from.height * 3];
    for x in 0..width {
        let (first, weights) = window(from.width, width, x, filter);
        for y in 0..from.height {
            for c in 0..3 {
                let at = |k: usize| from.data[(y * from.width + first + k) * 3 + c];
                data[(y * width + x) * 3 + c] = value(&weights, bits, at);
            }
        }
    }
    Image { width, height: from.height, data }
}

fn columns(from: Image, height: usize, filter: Filter, order: Order) -> Image {
    if from.height == height {
        return from;
    }
    let bits = bits(from.height, height, filter, order);
    let mut data = vec![0; from.width * height * 3];
    for y in 0..height {
        let (first, weights) = window(from.height, height, y, filter);
        for x in 0..from.width {
            for c in 0..3 {
                let at = |k: usize| from.data[((first + k) * from.width + x) * 3 + c];
                data[(y * from.width + x) * 3 + c] = value(&weights, bits, at);
            }
        }
    }
    Image { width: from.width, height, data }
}

/// The weighted sum of `at(0)`, `at(1)`, ..., rounded once.
fn value(weights: &[f64], bits: u32, at: impl Fn(usize) -> u8) -> u8 {
    let one = 2f64.powi(bits as i32);
    let products = weights.iter().enumerate().map(|(k, weight)| (weight * one).round() as i64 * i64::from(at(k)));
    let sum = products.sum::<i64>() + (1 << bits) / 2;
    sum.div_euclid(1 << bits).clamp(0, 255) as u8
}

/// First input and normalized weights of output `i` of an axis of `n` inputs and `m` outputs.
fn window(n: usize, m: usize, i: usize, filter: Filter) -> (usize, Vec<f64>) {
    let scale = n as f64 / m as f64;
    let stretch = if scale > 1.0 { scale } else { 1.0 };
    let reach =
        stretch * if filter == Filter::Bilinear { 1.0 } else { [2.0, 3.0][usize::from(filter == Filter::Lanczos)] };
    let center = (i as f64 + 0.5) * scale;
    let first = (center - reach + 0.5).trunc().max(0.0) as usize;
    let end = (center + reach + 0.5).trunc().min(n as f64) as usize;
    let raw: Vec<f64> = (first..end).map(|x| curve((x as f64 - center + 0.5) * (1.0 / stretch), filter)).collect();
    let sum: f64 = raw.iter().sum();
    (first, raw.iter().map(|weight| weight / sum).collect())
}

fn curve(x: f64, filter: Filter) -> f64 {
    let t = x.abs();
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) };
    match filter {
        Filter::Bilinear if t < 1.0 => 1.0 - t,
        Filter::Bicubic if t < 1.0 => (1.5 * t - 2.5) * t * t + 1.0,
        Filter::Bicubic if t < 2.0 => (((t - 5.0) * t + 8.0) * t - 4.0) * -0.5,
        Filter::Lanczos if t < 3.0 => sinc(x) * sinc(x / 3.0),
        _ => 0.0,
    }
}

/// Fractional bits of an axis.
fn bits(n: usize, m: usize, filter: Filter, order: Order) -> u32 {
    if order != Order::Torchvision {
        return 22;
    }
    let largest = (0..m).flat_map(|i| window(n, m, i, filter).1).fold(0.0, f64::max);
    let mut bits = 0;
    while bits < 22 && (0.5 + largest * 2f64.powi(bits + 1)).trunc() < 32768.0 {
        bits += 1;
    }
    bits as u32
}
