//! Tiles with AVX2 and FMA: 16 lanes (two registers) of at most four rows at a time.

#![allow(clippy::wildcard_imports, reason = "the instructions")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their numbers")]
use std::arch::x86_64::*;

use super::{CHUNK, GROUP, Kind, LANES, Tile};
use crate::packed::{GROUP_BYTES, GROUP8, SCALES_BYTES, STEP_BYTES};

/// Rows at once.
const FEW: usize = 4;

/// Part of a tile: rows `first .. first + M`, lanes `lane .. lane + 16`.
#[derive(Clone, Copy)]
struct Part {
    first: usize,
    lane: usize,
}

/// # Safety
/// The CPU has AVX2 and FMA; the sizes are those that `add` in `tile` checks.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn add(kind: Kind, tile: &Tile<'_>, sums: &mut [f32]) {
    if tile.fresh {
        sums.chunks_mut(tile.stride).for_each(|sums| sums[..LANES].fill(0.0));
    }
    let sums = sums.as_mut_ptr();
    for first in (0..tile.x.m).step_by(FEW) {
        for lane in [0, 16] {
            let part = Part { first, lane };
            // SAFETY: as the caller promises; `first + M <= m` and `lane + 16 <= LANES`.
            unsafe {
                match tile.x.m - first {
                    1 => rows::<1>(kind, tile, part, sums),
                    2 => rows::<2>(kind, tile, part, sums),
                    3 => rows::<3>(kind, tile, part, sums),
                    _ => rows::<FEW>(kind, tile, part, sums),
                }
            }
        }
    }
}

// SAFETY: as for `add`, and the part lies inside the tile.
#[target_feature(enable = "avx2,fma")]
unsafe fn rows<const M: usize>(kind: Kind, tile: &Tile<'_>, part: Part, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe {
        match kind {
            Kind::F32 => floats::<M>(tile, part, sums, |sum, x, w| {
                _mm256_fmadd_ps(_mm256_set1_ps(f32::from_bits(x)), _mm256_castsi256_ps(w), sum)
            }),
            Kind::Bf16 => floats::<M>(tile, part, sums, |sum, x, w| {
                // A bf16 is the upper half of the f32 of the same value.
                let (x0, x1) = (f32::from_bits(x << 16), f32::from_bits(x & 0xffff_0000));
                let w0 = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(w));
                let w1 = _mm256_castsi256_ps(_mm256_and_si256(w, _mm256_set1_epi32(0xffff_0000u32 as i32)));
                _mm256_fmadd_ps(_mm256_set1_ps(x1), w1, _mm256_fmadd_ps(_mm256_set1_ps(x0), w0, sum))
            }),
            Kind::Int8 => int8::<M>(tile, part, sums),
            Kind::Int4 => int4::<M>(tile, part, sums),
        }
    }
}

// SAFETY: as for `add`, and the part lies inside the tile.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn floats<const M: usize>(
    tile: &Tile<'_>,
    part: Part,
    sums: *mut f32,
    dot: impl Fn(__m256, u32, __m256i) -> __m256,
) {
    // SAFETY: `x` has m words and `w` 128 bytes for each step, `sums` m rows of 32 values.
    unsafe {
        let (x, w) = (tile.x.lanes.as_ptr().add(part.first), tile.w.as_ptr().add(4 * part.lane));
        let mut sum = [[_mm256_setzero_ps(); 2]; M];
        for step in 0..tile.steps {
            let w = w.add(step * STEP_BYTES);
            let (w0, w1) = (_mm256_loadu_si256(w.cast()), _mm256_loadu_si256(w.add(32).cast()));
            for r in 0..M {
                let x = *x.add(step * tile.x.m + r);
                sum[r] = [dot(sum[r][0], x, w0), dot(sum[r][1], x, w1)];
            }
        }
        for r in 0..M {
            for half in 0..2 {
                add_to(tile, sums, part, r, half, sum[r][half]);
            }
        }
    }
}

// SAFETY: as for `add`, and the part lies inside the tile.
/// Adds eight values to the sums of row `r` of the part.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn add_to(tile: &Tile<'_>, sums: *mut f32, part: Part, r: usize, half: usize, more: __m256) {
    // SAFETY: the part lies inside the tile's sums.
    unsafe {
        let to = sums.add((part.first + r) * tile.stride + part.lane + 8 * half);
        _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), more));
    }
}

/// Sums over four neighbours of unsigned times signed bytes; no pair of products may exceed 16 bits.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn fours(unsigned: __m256i, signed: __m256i) -> __m256i {
    _mm256_madd_epi16(_mm256_maddubs_epi16(unsigned, signed), _mm256_set1_epi16(1))
}

// SAFETY: as for `add`, and the part lies inside the tile.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn int8<const M: usize>(tile: &Tile<'_>, part: Part, sums: *mut f32) {
    // SAFETY: as in `floats`; scales has m values for each chunk that is begun, the panel has its scales after the
    // steps of each group.
    unsafe {
        let zero = _mm256_set1_epi8(-128);
        for (chunk, first) in (0..tile.steps).step_by(CHUNK / 4).enumerate() {
            let group = first * 4 / GROUP8;
            let last = tile.steps.min((group + 1) * GROUP8 / 4);
            let w = tile.w.as_ptr().add(group * SCALES_BYTES);
            let mut whole = [[_mm256_setzero_si256(); 2]; M];
            for step in first..last.min(first + CHUNK / 4) {
                let w = w.add(step * STEP_BYTES + 4 * part.lane);
                // Stored 128 above their values; here the signed value is needed, so that no sum of two exceeds 16
                // bits: |x| times w with the sign of x.
                let w0 = _mm256_xor_si256(_mm256_loadu_si256(w.cast()), zero);
                let w1 = _mm256_xor_si256(_mm256_loadu_si256(w.add(32).cast()), zero);
                for r in 0..M {
                    let x = _mm256_set1_epi32(tile.x.lanes[step * tile.x.m + part.first + r] as i32);
                    let size = _mm256_abs_epi8(x);
                    for (whole, w) in whole[r].iter_mut().zip([w0, w1]) {
                        *whole = _mm256_add_epi32(*whole, fours(size, _mm256_sign_epi8(w, x)));
                    }
                }
            }
            add_scaled(tile, part, chunk, &whole, w.add(last * STEP_BYTES), sums);
        }
    }
}

// SAFETY: as for `add`, and the part lies inside the tile.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn int4<const M: usize>(tile: &Tile<'_>, part: Part, sums: *mut f32) {
    // SAFETY: as in `floats`; a group has GROUP_BYTES bytes and m offsets.
    unsafe {
        let low = _mm256_set1_epi8(15);
        for group in 0..tile.steps * 4 / GROUP {
            let w = tile.w.as_ptr().add(group * GROUP_BYTES);
            let x = tile.x.lanes.as_ptr().add(group * (GROUP / 4) * tile.x.m + part.first);
            let offsets = tile.x.offsets.as_ptr().add(group * tile.x.m + part.first);
            let mut whole = [[_mm256_setzero_si256(); 2]; M];
            for r in 0..M {
                whole[r] = [_mm256_set1_epi32(*offsets.add(r)); 2];
            }
            for step in 0..4 {
                for half in 0..2 {
                    let n = _mm256_loadu_si256(w.add(step * STEP_BYTES + 4 * part.lane + 32 * half).cast());
                    let (near, far) = (_mm256_and_si256(n, low), _mm256_and_si256(_mm256_srli_epi16::<4>(n), low));
                    for r in 0..M {
                        let (x0, x1) = (*x.add(step * tile.x.m + r), *x.add((step + 4) * tile.x.m + r));
                        let sum = _mm256_add_epi32(
                            fours(near, _mm256_set1_epi32(x0 as i32)),
                            fours(far, _mm256_set1_epi32(x1 as i32)),
                        );
                        whole[r][half] = _mm256_add_epi32(whole[r][half], sum);
                    }
                }
            }
            add_scaled(tile, part, group * GROUP / CHUNK, &whole, w.add(LANES * GROUP / 2), sums);
        }
    }
}

// SAFETY: as for `add`, and the part lies inside the tile.
/// Adds whole numbers of chunk `chunk` times the scales of their rows and those of their lanes, 32 bf16 at `scales`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn add_scaled<const M: usize>(
    tile: &Tile<'_>,
    part: Part,
    chunk: usize,
    whole: &[[__m256i; 2]; M],
    scales: *const u8,
    sums: *mut f32,
) {
    for half in 0..2 {
        // SAFETY: `scales` has 64 bytes, of which these are the part's.
        let bits = unsafe { _mm_loadu_si128(scales.add(2 * part.lane + 16 * half).cast()) };
        let lanes = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(bits)));
        for r in 0..M {
            let factor = _mm256_mul_ps(_mm256_set1_ps(tile.x.scales[chunk * tile.x.m + part.first + r]), lanes);
            // SAFETY: the part lies inside the tile's sums.
            unsafe { add_to(tile, sums, part, r, half, _mm256_mul_ps(_mm256_cvtepi32_ps(whole[r][half]), factor)) };
        }
    }
}
