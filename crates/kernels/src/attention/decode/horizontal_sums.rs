//! Sums over the lanes of many AVX-512 registers at once.

#![allow(clippy::wildcard_imports, reason = "intrinsics")]
use std::arch::x86_64::*;

/// Keys whose scores for two rows fill one register.
pub(super) const ROWS: usize = 8;

/// Sums over the lanes of 16 registers: lane `l` of the result is the sum of register `l`. Pairs of registers are
/// merged in four steps, which is faster than 16 horizontal sums.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn horizontal_sums(v: [__m512; 16]) -> __m512 {
    let twos: [__m512; 8] = std::array::from_fn(|i| {
        let (a, b) = (v[2 * i], v[2 * i + 1]);
        _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b))
    });
    let fours: [__m512; 4] = std::array::from_fn(|i| {
        let (a, b) = (_mm512_castps_pd(twos[2 * i]), _mm512_castps_pd(twos[2 * i + 1]));
        _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)))
    });
    let eights = [add_quarters(fours[0], fours[1]), add_quarters(fours[2], fours[3])];
    add_quarters(eights[0], eights[1])
}

/// Adds pairs of the 128-bit quarters of `a`, then of `b`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn add_quarters(a: __m512, b: __m512) -> __m512 {
    _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b))
}

/// Sum over the lanes of one register, added in the order of [`horizontal_sums`]: a score does not depend on how many
/// are computed together.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn horizontal_sum(v: __m512) -> f32 {
    let twos = _mm512_add_ps(v, _mm512_permute_ps::<0b01_00_11_10>(v));
    let fours = _mm512_add_ps(twos, _mm512_permute_ps::<0b10_11_00_01>(twos));
    let eights = _mm512_add_ps(fours, _mm512_shuffle_f32x4::<0b10_11_00_01>(fours, fours));
    _mm512_cvtss_f32(_mm512_add_ps(eights, _mm512_shuffle_f32x4::<0b01_00_11_10>(eights, eights)))
}
