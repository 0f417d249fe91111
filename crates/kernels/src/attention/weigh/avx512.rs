//! Scores to weights in pairs of bf16 with AVX-512, in one pass after that for the maxima.

#![allow(clippy::wildcard_imports, reason = "the instructions")]
use std::arch::x86_64::*;

use super::{LANES, State};
use crate::packed::Number;

/// `2^x` for `0 <= x < 1` as a polynomial, relative error below 2.7e-6 (minimax); weights are rounded to 2^-8 then.
const POWER: [f32; 5] = [0.013_534_168, 0.052_011_46, 0.241_442_76, 0.693_003_83, 1.000_002_6];

/// `scores` to pairs of weights, one row of pairs for two rows of scores; a last odd row is paired with zeros.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512bf16")]
pub(super) fn weigh(scores: &[[f32; LANES]], room: &[u32; LANES], state: &mut State, pairs: &mut [[u32; LANES]]) {
    if room.iter().all(|room| *room as usize >= scores.len()) {
        all::<false>(scores, room, state, pairs)
    } else {
        all::<true>(scores, room, state, pairs)
    }
}

/// The two registers of 32 values of 32 bits.
#[target_feature(enable = "avx512f")]
fn load<T: Number>(values: &[T; LANES]) -> [__m512; 2] {
    const { assert!(size_of::<T>() == 4) };
    let first = values.as_ptr().cast::<f32>();
    // SAFETY: 32 numbers of 32 bits.
    unsafe { [_mm512_loadu_ps(first), _mm512_loadu_ps(first.add(16))] }
}

#[target_feature(enable = "avx512f")]
fn store<T: Number>(registers: [__m512; 2], values: &mut [T; LANES]) {
    const { assert!(size_of::<T>() == 4) };
    let first = values.as_mut_ptr().cast::<f32>();
    // SAFETY: as in `load`; all bits are a number.
    unsafe {
        _mm512_storeu_ps(first, registers[0]);
        _mm512_storeu_ps(first.add(16), registers[1]);
    }
}

/// The lanes that see key `key`.
#[target_feature(enable = "avx512f")]
fn seen<const HIDDEN: bool>(room: __m512, key: usize) -> __mmask16 {
    if HIDDEN { _mm512_cmpgt_epu32_mask(_mm512_castps_si512(room), _mm512_set1_epi32(key as i32)) } else { !0 }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512bf16")]
fn all<const HIDDEN: bool>(
    scores: &[[f32; LANES]],
    room: &[u32; LANES],
    state: &mut State,
    pairs: &mut [[u32; LANES]],
) {
    let room = load(room);
    let mut max = load(&state.max);
    for (key, row) in scores.iter().enumerate() {
        let row = load(row);
        for half in 0..2 {
            // Of a score that is not a number and another, the second is taken.
            max[half] = _mm512_mask_max_ps(max[half], seen::<HIDDEN>(room[half], key), row[half], max[half]);
        }
    }
    let mut most = [0.0; LANES];
    store(max, &mut most);
    let (log2e, floor) = (_mm512_set1_ps(std::f32::consts::LOG2_E), load(&state.raise::<true>(&most)));
    let floor = floor.map(|floor| _mm512_mul_ps(floor, log2e));
    let weight = |score: __m512, half: usize, key: usize| {
        let weight = power(_mm512_fmsub_ps(score, log2e, floor[half]));
        if HIDDEN { _mm512_maskz_mov_ps(seen::<HIDDEN>(room[half], key), weight) } else { weight }
    };
    let mut sum = load(&state.sum);
    for (number, (rows, pairs)) in scores.chunks(2).zip(pairs).enumerate() {
        let (first, second) = (load(&rows[0]), rows.get(1).map(|row| load(row)));
        let mut words = [_mm512_setzero_ps(); 2];
        for half in 0..2 {
            let low = weight(first[half], half, 2 * number);
            let high = second.map_or(_mm512_setzero_ps(), |row| weight(row[half], half, 2 * number + 1));
            sum[half] = _mm512_add_ps(sum[half], _mm512_add_ps(low, high));
            words[half] = side_by_side(low, high);
        }
        store(words, pairs);
    }
    store(sum, &mut state.sum);
}

/// `2^x`; zero for minus infinity.
#[target_feature(enable = "avx512f,avx512dq")]
fn power(x: __m512) -> __m512 {
    const DOWN: i32 = 1;
    let rest = _mm512_reduce_ps::<DOWN>(x);
    let sum = POWER[1..]
        .iter()
        .fold(_mm512_set1_ps(POWER[0]), |sum, factor| _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(*factor)));
    _mm512_scalef_ps(sum, x)
}

/// Words of a value of each as bf16, `low` in the lower halves.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn side_by_side(low: __m512, high: __m512) -> __m512 {
    const ORDER: [u16; 32] = {
        let mut order = [0; 32];
        let mut n = 0;
        while n < 32 {
            order[n] = (n / 2 + n % 2 * 16) as u16;
            n += 1;
        }
        order
    };
    // SAFETY: both are 512 bits of anything.
    unsafe {
        let order = std::mem::transmute::<[u16; 32], __m512i>(ORDER);
        let short = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
        _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, short))
    }
}
