//! Scaling of the width of an image, to show samples that are not square.

use crate::frame::Rgb;

/// Display of samples that are not square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Width to height of a sample, neither of them zero.
    pub(crate) sample_aspect: (u32, u32),
    /// An image that would have more pixels is left as it is.
    pub(crate) max_pixels: u64,
}

impl Stretch {
    /// Width of an image of `size` with square samples.
    pub(crate) fn width(self, size: (u32, u32)) -> u32 {
        let width = display_width(size.0, self.sample_aspect);
        if u64::from(width) * u64::from(size.1) > self.max_pixels { size.0 } else { width }
    }
}

/// `width` samples of an aspect ratio as square pixels, rounded, at least 1.
pub(crate) fn display_width(width: u32, (n, d): (u32, u32)) -> u32 {
    let (n, d) = (u64::from(n), u64::from(d.max(1)));
    u32::try_from((u64::from(width) * n + d / 2) / d).unwrap_or(u32::MAX).max(1)
}

/// What one column of the result takes from the columns of the image: the first one and the weights from there on.
struct Column {
    first: usize,
    weights: Vec<f32>,
}

/// `image` at another width by a triangle filter, which is wider where the image shrinks (an antialiased bilinear
/// filter).
pub(super) fn scale_width(image: &Rgb, width: u32) -> Rgb {
    let from = image.width as usize;
    let columns: Vec<Column> = (0..width as usize).map(|x| column(from, width as usize, x)).collect();
    let mut data = Vec::with_capacity(width as usize * image.height as usize * 3);
    for row in image.data.chunks_exact(from * 3) {
        for Column { first, weights } in &columns {
            let mut sum = [0.5f32; 3];
            for (pixel, weight) in row[first * 3..].chunks_exact(3).zip(weights) {
                sum.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += f32::from(value) * weight);
            }
            data.extend(sum.map(|value| value as u8));
        }
    }
    Rgb { width, height: image.height, data }
}

/// The weights of column `x` of `to` over `from` columns. They sum to 1.
fn column(from: usize, to: usize, x: usize) -> Column {
    let scale = from as f64 / to as f64;
    let (center, reach) = ((x as f64 + 0.5) * scale, scale.max(1.0));
    let first = (center - reach - 0.5).ceil().max(0.0) as usize;
    let last = ((center + reach - 0.5).floor() as usize).min(from - 1);
    let weight = |at: usize| (1.0 - (at as f64 + 0.5 - center).abs() / reach).max(0.0);
    let sum: f64 = (first..=last).map(weight).sum();
    Column { first, weights: (first..=last).map(|at| (weight(at) / sum) as f32).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(values: &[u8]) -> Rgb {
        Rgb { width: values.len() as u32, height: 1, data: values.iter().flat_map(|&v| [v; 3]).collect() }
    }

    fn scaled(values: &[u8], width: u32) -> Vec<u8> {
        scale_width(&gray(values), width).data.chunks(3).map(|p| p[0]).collect()
    }

    #[test]
    fn widths_follow_the_aspect() {
        assert_eq!(display_width(720, (16, 15)), 768);
        assert_eq!(display_width(1440, (4, 3)), 1920);
        assert_eq!(display_width(3, (1, 1000)), 1);
        assert_eq!(display_width(u32::MAX, (u32::MAX, 1)), u32::MAX);
        let stretch = Stretch { sample_aspect: (2, 1), max_pixels: 100 };
        assert_eq!((stretch.width((5, 10)), stretch.width((6, 10))), (10, 6));
    }

    #[test]
    fn the_filter_is_a_triangle() {
        assert_eq!(scaled(&[10, 20, 30], 3), [10, 20, 30]);
        // Doubled: three quarters of the nearest and one quarter of the next column, the edge repeated.
        assert_eq!(scaled(&[0, 100, 200], 6), [0, 25, 75, 125, 175, 200]);
        // Halved: weights 1, 3, 3, 1 of eight.
        assert_eq!(scaled(&[0, 0, 80, 80, 0, 0], 3)[1], 60);
        for width in [1, 2, 5, 9, 64] {
            assert!(scaled(&[77; 13], width).iter().all(|&v| v == 77));
        }
    }
}
