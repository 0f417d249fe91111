//! What keys and values are stored as. A row is the `d` values of one head at one position.

use crate::fetch;
use crate::level::per_level;
use crate::packed::layout::{self, MAGIC, from_bf16};

/// Keys or values `[positions, kv_heads, d]` as they are stored.
#[derive(Clone, Copy, Debug)]
pub enum Stored<'a> {
    /// f32.
    F32(&'a [f32]),
    /// The 16 bits of bf16.
    Bf16(&'a [u16]),
    /// Whole numbers with a scale for each row.
    Int8(Int8<'a>),
}

/// Runs the same for every kind of [`Rows`] that something stored may be.
macro_rules! as_rows {
    ($stored:expr, $rows:ident => $run:expr) => {
        match $stored {
            $crate::attention::Stored::F32($rows) => $run,
            $crate::attention::Stored::Bf16($rows) => $run,
            $crate::attention::Stored::Int8($rows) => $run,
        }
    };
}
pub(super) use as_rows;

/// Rows of whole numbers, as [`quantise`] gives them: a value is its number times the scale of its row.
#[derive(Clone, Copy, Debug)]
pub struct Int8<'a> {
    /// Numbers from -127 to 127 in the 8 bits of two's complement, `[positions, kv_heads, d]`.
    pub bits: &'a [u8],
    /// `[positions, kv_heads]`.
    pub scales: &'a [f32],
}

impl Stored<'_> {
    /// Number of values. Panics unless there is a scale for each row of `dim` whole numbers.
    pub(super) fn len(&self, dim: usize) -> usize {
        match self {
            Stored::F32(values) => values.len(),
            Stored::Bf16(values) => values.len(),
            Stored::Int8(Int8 { bits, scales }) => {
                assert_eq!(bits.len(), scales.len() * dim, "scales of keys or values");
                bits.len()
            }
        }
    }

    /// The values of row `row`, as many as `values` takes.
    #[inline(always)]
    pub(super) fn read(&self, row: usize, values: &mut [f32]) {
        as_rows!(*self, rows => read_of(rows, row, values));
    }

    /// Asks for the `n` values of row `row`, which need not exist, before they are needed.
    #[inline(always)]
    pub(super) fn fetch(&self, row: usize, n: usize) {
        as_rows!(*self, rows => rows.fetch(row, n));
    }
}

#[inline(always)]
fn read_of(rows: impl Rows, row: usize, values: &mut [f32]) {
    rows.widen(row, values);
    let scale = rows.scale(row);
    values.iter_mut().for_each(|value| *value *= scale);
}

/// Stored rows: the values of a row are its numbers times its scale.
pub(super) trait Rows: Copy {
    /// What a number is stored as.
    type Number;

    /// Where the first number lies.
    fn start(self) -> *const Self::Number;

    /// The numbers of row `row`, as many as `wide` takes.
    fn widen(self, row: usize, wide: &mut [f32]);

    /// Asks for the `n` numbers of row `row`, which need not exist, before they are needed.
    #[inline(always)]
    fn fetch(self, row: usize, n: usize) {
        fetch::to_read(self.start().wrapping_add(row * n), n);
    }

    /// What they are to be multiplied with; floats are values as they are.
    #[inline(always)]
    fn scale(self, _row: usize) -> f32 {
        1.0
    }
}

impl Rows for &[f32] {
    type Number = f32;

    #[inline(always)]
    fn start(self) -> *const f32 {
        self.as_ptr()
    }

    #[inline(always)]
    fn widen(self, row: usize, wide: &mut [f32]) {
        let n = wide.len();
        wide.iter_mut().zip(&self[row * n..][..n]).for_each(|(wide, value)| *wide = *value);
    }
}

impl Rows for &[u16] {
    type Number = u16;

    #[inline(always)]
    fn start(self) -> *const u16 {
        self.as_ptr()
    }

    #[inline(always)]
    fn widen(self, row: usize, wide: &mut [f32]) {
        let n = wide.len();
        wide.iter_mut().zip(&self[row * n..][..n]).for_each(|(wide, bits)| *wide = from_bf16(*bits));
    }
}

impl Rows for Int8<'_> {
    type Number = u8;

    #[inline(always)]
    fn start(self) -> *const u8 {
        self.bits.as_ptr()
    }

    #[inline(always)]
    fn widen(self, row: usize, wide: &mut [f32]) {
        let n = wide.len();
        wide.iter_mut().zip(&self.bits[row * n..][..n]).for_each(|(wide, bits)| *wide = f32::from(*bits as i8));
    }

    #[inline(always)]
    fn scale(self, row: usize) -> f32 {
        self.scales[row]
    }
}

per_level! {
    /// Rows `x` `[n, d]` as whole numbers with a scale `[n]` each, the largest size of a row 127; see [`Int8`]. A row
    /// with a value that is infinite or not a number is not a number when it is read.
    ///
    /// Panics when the slices do not have these sizes.
    pub fn quantise / quantise_at(x: &[f32], d: usize, bits: &mut [u8], scales: &mut [f32]) {
        assert_eq!(x.len(), scales.len() * d, "values of rows");
        assert_eq!(bits.len(), x.len(), "whole numbers of rows");
        let d = d.max(1);
        for ((x, bits), scale) in x.chunks_exact(d).zip(bits.chunks_exact_mut(d)).zip(scales) {
            let most = layout::largest(x);
            // Zero times an infinite scale is not a number, nor is anything times one that is none.
            *scale = most / 127.0;
            let inverse = layout::steps_of(most);
            for (bits, value) in bits.iter_mut().zip(x) {
                *bits = (value * inverse + MAGIC).to_bits() as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    /// The definition.
    fn reference(x: &[f32], d: usize) -> (Vec<u8>, Vec<f32>) {
        let (mut bits, mut scales) = (Vec::new(), Vec::new());
        for row in x.chunks_exact(d) {
            let most = row.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            scales.push(most / 127.0);
            let inverse = if most > 1e-30 { 127.0 / most } else { 0.0 };
            bits.extend(row.iter().map(|value| (value * inverse).round_ties_even() as i8 as u8));
        }
        (bits, scales)
    }

    fn quantised(level: Level, x: &[f32], d: usize) -> (Vec<u8>, Vec<f32>) {
        let (mut bits, mut scales) = (vec![9; x.len()], vec![9.0; x.len() / d]);
        quantise_at(level, x, d, &mut bits, &mut scales);
        (bits, scales)
    }

    fn value(bits: u8, scale: f32) -> f32 {
        f32::from(bits as i8) * scale
    }

    #[test]
    fn whole_numbers_are_those_of_the_definition_and_near_the_values() {
        for (level, d) in Level::available().into_iter().flat_map(|level| (1..=70).map(move |d| (level, d))) {
            // Rows of many sizes, from those that are too small to those near the largest f32.
            let sizes = [0.0, 1e-45, 1e-38, 9e-31, 2e-30, 1e-7, 1.0, 77.7, 1e20, 3.4e38];
            let x: Vec<f32> = sizes.iter().flat_map(|size| (0..d).map(move |i| (i as f32).cos() * size)).collect();
            let (bits, scales) = quantised(level, &x, d);
            assert_eq!((&bits, &scales), (&reference(&x, d).0, &reference(&x, d).1), "{level:?} {d}");
            for (n, (x, bits)) in x.chunks(d).zip(bits.chunks(d)).enumerate() {
                // Half a step, and the roundings of the scale, its inverse and two products.
                let most = if sizes[n] < 1e-30 { 1e-30 } else { scales[n] * (0.5 + 127.0 * 4.0 * f32::EPSILON) };
                for (x, bits) in x.iter().zip(bits) {
                    let value = value(*bits, scales[n]);
                    assert!((x - value).abs() <= most, "{level:?} {d} row {n}: {x} {value}");
                }
                assert!(sizes[n] < 1e-30 || bits[0] == 127, "the largest is 127");
            }
        }
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        let wrong = [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001), f32::INFINITY, f32::NEG_INFINITY];
        for (level, wrong) in Level::available().into_iter().flat_map(|level| wrong.map(|wrong| (level, wrong))) {
            for (d, at) in (1..40).flat_map(|d| (0..d).map(move |at| (d, at))) {
                let mut x = vec![-0.5; 3 * d];
                x[d + at] = wrong;
                let (bits, scales) = quantised(level, &x, d);
                for (i, bits) in bits.iter().enumerate() {
                    let value = value(*bits, scales[i / d]);
                    assert_eq!(value.is_nan(), i / d == 1, "{level:?} {wrong} at {at} of {d}: {value}");
                }
            }
        }
    }

    #[test]
    fn no_rows_and_rows_of_nothing_are_fine() {
        quantise(&[], 3, &mut [], &mut []);
        quantise(&[], 0, &mut [], &mut [1.0, 1.0]);
    }
}
