//! The online softmax with AVX-512: one pass for the maxima, one for the exponentials, their sums and their rounding to
//! bf16.

#![allow(clippy::wildcard_imports, reason = "intrinsics")]
use std::arch::x86_64::*;

use super::state::OnlineSoftmax;
use crate::gemm::layout::NR;
use crate::plain_number::PlainNumber;

/// Minimax polynomial of `2^x` for `0 <= x < 1`, relative error below 2.7e-6: far below the rounding to bf16.
const EXP2_POLYNOMIAL: [f32; 5] = [0.013_534_168, 0.052_011_46, 0.241_442_76, 0.693_003_83, 1.000_002_6];

/// Turns `scores` into `exp(score - max)` as pairs of bf16: a row of pairs for two rows of scores. A last odd row is
/// paired with zeros.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512bf16")]
pub(super) fn exp_bf16_pairs(
    scores: &[[f32; NR]],
    visible: &[u32; NR],
    state: &mut OnlineSoftmax,
    pairs: &mut [[u32; NR]],
) {
    if visible.iter().all(|visible| *visible as usize >= scores.len()) {
        exp_rows::<false>(scores, visible, state, pairs)
    } else {
        exp_rows::<true>(scores, visible, state, pairs)
    }
}

/// Loads 32 values of 32 bits into two registers.
#[target_feature(enable = "avx512f")]
fn load<T: PlainNumber>(values: &[T; NR]) -> [__m512; 2] {
    const { assert!(size_of::<T>() == 4) };
    let first = values.as_ptr().cast::<f32>();
    // SAFETY: the array is 32 numbers of 32 bits.
    unsafe { [_mm512_loadu_ps(first), _mm512_loadu_ps(first.add(16))] }
}

#[target_feature(enable = "avx512f")]
fn store<T: PlainNumber>(registers: [__m512; 2], values: &mut [T; NR]) {
    const { assert!(size_of::<T>() == 4) };
    let first = values.as_mut_ptr().cast::<f32>();
    // SAFETY: the array is 32 numbers of 32 bits, and any bits are a number.
    unsafe {
        _mm512_storeu_ps(first, registers[0]);
        _mm512_storeu_ps(first.add(16), registers[1]);
    }
}

/// Mask of the lanes that see key `key`.
#[target_feature(enable = "avx512f")]
fn visible_mask<const MASKED: bool>(visible: __m512, key: usize) -> __mmask16 {
    if MASKED { _mm512_cmpgt_epu32_mask(_mm512_castps_si512(visible), _mm512_set1_epi32(key as i32)) } else { !0 }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512bf16")]
fn exp_rows<const MASKED: bool>(
    scores: &[[f32; NR]],
    visible: &[u32; NR],
    state: &mut OnlineSoftmax,
    pairs: &mut [[u32; NR]],
) {
    let visible = load(visible);
    let mut max = load(&state.max);
    for (key, row) in scores.iter().enumerate() {
        let row = load(row);
        for half in 0..2 {
            // If either operand is NaN, the instruction returns the second.
            max[half] = _mm512_mask_max_ps(max[half], visible_mask::<MASKED>(visible[half], key), row[half], max[half]);
        }
    }
    let mut most = [0.0; NR];
    store(max, &mut most);
    let (log2e, offset) = (_mm512_set1_ps(std::f32::consts::LOG2_E), load(&state.update_max::<true>(&most)));
    let offset = offset.map(|offset| _mm512_mul_ps(offset, log2e));
    let weight = |score: __m512, half: usize, key: usize| {
        let weight = exp2(_mm512_fmsub_ps(score, log2e, offset[half]));
        if MASKED { _mm512_maskz_mov_ps(visible_mask::<MASKED>(visible[half], key), weight) } else { weight }
    };
    let mut sum = load(&state.sum);
    for (number, (rows, pairs)) in scores.chunks(2).zip(pairs).enumerate() {
        let (first, second) = (load(&rows[0]), rows.get(1).map(|row| load(row)));
        let mut words = [_mm512_setzero_ps(); 2];
        for half in 0..2 {
            let low = weight(first[half], half, 2 * number);
            let high = second.map_or(_mm512_setzero_ps(), |row| weight(row[half], half, 2 * number + 1));
            sum[half] = _mm512_add_ps(sum[half], _mm512_add_ps(low, high));
            words[half] = bf16_pairs(low, high);
        }
        store(words, pairs);
    }
    store(sum, &mut state.sum);
}

/// `2^x`; zero for minus infinity.
#[target_feature(enable = "avx512f,avx512dq")]
fn exp2(x: __m512) -> __m512 {
    const DOWN: i32 = 1;
    let rest = _mm512_reduce_ps::<DOWN>(x);
    let sum = EXP2_POLYNOMIAL[1..]
        .iter()
        .fold(_mm512_set1_ps(EXP2_POLYNOMIAL[0]), |sum, factor| _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(*factor)));
    _mm512_scalef_ps(sum, x)
}

/// Rounds both to bf16 and interleaves them, `low` in the lower halves of the words.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn bf16_pairs(low: __m512, high: __m512) -> __m512 {
    const ORDER: [u16; 32] = {
        let mut order = [0; 32];
        let mut n = 0;
        while n < 32 {
            order[n] = (n / 2 + n % 2 * 16) as u16;
            n += 1;
        }
        order
    };
    // SAFETY: the types are 512 bits of any pattern.
    unsafe {
        let order = std::mem::transmute::<[u16; 32], __m512i>(ORDER);
        let rounded = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
        _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, rounded))
    }
}
