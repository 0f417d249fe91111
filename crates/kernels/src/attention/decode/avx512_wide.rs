//! Products of decode attention with AVX-512 for more rows than registers hold sums of, as sequences with the same
//! prefix have them: keys and values are widened to f32 once for all rows.

#![allow(clippy::wildcard_imports, reason = "intrinsics")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their numbers")]
use std::arch::x86_64::*;

use super::avx512::{HEADS, LANES, LoadRows, by_heads, row_mask};
use super::horizontal_sums::{ROWS, horizontal_sums};
use super::span::{KeySpan, PREFETCH_ROWS, SPAN};
use crate::cache_lines::CacheLines;

/// Rows of values that are widened together: with the sums of some heads they stay in the L1 cache.
const WIDE_ROWS: usize = 32;

/// Some rows as f32, each padded with zeros to a multiple of [`LANES`]: they are widened once for all heads.
struct WideRows {
    values: CacheLines<f32>,
    width: usize,
}

impl WideRows {
    fn new(rows: usize, dim: usize) -> WideRows {
        let width = dim.next_multiple_of(LANES);
        WideRows { values: CacheLines::zeroed(rows * width), width }
    }

    /// Widens the rows that `rows` names, of `dim` values.
    ///
    /// # Safety
    /// The CPU has AVX-512 F, BW and VL, and the rows exist.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn widen(&mut self, from: impl LoadRows, rows: impl Iterator<Item = usize>, dim: usize) {
        for (row, wide) in rows.zip(self.values.chunks_exact_mut(self.width)) {
            for (n, wide) in wide.chunks_exact_mut(LANES).enumerate() {
                // SAFETY: the mask keeps inside the row, which exists; `wide` has 16 values.
                unsafe {
                    let mask = row_mask(dim, n * LANES, LANES) as u16;
                    _mm512_storeu_ps(wide.as_mut_ptr(), from.load16(row, dim, n * LANES, mask));
                }
            }
        }
    }
}

/// `scores[g, j] = q[g] . k[j]`, as `dispatch::qk` defines it. Scores are written up to a multiple of [`ROWS`] keys.
///
/// # Safety
/// The CPU has AVX-512 F, BW, DQ and VL; the sizes are those that [`KeySpan::check`] checks.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn qk<K: LoadRows>(q: &[f32], k: K, span: KeySpan, scores: &mut [f32]) {
    let (dim, heads) = (span.dim, q.len() / span.dim);
    let (mut queries, mut keys) = (WideRows::new(heads, dim), WideRows::new(ROWS, dim));
    // SAFETY: the queries are rows of `q`.
    unsafe { queries.widen(q, 0..heads, dim) };
    let width = keys.width;
    for first in (0..span.keys).step_by(ROWS) {
        (0..ROWS).for_each(|r| k.prefetch_row(span.row(first + r + PREFETCH_ROWS), dim));
        // Behind the last key, the last one is multiplied again.
        let row = |r: usize| span.row((first + r).min(span.keys - 1));
        let scales: [f32; ROWS] = std::array::from_fn(|r| k.scale(row(r)));
        // SAFETY: `span` was checked: the rows exist. Rows of scores have `SPAN` values, a multiple of `ROWS`.
        unsafe {
            keys.widen(k, (0..ROWS).map(row), dim);
            let scales = _mm256_loadu_ps(scales.as_ptr());
            for one in (0..heads).step_by(2) {
                let two = (one + 1).min(heads - 1);
                let [one_q, two_q] = [one, two].map(|head| &queries.values[head * width..][..width]);
                let sums = qk_two_heads(one_q, two_q, &keys.values);
                for (head, half) in [(one, _mm512_castps512_ps256(sums)), (two, _mm512_extractf32x8_ps::<1>(sums))] {
                    let scores = scores[head * SPAN + first..][..ROWS].as_mut_ptr();
                    _mm256_storeu_ps(scores, _mm256_mul_ps(half, scales));
                }
            }
        }
    }
}

/// The dot products of two queries with eight keys: lanes 0 to 7 are those of the first query, lanes 8 to 15 those of
/// the second. All have the length of `one`, a multiple of [`LANES`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn qk_two_heads(one: &[f32], two: &[f32], keys: &[f32]) -> __m512 {
    let width = one.len();
    assert!(two.len() == width && keys.len() == ROWS * width && width.is_multiple_of(LANES), "rows of equal length");
    let mut sums = [_mm512_setzero_ps(); 2 * ROWS];
    for column in (0..width).step_by(LANES) {
        // SAFETY: 16 values of each row from `column` on; the lengths were checked above.
        unsafe {
            let (one, two) = (_mm512_loadu_ps(one.as_ptr().add(column)), _mm512_loadu_ps(two.as_ptr().add(column)));
            for r in 0..ROWS {
                let key = _mm512_loadu_ps(keys.as_ptr().add(r * width + column));
                sums[r] = _mm512_fmadd_ps(one, key, sums[r]);
                sums[ROWS + r] = _mm512_fmadd_ps(two, key, sums[ROWS + r]);
            }
        }
    }
    horizontal_sums(sums)
}

/// `out[g] += sum of weights[g, j] * v[j]`, as `dispatch::weighted_sum` defines it.
///
/// # Safety
/// The CPU has AVX-512 F, BW and VL; the sizes are those that [`KeySpan::check`] checks.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn weighted_sum<V: LoadRows>(weights: &[f32], v: V, span: KeySpan, out: &mut [f32]) {
    let (dim, heads) = (span.dim, out.len() / span.dim);
    let mut values = WideRows::new(WIDE_ROWS, dim);
    let mut scaled = vec![0.0; heads * WIDE_ROWS];
    for first in (0..span.keys).step_by(WIDE_ROWS) {
        let rows = WIDE_ROWS.min(span.keys - first);
        (0..rows).for_each(|r| v.prefetch_row(span.row(first + r + PREFETCH_ROWS), dim));
        // SAFETY: `span` was checked: the rows exist.
        unsafe { values.widen(v, (first..first + rows).map(|j| span.row(j)), dim) };
        for (weights, scaled) in weights.chunks_exact(SPAN).zip(scaled.chunks_exact_mut(WIDE_ROWS)) {
            let weights = weights[first..].iter().zip(scaled).take(rows).enumerate();
            weights.for_each(|(r, (weight, scaled))| *scaled = weight * v.scale(span.row(first + r)));
        }
        for column in (0..dim).step_by(2 * LANES) {
            by_heads!(
                heads,
                head,
                weighted_sum_heads(&scaled[head * WIDE_ROWS..], &values, rows, column, &mut out[head * dim..], dim)
            );
        }
    }
}

/// Two registers (32 columns) of the sums of N heads over the first `rows` of `values`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn weighted_sum_heads<const N: usize>(
    weights: &[f32],
    values: &WideRows,
    rows: usize,
    column: usize,
    out: &mut [f32],
    dim: usize,
) {
    let far = (column + LANES).min(values.width - LANES);
    assert!(out.len() >= N * dim && weights.len() >= N * WIDE_ROWS && rows <= WIDE_ROWS, "sums of heads");
    assert!(column + LANES <= values.width && values.values.len() >= rows * values.width, "columns of values");
    let [near_mask, far_mask] = [column, column + LANES].map(|column| row_mask(dim, column, LANES) as u16);
    // SAFETY: the lengths were checked above: rows of `values` have 16 values from `column` and `far` on; the masks
    // keep inside rows of `out`, of which there are N; an address outside of a mask is only computed.
    unsafe {
        let at = |g: usize| out.as_ptr().add(g * dim);
        let mut sums = [[_mm512_setzero_ps(); 2]; N];
        for g in 0..N {
            let far = at(g).wrapping_add(column + LANES);
            sums[g] = [_mm512_maskz_loadu_ps(near_mask, at(g).add(column)), _mm512_maskz_loadu_ps(far_mask, far)];
        }
        for j in 0..rows {
            let row = values.values.as_ptr().add(j * values.width);
            let (x, y) = (_mm512_loadu_ps(row.add(column)), _mm512_loadu_ps(row.add(far)));
            for g in 0..N {
                let weight = _mm512_set1_ps(*weights.as_ptr().add(g * WIDE_ROWS + j));
                sums[g] = [_mm512_fmadd_ps(weight, x, sums[g][0]), _mm512_fmadd_ps(weight, y, sums[g][1])];
            }
        }
        for g in 0..N {
            let out = out.as_mut_ptr().add(g * dim);
            _mm512_mask_storeu_ps(out.add(column), near_mask, sums[g][0]);
            _mm512_mask_storeu_ps(out.wrapping_add(column + LANES), far_mask, sums[g][1]);
        }
    }
}
