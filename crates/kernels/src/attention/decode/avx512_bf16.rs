//! Products of decode attention with the bf16 dot products of AVX-512 (`dpbf16`). Queries and weights are rounded to
//! bf16, as in prefill; keys and values are bf16 in memory.

#![allow(clippy::wildcard_imports, reason = "intrinsics")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their numbers")]
use std::arch::x86_64::*;

use super::super::kv::KvRows;
use super::avx512::row_mask;
use super::horizontal_sums::{ROWS, horizontal_sums};
use super::span::{KeySpan, PREFETCH_ROWS, SPAN};

/// Heads whose weighted sums stay in registers together.
const HEADS: usize = 6;
/// bf16 values of a register.
const LANES: usize = 32;

/// 32 bf16 values at `from`; zeros outside of `mask`.
///
/// # Safety
/// The CPU has AVX-512 BW; the values inside the mask may be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn load(from: *const u16, mask: u32) -> __m512i {
    // SAFETY: as the caller promises.
    unsafe { _mm512_maskz_loadu_epi16(mask, from.cast()) }
}

/// `sum` plus the dot product of two bf16 pairs in every lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn dot2(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    // SAFETY: the types are 512 bits of any pattern.
    let [a, b] = [a, b].map(|x| unsafe { std::mem::transmute::<__m512i, __m512bh>(x) });
    _mm512_dpbf16_ps(sum, a, b)
}

/// Rows of `dim` values rounded to bf16, each padded with zeros to a multiple of [`LANES`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn round_rows(rows: &[f32], dim: usize) -> Vec<u16> {
    let width = dim.next_multiple_of(LANES);
    let mut short = vec![0; rows.len() / dim * width];
    for (row, short) in rows.chunks_exact(dim).zip(short.chunks_exact_mut(width)) {
        for (values, short) in row.chunks(16).zip(short.chunks_exact_mut(16)) {
            // SAFETY: the mask keeps inside `values`; `short` has 16 values of 16 bits.
            unsafe {
                let wide = _mm512_maskz_loadu_ps(row_mask(values.len(), 0, 16) as u16, values.as_ptr());
                let bits = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(wide));
                _mm256_storeu_si256(short.as_mut_ptr().cast(), bits);
            }
        }
    }
    short
}

/// `scores[g, j] = q[g] . k[j]`, as `dispatch::qk` defines it, with queries rounded to bf16. Scores are written up to a
/// multiple of [`ROWS`] keys.
///
/// # Safety
/// The CPU has AVX-512 F, BW, DQ, VL and BF16; the sizes are those that [`KeySpan::check`] checks.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
pub(super) unsafe fn qk(q: &[f32], k: &[u16], span: KeySpan, scores: &mut [f32]) {
    let (heads, width) = (q.len() / span.dim, span.dim.next_multiple_of(LANES));
    let q = round_rows(q, span.dim);
    for first in (0..span.keys).step_by(ROWS) {
        (0..ROWS).for_each(|r| k.prefetch_row(span.row(first + r + PREFETCH_ROWS), span.dim));
        // Behind the last key, the last one is multiplied again.
        let rows = std::array::from_fn(|r| k[span.row((first + r).min(span.keys - 1)) * span.dim..].as_ptr());
        for one in (0..heads).step_by(2) {
            let two = (one + 1).min(heads - 1);
            // SAFETY: each row has `dim` values (`span` was checked), each query `width`; a row of scores has `SPAN`
            // values, which is a multiple of `ROWS`.
            unsafe {
                let sums = qk_two_heads(q[one * width..].as_ptr(), q[two * width..].as_ptr(), &rows, span.dim);
                let halves = [(one, _mm512_castps512_ps256(sums)), (two, _mm512_extractf32x8_ps::<1>(sums))];
                for (head, half) in halves {
                    _mm256_storeu_ps(scores[head * SPAN + first..][..ROWS].as_mut_ptr(), half);
                }
            }
        }
    }
}

/// The dot products of two queries with eight keys: lanes 0 to 7 are those of the first query, lanes 8 to 15 those of
/// the second.
///
/// # Safety
/// The queries have `dim` values and zeros up to a multiple of [`LANES`], the keys `dim` values.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn qk_two_heads(one: *const u16, two: *const u16, keys: &[*const u16; ROWS], dim: usize) -> __m512 {
    let mut sums = [_mm512_setzero_ps(); 2 * ROWS];
    for column in (0..dim).step_by(LANES) {
        let mask = row_mask(dim, column, LANES);
        // SAFETY: as the caller promises; the mask keeps inside the keys.
        unsafe {
            let (one, two) = (load(one.add(column), u32::MAX), load(two.add(column), u32::MAX));
            for r in 0..ROWS {
                let key = load(keys[r].add(column), mask);
                sums[r] = dot2(sums[r], one, key);
                sums[ROWS + r] = dot2(sums[ROWS + r], two, key);
            }
        }
    }
    horizontal_sums(sums)
}

/// `out[g] += sum of weights[g, j] * v[j]`, as `dispatch::weighted_sum` defines it, with weights rounded to bf16.
///
/// # Safety
/// The CPU has AVX-512 F, BW, DQ, VL and BF16; the sizes are those that [`KeySpan::check`] checks.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
pub(super) unsafe fn weighted_sum(weights: &[f32], v: &[u16], span: KeySpan, out: &mut [f32]) {
    let (dim, weights) = (span.dim, round_rows(weights, SPAN));
    for (weights, out) in weights.chunks(HEADS * SPAN).zip(out.chunks_mut(HEADS * dim)) {
        for column in (0..dim).step_by(2 * LANES) {
            match out.len() / dim {
                1 => weighted_sum_heads::<1>(weights, v, span, column, out),
                2 => weighted_sum_heads::<2>(weights, v, span, column, out),
                3 => weighted_sum_heads::<3>(weights, v, span, column, out),
                4 => weighted_sum_heads::<4>(weights, v, span, column, out),
                5 => weighted_sum_heads::<5>(weights, v, span, column, out),
                _ => weighted_sum_heads::<HEADS>(weights, v, span, column, out),
            }
        }
    }
}

/// 64 columns of the sums of N heads. Two rows of values are interleaved within each 128-bit quarter: the lower and the
/// upper halves of the quarters become one register each.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn weighted_sum_heads<const N: usize>(weights: &[u16], v: &[u16], span: KeySpan, column: usize, out: &mut [f32]) {
    let dim = span.dim;
    assert!(out.len() == N * dim && weights.len() == N * SPAN, "sums of heads");
    let columns = [column, column + LANES];
    let masks = columns.map(|column| row_mask(dim, column, LANES));
    let mut sums = [[_mm512_setzero_ps(); 4]; N];
    for j in (0..span.keys).step_by(2) {
        if column == 0 {
            (0..2).for_each(|r| v.prefetch_row(span.row(j + r + PREFETCH_ROWS), dim));
        }
        // Behind the last row, nothing is read.
        let second = if j + 1 < span.keys { u32::MAX } else { 0 };
        let mut pairs = [_mm512_setzero_si512(); 4];
        for half in 0..2 {
            let at = |row: usize| v.as_ptr().wrapping_add(row * dim + columns[half]);
            // SAFETY: `span` was checked: the rows exist, and the masks keep inside them.
            let (a, b) =
                unsafe { (load(at(span.row(j)), masks[half]), load(at(span.row(j + 1)), masks[half] & second)) };
            (pairs[2 * half], pairs[2 * half + 1]) = (_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b));
        }
        for g in 0..N {
            // SAFETY: the sizes were checked above; `j` is even and below `SPAN`, which is even.
            let weight =
                _mm512_set1_epi32(unsafe { weights.as_ptr().add(g * SPAN + j).cast::<i32>().read_unaligned() });
            for i in 0..4 {
                sums[g][i] = dot2(sums[g][i], weight, pairs[i]);
            }
        }
    }
    for (sums, out) in sums.iter().zip(out.chunks_exact_mut(dim)) {
        for i in 0..4 {
            let column = column + 16 * i;
            if column < dim {
                add_to(deinterleave(sums[i / 2 * 2], sums[i / 2 * 2 + 1], i % 2), &mut out[column..]);
            }
        }
    }
}

/// Restores the order of 16 columns from the interleaved quarters `low` and `high`: the first 16 columns if `which` is
/// 0, the second 16 if it is 1.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn deinterleave(low: __m512, high: __m512, which: usize) -> __m512 {
    let first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    let from = _mm512_add_epi32(first, _mm512_set1_epi32(8 * which as i32));
    _mm512_permutex2var_ps(low, from, high)
}

/// Adds the first of the 16 values to `out`, as many as it has.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn add_to(values: __m512, out: &mut [f32]) {
    let mask = row_mask(out.len(), 0, 16) as u16;
    // SAFETY: the mask keeps inside `out`.
    unsafe {
        let sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out.as_ptr()), values);
        _mm512_mask_storeu_ps(out.as_mut_ptr(), mask, sum);
    }
}
