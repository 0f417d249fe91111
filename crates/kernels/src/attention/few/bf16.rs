//! Scores and weighted sums of few queries with the products of bf16 pairs of AVX-512: queries and weights are rounded
//! as they are where queries are many, keys and values are multiplied as they are stored.

#![allow(clippy::wildcard_imports, reason = "the instructions")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their numbers")]
use std::arch::x86_64::*;

use super::avx512::mask;
use super::{AHEAD, SPAN, Span};
use crate::attention::stored::Rows;

/// Keys whose scores of two heads are summed up together: one for each lane.
const ROWS: usize = 8;
/// Heads whose weighted sums stay in registers together.
const HEADS: usize = 6;
/// Values of bf16 in a register.
const WIDE: usize = 32;

/// The values of bf16 at `from` that `mask` has, zeros elsewhere.
///
/// # Safety
/// The CPU has AVX-512 BW; what the mask has may be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn load(from: *const u16, mask: u32) -> __m512i {
    // SAFETY: as the caller promises.
    unsafe { _mm512_maskz_loadu_epi16(mask, from.cast()) }
}

/// `sum` plus the products of two words of bf16 in every lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn add(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    // SAFETY: both are 512 bits of anything.
    let [a, b] = [a, b].map(|x| unsafe { std::mem::transmute::<__m512i, __m512bh>(x) });
    _mm512_dpbf16_ps(sum, a, b)
}

/// Rows of `dim` values rounded to bf16, each filled up with zeros to a multiple of [`WIDE`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn round(rows: &[f32], dim: usize) -> Vec<u16> {
    let width = dim.next_multiple_of(WIDE);
    let mut short = vec![0; rows.len() / dim * width];
    for (row, short) in rows.chunks_exact(dim).zip(short.chunks_exact_mut(width)) {
        for (values, short) in row.chunks(16).zip(short.chunks_exact_mut(16)) {
            // SAFETY: the mask keeps inside `values`; `short` has 16 values of 16 bits.
            unsafe {
                let wide = _mm512_maskz_loadu_ps(mask(values.len(), 0, 16) as u16, values.as_ptr());
                let bits = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(wide));
                _mm256_storeu_si256(short.as_mut_ptr().cast(), bits);
            }
        }
    }
    short
}

/// [`super::dots`] with queries rounded to bf16; scores are written up to a multiple of [`ROWS`] keys.
///
/// # Safety
/// The CPU has AVX-512 F, BW, DQ, VL and BF16; the sizes are those that [`Span::check`] checks.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
pub(super) unsafe fn dots(q: &[f32], k: &[u16], span: Span, scores: &mut [f32]) {
    let (heads, width) = (q.len() / span.dim, span.dim.next_multiple_of(WIDE));
    let q = round(q, span.dim);
    for first in (0..span.keys).step_by(ROWS) {
        (0..ROWS).for_each(|r| k.fetch(span.row(first + r + AHEAD), span.dim));
        // Beyond the last key, the last one is multiplied again.
        let rows = std::array::from_fn(|r| k[span.row((first + r).min(span.keys - 1)) * span.dim..].as_ptr());
        for one in (0..heads).step_by(2) {
            let two = (one + 1).min(heads - 1);
            // SAFETY: each row has `dim` values (`span` was checked), each query `width`; a row of scores has `SPAN`
            // values, which is a multiple of `ROWS`.
            unsafe {
                let sums = pair_of_heads(q[one * width..].as_ptr(), q[two * width..].as_ptr(), &rows, span.dim);
                let halves = [(one, _mm512_castps512_ps256(sums)), (two, _mm512_extractf32x8_ps::<1>(sums))];
                for (head, half) in halves {
                    _mm256_storeu_ps(scores[head * SPAN + first..][..ROWS].as_mut_ptr(), half);
                }
            }
        }
    }
}

/// The products of two queries with eight keys: lane `l` below 8 is that of the first with key `l`, the others are the
/// second's.
///
/// # Safety
/// The queries have `dim` values and zeros up to a multiple of [`WIDE`], the keys `dim` values.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn pair_of_heads(one: *const u16, two: *const u16, keys: &[*const u16; ROWS], dim: usize) -> __m512 {
    let mut sums = [_mm512_setzero_ps(); 2 * ROWS];
    for column in (0..dim).step_by(WIDE) {
        let mask = mask(dim, column, WIDE);
        // SAFETY: as the caller promises; the mask keeps inside the keys.
        unsafe {
            let (one, two) = (load(one.add(column), u32::MAX), load(two.add(column), u32::MAX));
            for r in 0..ROWS {
                let key = load(keys[r].add(column), mask);
                sums[r] = add(sums[r], one, key);
                sums[ROWS + r] = add(sums[ROWS + r], two, key);
            }
        }
    }
    sums_of(sums)
}

/// Lane `l` is the sum of all lanes of register `l`: in four steps each register takes in another, instead of a sum
/// over lanes for each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn sums_of(v: [__m512; 16]) -> __m512 {
    let twos: [__m512; 8] = std::array::from_fn(|i| {
        let (a, b) = (v[2 * i], v[2 * i + 1]);
        _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b))
    });
    let fours: [__m512; 4] = std::array::from_fn(|i| {
        let (a, b) = (_mm512_castps_pd(twos[2 * i]), _mm512_castps_pd(twos[2 * i + 1]));
        _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)))
    });
    let eights = [halves(fours[0], fours[1]), halves(fours[2], fours[3])];
    halves(eights[0], eights[1])
}

/// Quarters of `a` in pairs, then those of `b`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn halves(a: __m512, b: __m512) -> __m512 {
    _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b))
}

/// [`super::gather`] with weights rounded to bf16.
///
/// # Safety
/// The CPU has AVX-512 F, BW, DQ, VL and BF16; the sizes are those that [`Span::check`] checks.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
pub(super) unsafe fn gather(weights: &[f32], v: &[u16], span: Span, out: &mut [f32]) {
    let (dim, weights) = (span.dim, round(weights, SPAN));
    for (weights, out) in weights.chunks(HEADS * SPAN).zip(out.chunks_mut(HEADS * dim)) {
        for column in (0..dim).step_by(2 * WIDE) {
            match out.len() / dim {
                1 => some_sums::<1>(weights, v, span, column, out),
                2 => some_sums::<2>(weights, v, span, column, out),
                3 => some_sums::<3>(weights, v, span, column, out),
                4 => some_sums::<4>(weights, v, span, column, out),
                5 => some_sums::<5>(weights, v, span, column, out),
                _ => some_sums::<HEADS>(weights, v, span, column, out),
            }
        }
    }
}

/// 64 columns of the sums of N heads. Two rows of values are put in pairs, quarter by quarter: the lower and the upper
/// half of each become registers of their own.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn some_sums<const N: usize>(weights: &[u16], v: &[u16], span: Span, column: usize, out: &mut [f32]) {
    let dim = span.dim;
    assert!(out.len() == N * dim && weights.len() == N * SPAN, "sums of heads");
    let columns = [column, column + WIDE];
    let masks = columns.map(|column| mask(dim, column, WIDE));
    let mut sums = [[_mm512_setzero_ps(); 4]; N];
    for j in (0..span.keys).step_by(2) {
        if column == 0 {
            (0..2).for_each(|r| v.fetch(span.row(j + r + AHEAD), dim));
        }
        // Beyond the last row, nothing is read.
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
            // SAFETY: checked above; `j` is even and below `SPAN`, which is even, too.
            let weight =
                _mm512_set1_epi32(unsafe { weights.as_ptr().add(g * SPAN + j).cast::<i32>().read_unaligned() });
            for i in 0..4 {
                sums[g][i] = add(sums[g][i], weight, pairs[i]);
            }
        }
    }
    for (sums, out) in sums.iter().zip(out.chunks_exact_mut(dim)) {
        for i in 0..4 {
            let column = column + 16 * i;
            if column < dim {
                add_to(quarters(sums[i / 2 * 2], sums[i / 2 * 2 + 1], i % 2), &mut out[column..]);
            }
        }
    }
}

/// 16 values in their order, the first or the second of those whose quarters lie in `low` and `high` in turn.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn quarters(low: __m512, high: __m512, which: usize) -> __m512 {
    let first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    let from = _mm512_add_epi32(first, _mm512_set1_epi32(8 * which as i32));
    _mm512_permutex2var_ps(low, from, high)
}

/// Adds as many of the 16 values as `out` takes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn add_to(values: __m512, out: &mut [f32]) {
    let mask = mask(out.len(), 0, 16) as u16;
    // SAFETY: the mask keeps inside `out`.
    unsafe {
        let sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out.as_ptr()), values);
        _mm512_mask_storeu_ps(out.as_mut_ptr(), mask, sum);
    }
}
