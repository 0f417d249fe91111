//! Keys and values in the number formats of the KV cache. A row is the `dim` values of one head at one position.

use crate::bf16::bf16_to_f32;
use crate::gemm::quantize::{ROUNDING_MAGIC, abs_max, inverse_scale};
use crate::isa::per_isa;
use crate::prefetch::prefetch_read;

/// Keys or values `[positions, kv_heads, dim]`.
#[derive(Clone, Copy, Debug)]
pub enum KvSlice<'a> {
    /// f32.
    F32(&'a [f32]),
    /// bf16, as their 16 bits.
    Bf16(&'a [u16]),
    /// int8 with a scale for each row.
    Int8(Int8Kv<'a>),
}

/// Int8 rows as [`quantize_kv`] makes them: a value is its integer times the scale of its row.
#[derive(Clone, Copy, Debug)]
pub struct Int8Kv<'a> {
    /// Integers from -127 to 127 in two's complement, `[positions, kv_heads, dim]`.
    pub values: &'a [u8],
    /// Scales `[positions, kv_heads]`.
    pub scales: &'a [f32],
}

/// Evaluates `$run` with `$rows` bound to the [`KvRows`] that a [`KvSlice`] holds.
macro_rules! with_kv_rows {
    ($kv:expr, $rows:ident => $run:expr) => {
        match $kv {
            $crate::attention::kv::KvSlice::F32($rows) => $run,
            $crate::attention::kv::KvSlice::Bf16($rows) => $run,
            $crate::attention::kv::KvSlice::Int8($rows) => $run,
        }
    };
}
pub(super) use with_kv_rows;

impl KvSlice<'_> {
    /// Number of values. Panics unless int8 has a scale for each row of `dim` values.
    pub(super) fn len(&self, dim: usize) -> usize {
        match self {
            KvSlice::F32(values) => values.len(),
            KvSlice::Bf16(values) => values.len(),
            KvSlice::Int8(Int8Kv { values, scales }) => {
                assert_eq!(values.len(), scales.len() * dim, "scales of keys or values");
                values.len()
            }
        }
    }

    /// Dequantizes row `row` to `values`, which has the length of a row.
    #[inline(always)]
    pub(super) fn read_row(&self, row: usize, values: &mut [f32]) {
        with_kv_rows!(*self, rows => read_row_of(rows, row, values));
    }

    /// Prefetches row `row` of `dim` values, which need not exist.
    #[inline(always)]
    pub(super) fn prefetch_row(&self, row: usize, dim: usize) {
        with_kv_rows!(*self, rows => rows.prefetch_row(row, dim));
    }
}

#[inline(always)]
fn read_row_of(rows: impl KvRows, row: usize, values: &mut [f32]) {
    rows.convert_row(row, values);
    let scale = rows.scale(row);
    values.iter_mut().for_each(|value| *value *= scale);
}

/// Rows of one number format: the values of a row are its numbers times its scale.
pub(super) trait KvRows: Copy {
    /// One number in memory.
    type Number;

    /// Address of the first number.
    fn start(self) -> *const Self::Number;

    /// Converts the numbers of row `row` to f32, without the scale; `numbers` has the length of a row.
    fn convert_row(self, row: usize, numbers: &mut [f32]);

    /// Prefetches row `row` of `dim` values, which need not exist.
    #[inline(always)]
    fn prefetch_row(self, row: usize, dim: usize) {
        prefetch_read(self.start().wrapping_add(row * dim), dim);
    }

    /// Factor on the numbers of a row; 1 for floats.
    #[inline(always)]
    fn scale(self, _row: usize) -> f32 {
        1.0
    }
}

impl KvRows for &[f32] {
    type Number = f32;

    #[inline(always)]
    fn start(self) -> *const f32 {
        self.as_ptr()
    }

    #[inline(always)]
    fn convert_row(self, row: usize, numbers: &mut [f32]) {
        let dim = numbers.len();
        numbers.iter_mut().zip(&self[row * dim..][..dim]).for_each(|(number, value)| *number = *value);
    }
}

impl KvRows for &[u16] {
    type Number = u16;

    #[inline(always)]
    fn start(self) -> *const u16 {
        self.as_ptr()
    }

    #[inline(always)]
    fn convert_row(self, row: usize, numbers: &mut [f32]) {
        let dim = numbers.len();
        numbers.iter_mut().zip(&self[row * dim..][..dim]).for_each(|(number, bits)| *number = bf16_to_f32(*bits));
    }
}

impl KvRows for Int8Kv<'_> {
    type Number = u8;

    #[inline(always)]
    fn start(self) -> *const u8 {
        self.values.as_ptr()
    }

    #[inline(always)]
    fn convert_row(self, row: usize, numbers: &mut [f32]) {
        let dim = numbers.len();
        numbers.iter_mut().zip(&self.values[row * dim..][..dim]).for_each(|(number, value)| {
            *number = f32::from(*value as i8);
        });
    }

    #[inline(always)]
    fn scale(self, row: usize) -> f32 {
        self.scales[row]
    }
}

per_isa! {
    /// Quantizes rows `x` `[n, d]` to int8 with a scale `[n]` each, the largest value of a row to 127 or -127; the
    /// result is the content of an [`Int8Kv`]. A row with an infinity or NaN reads back as NaN.
    ///
    /// # Panics
    /// When the slices do not have these sizes.
    pub fn quantize_kv / quantize_kv_at(x: &[f32], d: usize, values: &mut [u8], scales: &mut [f32]) {
        assert_eq!(x.len(), scales.len() * d, "values of rows");
        assert_eq!(values.len(), x.len(), "quantized values of rows");
        let d = d.max(1);
        for ((x, values), scale) in x.chunks_exact(d).zip(values.chunks_exact_mut(d)).zip(scales) {
            let abs_max = abs_max(x);
            // An infinite or NaN scale makes every value of the row NaN: the integers become zero.
            *scale = abs_max / 127.0;
            let inverse = inverse_scale(abs_max);
            for (quantized, value) in values.iter_mut().zip(x) {
                *quantized = (value * inverse + ROUNDING_MAGIC).to_bits() as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    /// The definition of [`quantize_kv`].
    fn reference(x: &[f32], d: usize) -> (Vec<u8>, Vec<f32>) {
        let (mut values, mut scales) = (Vec::new(), Vec::new());
        for row in x.chunks_exact(d) {
            let abs_max = row.iter().fold(0.0f32, |max, value| max.max(value.abs()));
            scales.push(abs_max / 127.0);
            let inverse = if abs_max > 1e-30 { 127.0 / abs_max } else { 0.0 };
            values.extend(row.iter().map(|value| (value * inverse).round_ties_even() as i8 as u8));
        }
        (values, scales)
    }

    fn quantized(isa: Isa, x: &[f32], d: usize) -> (Vec<u8>, Vec<f32>) {
        let (mut values, mut scales) = (vec![9; x.len()], vec![9.0; x.len() / d]);
        quantize_kv_at(isa, x, d, &mut values, &mut scales);
        (values, scales)
    }

    fn dequantize(quantized: u8, scale: f32) -> f32 {
        f32::from(quantized as i8) * scale
    }

    #[test]
    fn quantized_rows_match_the_definition_and_are_near_the_values() {
        for (isa, d) in Isa::available().into_iter().flat_map(|isa| (1..=70).map(move |d| (isa, d))) {
            // Rows of many magnitudes, from those too small to scale to those near the largest f32.
            let sizes = [0.0, 1e-45, 1e-38, 9e-31, 2e-30, 1e-7, 1.0, 77.7, 1e20, 3.4e38];
            let x: Vec<f32> = sizes.iter().flat_map(|size| (0..d).map(move |i| (i as f32).cos() * size)).collect();
            let (values, scales) = quantized(isa, &x, d);
            assert_eq!((&values, &scales), (&reference(&x, d).0, &reference(&x, d).1), "{isa:?} {d}");
            for (n, (x, values)) in x.chunks(d).zip(values.chunks(d)).enumerate() {
                // Half a step, and the roundings of the scale, its inverse and two products.
                let most = if sizes[n] < 1e-30 { 1e-30 } else { scales[n] * (0.5 + 127.0 * 4.0 * f32::EPSILON) };
                for (x, value) in x.iter().zip(values) {
                    let value = dequantize(*value, scales[n]);
                    assert!((x - value).abs() <= most, "{isa:?} {d} row {n}: {x} {value}");
                }
                assert!(sizes[n] < 1e-30 || values[0] == 127, "the largest is 127");
            }
        }
    }

    #[test]
    fn rows_that_are_not_finite_read_back_as_nan() {
        let wrong = [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001), f32::INFINITY, f32::NEG_INFINITY];
        for (isa, wrong) in Isa::available().into_iter().flat_map(|isa| wrong.map(|wrong| (isa, wrong))) {
            for (d, at) in (1..40).flat_map(|d| (0..d).map(move |at| (d, at))) {
                let mut x = vec![-0.5; 3 * d];
                x[d + at] = wrong;
                let (values, scales) = quantized(isa, &x, d);
                for (i, value) in values.iter().enumerate() {
                    let value = dequantize(*value, scales[i / d]);
                    assert_eq!(value.is_nan(), i / d == 1, "{isa:?} {wrong} at {at} of {d}: {value}");
                }
            }
        }
    }

    #[test]
    fn no_rows_and_rows_of_nothing_are_fine() {
        quantize_kv(&[], 3, &mut [], &mut []);
        quantize_kv(&[], 0, &mut [], &mut [1.0, 1.0]);
    }
}
