//! Products of decode attention with AVX-512 intrinsics. Compilers vectorize the plain loops badly: they split sums
//! over a row into pairs of lanes, and keep the sums of several heads in memory.

#![allow(clippy::wildcard_imports, reason = "intrinsics")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their numbers")]
use std::arch::x86_64::*;

use super::super::kv::{Int8Kv, KvRows};
use super::horizontal_sums::horizontal_sum;
use super::span::{KeySpan, PREFETCH_ROWS, SPAN};

/// Heads whose sums stay in registers together. More go to [`avx512_wide`](super::avx512_wide).
pub(super) const HEADS: usize = 8;
/// f32 values of a register.
pub(super) const LANES: usize = 16;

/// Rows that can be loaded 16 numbers at a time.
pub(super) trait LoadRows: KvRows {
    /// 16 numbers of row `row` of `dim` from `column` on, as f32; zeros outside of `mask`.
    ///
    /// # Safety
    /// The CPU has AVX-512 F, BW and VL; the row exists, and the mask keeps inside it.
    unsafe fn load16(self, row: usize, dim: usize, column: usize, mask: u16) -> __m512;
}

impl LoadRows for &[f32] {
    /// # Safety
    /// As the trait says.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load16(self, row: usize, dim: usize, column: usize, mask: u16) -> __m512 {
        // SAFETY: as the caller promises.
        unsafe { _mm512_maskz_loadu_ps(mask, self.as_ptr().add(row * dim + column)) }
    }
}

impl LoadRows for &[u16] {
    /// # Safety
    /// As the trait says.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load16(self, row: usize, dim: usize, column: usize, mask: u16) -> __m512 {
        // SAFETY: as the caller promises.
        let bits = unsafe { _mm256_maskz_loadu_epi16(mask, self.as_ptr().add(row * dim + column).cast()) };
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)))
    }
}

impl LoadRows for Int8Kv<'_> {
    /// # Safety
    /// As the trait says.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load16(self, row: usize, dim: usize, column: usize, mask: u16) -> __m512 {
        // SAFETY: as the caller promises.
        let bits = unsafe { _mm_maskz_loadu_epi8(mask, self.values.as_ptr().add(row * dim + column).cast()) };
        _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bits))
    }
}

/// Mask of the first `lanes` (at most 32) values from `column` on that lie in a row of `dim`.
pub(super) fn row_mask(dim: usize, column: usize, lanes: usize) -> u32 {
    let left = dim.saturating_sub(column).min(lanes);
    if left == 32 { u32::MAX } else { (1 << left) - 1 }
}

/// Calls `$some::<N>` for the heads in groups of at most [`HEADS`].
macro_rules! by_heads {
    ($heads:expr, $first:ident, $some:ident $args:tt) => {
        for $first in (0..$heads).step_by(HEADS) {
            match HEADS.min($heads - $first) {
                1 => $some::<1> $args,
                2 => $some::<2> $args,
                3 => $some::<3> $args,
                4 => $some::<4> $args,
                5 => $some::<5> $args,
                6 => $some::<6> $args,
                7 => $some::<7> $args,
                _ => $some::<HEADS> $args,
            }
        }
    };
}
pub(super) use by_heads;

/// `scores[g, j] = q[g] . k[j]`, as `dispatch::qk` defines it.
///
/// # Safety
/// The CPU has AVX-512 F, BW and VL; the sizes are those that [`KeySpan::check`] checks.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn qk<K: LoadRows>(q: &[f32], k: K, span: KeySpan, scores: &mut [f32]) {
    let heads = q.len() / span.dim;
    // SAFETY: as the caller promises.
    by_heads!(
        heads,
        first,
        qk_heads(unsafe { q.as_ptr().add(first * span.dim) }, k, span, &mut scores[first * SPAN..])
    );
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn qk_heads<const N: usize>(q: *const f32, k: impl LoadRows, span: KeySpan, scores: &mut [f32]) {
    let KeySpan { dim, keys, .. } = span;
    for j in (0..keys).step_by(2) {
        // An odd last key is multiplied twice.
        let (one, two) = (span.row(j), span.row((j + 1).min(keys - 1)));
        k.prefetch_row(span.row(j + PREFETCH_ROWS), dim);
        k.prefetch_row(span.row(j + 1 + PREFETCH_ROWS), dim);
        let mut sums = [[_mm512_setzero_ps(); 2]; N];
        for column in (0..dim).step_by(LANES) {
            let mask = row_mask(dim, column, LANES) as u16;
            // SAFETY: `span` was checked: the rows exist and `q` has N of them; the mask keeps inside a row.
            unsafe {
                let (x, y) = (k.load16(one, dim, column, mask), k.load16(two, dim, column, mask));
                for g in 0..N {
                    let q = _mm512_maskz_loadu_ps(mask, q.add(g * dim + column));
                    sums[g] = [_mm512_fmadd_ps(q, x, sums[g][0]), _mm512_fmadd_ps(q, y, sums[g][1])];
                }
            }
        }
        for g in 0..N {
            scores[g * SPAN + j] = horizontal_sum(sums[g][0]) * k.scale(one);
            if j + 1 < keys {
                scores[g * SPAN + j + 1] = horizontal_sum(sums[g][1]) * k.scale(two);
            }
        }
    }
}

/// `out[g] += sum of weights[g, j] * v[j]`, as `dispatch::weighted_sum` defines it.
///
/// # Safety
/// The CPU has AVX-512 F, BW and VL; the sizes are those that [`KeySpan::check`] checks.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn weighted_sum<V: LoadRows>(weights: &[f32], v: V, span: KeySpan, out: &mut [f32]) {
    let heads = out.len() / span.dim;
    for column in (0..span.dim).step_by(2 * LANES) {
        by_heads!(
            heads,
            first,
            weighted_sum_heads(&weights[first * SPAN..], v, span, column, &mut out[first * span.dim..])
        );
    }
}

/// Two registers (32 columns) of the sums of N heads.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn weighted_sum_heads<const N: usize>(
    weights: &[f32],
    v: impl LoadRows,
    span: KeySpan,
    column: usize,
    out: &mut [f32],
) {
    let dim = span.dim;
    assert!(out.len() >= N * dim && weights.len() >= (N - 1) * SPAN + span.keys, "sums of heads");
    let far = (column + LANES).min(dim);
    let [near_mask, far_mask] = [column, far].map(|column| row_mask(dim, column, LANES) as u16);
    // SAFETY: `span` was checked: the rows exist; the masks keep inside rows of `v` and of `out`, of which there are N.
    unsafe {
        let at = |g: usize| out.as_ptr().add(g * dim);
        let mut sums = [[_mm512_setzero_ps(); 2]; N];
        for g in 0..N {
            sums[g] =
                [_mm512_maskz_loadu_ps(near_mask, at(g).add(column)), _mm512_maskz_loadu_ps(far_mask, at(g).add(far))];
        }
        for j in 0..span.keys {
            let row = span.row(j);
            if column == 0 {
                v.prefetch_row(span.row(j + PREFETCH_ROWS), dim);
            }
            let (x, y) = (v.load16(row, dim, column, near_mask), v.load16(row, dim, far, far_mask));
            let scale = v.scale(row);
            for g in 0..N {
                let weight = _mm512_set1_ps(weights.get_unchecked(g * SPAN + j) * scale);
                sums[g] = [_mm512_fmadd_ps(weight, x, sums[g][0]), _mm512_fmadd_ps(weight, y, sums[g][1])];
            }
        }
        for g in 0..N {
            let out = out.as_mut_ptr().add(g * dim);
            _mm512_mask_storeu_ps(out.add(column), near_mask, sums[g][0]);
            _mm512_mask_storeu_ps(out.add(far), far_mask, sums[g][1]);
        }
    }
}
