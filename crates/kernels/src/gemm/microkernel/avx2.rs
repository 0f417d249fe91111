//! Micro-kernels with AVX2 and FMA: sub-tiles of `M` rows and `Q` registers of eight lanes. A window of k-steps is
//! multiplied with all lanes before the next one, so that it stays in the L1 cache.

#![allow(clippy::wildcard_imports, reason = "intrinsics")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their numbers")]
use std::arch::x86_64::*;

use super::super::layout::{
    ACT_GROUP, GROUP_SCALES_BYTES, I4_BLOCK_BYTES, I4_BLOCK_GROUPS, I4_FACTORS_BYTES, I4_GROUP, I4_GROUP_BYTES,
    I4_NIBBLES_BYTES, I8_GROUP, NR, STEP_BYTES,
};
use super::super::weight_type::WeightType;
use super::args::MicroTile;

/// K-steps of a window in f32 and bf16; in int8 and int4 it is a group.
const WINDOW_STEPS: usize = 64;

/// Calls `$kernel::<M, Q>` for each sub-tile of a tile. The table gives, for each number of rows of a tile, its
/// sub-tiles from top to bottom: `M` rows of `Q` registers of lanes. Accumulators and operands fit the 16 registers;
/// the numbers are the fastest ones that were measured.
macro_rules! by_height {
    ($kernel:ident ($tile:ident, $acc:ident), { $($height:literal => $($m:literal x $q:literal)and+,)* }) => {
        match $tile.x.mr {
            $($height => {
                let mut first = 0;
                $(
                    $kernel::<$m, $q>($tile, $acc, first);
                    first += $m;
                )+
                debug_assert_eq!(first, $height);
            })*
            _ => unreachable!("a tile of {} rows", $tile.x.mr),
        }
    };
}

/// # Safety
/// The CPU has AVX2 and FMA; the sizes are those that `MicroKernelArgs::check` checks.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn accumulate(weight_type: WeightType, tile: &MicroTile<'_>, acc: &mut [f32]) {
    if tile.zero_init {
        acc.chunks_mut(tile.acc_stride).for_each(|acc| acc[..NR].fill(0.0));
    }
    let acc = acc.as_mut_ptr();
    // SAFETY: as the caller promises.
    unsafe {
        match weight_type {
            WeightType::F32 => by_height!(f32_rows(tile, acc), {
                1 => 1 x 4,
                2 => 2 x 4,
                3 => 3 x 2,
                4 => 4 x 2,
                5 => 5 x 2,
                6 => 6 x 2,
                7 => 4 x 2 and 3 x 2,
                8 => 4 x 2 and 4 x 2,
            }),
            WeightType::Bf16 => by_height!(bf16_rows(tile, acc), {
                1 => 1 x 4,
                2 => 2 x 2,
                3 => 3 x 2,
                4 => 4 x 2,
                5 => 3 x 2 and 2 x 2,
                6 => 3 x 2 and 3 x 2,
                7 => 4 x 2 and 3 x 2,
                8 => 4 x 2 and 4 x 2,
            }),
            WeightType::Int8 => by_height!(int8_rows(tile, acc), {
                1 => 1 x 2,
                2 => 2 x 2,
                3 => 3 x 2,
                4 => 4 x 2,
                5 => 3 x 2 and 2 x 2,
                6 => 3 x 2 and 3 x 2,
                7 => 4 x 2 and 3 x 2,
                8 => 4 x 2 and 4 x 2,
            }),
            WeightType::Int4 => by_height!(int4_rows(tile, acc), {
                1 => 1 x 4,
                2 => 2 x 4,
                3 => 3 x 2,
                4 => 4 x 2,
                5 => 3 x 2 and 2 x 4,
                6 => 3 x 2 and 3 x 2,
                7 => 4 x 2 and 3 x 2,
                8 => 4 x 2 and 4 x 2,
            }),
        }
    }
}

// SAFETY: as for `accumulate`; `row .. row + M` are rows of the tile.
#[target_feature(enable = "avx2,fma")]
unsafe fn f32_rows<const M: usize, const Q: usize>(tile: &MicroTile<'_>, acc: *mut f32, row: usize) {
    // SAFETY: as the caller promises; at every k-step `x` has M words and `w` 32 Q bytes.
    unsafe {
        floats::<M, Q>(tile, acc, row, |sum, x, w| {
            let w: [__m256; Q] = std::array::from_fn(|q| _mm256_loadu_ps(w.add(32 * q).cast()));
            for r in 0..M {
                let x = _mm256_set1_ps(f32::from_bits(*x.add(r)));
                for q in 0..Q {
                    sum[r][q] = _mm256_fmadd_ps(x, w[q], sum[r][q]);
                }
            }
        });
    }
}

// SAFETY: as for `accumulate`; `row .. row + M` are rows of the tile.
#[target_feature(enable = "avx2,fma")]
unsafe fn bf16_rows<const M: usize, const Q: usize>(tile: &MicroTile<'_>, acc: *mut f32, row: usize) {
    // A bf16 is the upper half of the f32 of the same value.
    let first = |pair| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pair));
    let second = |pair| _mm256_castsi256_ps(_mm256_and_si256(pair, _mm256_set1_epi32(0xffff_0000u32 as i32)));
    // SAFETY: as the caller promises; at every k-step `x` has M words and `w` 32 Q bytes.
    unsafe {
        floats::<M, Q>(tile, acc, row, |sum, x, w| {
            let w: [__m256i; Q] = std::array::from_fn(|q| _mm256_loadu_si256(w.add(32 * q).cast()));
            let (w0, w1) = (w.map(first), w.map(second));
            for r in 0..M {
                let x = _mm256_set1_epi32(*x.add(r) as i32);
                let (x0, x1) = (first(x), second(x));
                for q in 0..Q {
                    sum[r][q] = _mm256_fmadd_ps(x1, w1[q], _mm256_fmadd_ps(x0, w0[q], sum[r][q]));
                }
            }
        });
    }
}

// SAFETY: as for `accumulate`; `row .. row + M` are rows of the tile, and `add_step` reads M words and 32 Q bytes.
/// Sums in f32; `add_step(sum, x, w)` adds the products of a k-step. The sums continue those of earlier k-steps, so
/// that a row that is cut into windows or slices is rounded like a whole one.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn floats<const M: usize, const Q: usize>(
    tile: &MicroTile<'_>,
    acc: *mut f32,
    row: usize,
    add_step: impl Fn(&mut [[__m256; Q]; M], *const u32, *const u8),
) {
    for first in (0..tile.k_steps).step_by(WINDOW_STEPS) {
        let steps = WINDOW_STEPS.min(tile.k_steps - first);
        for lane in (0..NR).step_by(8 * Q) {
            // SAFETY: `x` has mr words and `w` 128 bytes for each k-step, `acc` mr rows of 32 values.
            unsafe {
                let mut x = tile.x.words.as_ptr().add(first * tile.x.mr + row);
                let mut w = tile.w.as_ptr().add(first * STEP_BYTES + 4 * lane);
                let mut sum = [[_mm256_setzero_ps(); Q]; M];
                for r in 0..M {
                    for q in 0..Q {
                        sum[r][q] = _mm256_loadu_ps(acc_at(tile, acc, row + r, lane + 8 * q));
                    }
                }
                for _ in 0..steps {
                    add_step(&mut sum, x, w);
                    (x, w) = (x.wrapping_add(tile.x.mr), w.wrapping_add(STEP_BYTES));
                }
                for r in 0..M {
                    for q in 0..Q {
                        _mm256_storeu_ps(acc_at(tile, acc, row + r, lane + 8 * q), sum[r][q]);
                    }
                }
            }
        }
    }
}

/// Address of the accumulator of a row and a lane.
#[inline]
fn acc_at(tile: &MicroTile<'_>, acc: *mut f32, r: usize, lane: usize) -> *mut f32 {
    acc.wrapping_add(r * tile.acc_stride + lane)
}

/// Sums of pairs of 16-bit integers in every 32-bit lane.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_pairs(pairs: __m256i) -> __m256i {
    _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
}

// SAFETY: as for `accumulate`; `row .. row + M` are rows of the tile.
#[target_feature(enable = "avx2,fma")]
unsafe fn int8_rows<const M: usize, const Q: usize>(tile: &MicroTile<'_>, acc: *mut f32, row: usize) {
    let zero_point = _mm256_set1_epi8(-128);
    for (act_group, first) in (0..tile.k_steps).step_by(ACT_GROUP / 4).enumerate() {
        let (steps, group) = ((ACT_GROUP / 4).min(tile.k_steps - first), first * 4 / I8_GROUP);
        let last = tile.k_steps.min((group + 1) * I8_GROUP / 4);
        for lane in (0..NR).step_by(8 * Q) {
            // SAFETY: `x` has mr words and `w` 128 bytes for each k-step; the panel has its scales after the k-steps of
            // each group.
            unsafe {
                let panel = tile.w.as_ptr().add(group * GROUP_SCALES_BYTES);
                let mut x = tile.x.words.as_ptr().add(first * tile.x.mr + row);
                let mut w = panel.add(first * STEP_BYTES + 4 * lane);
                let mut integers = [[_mm256_setzero_si256(); Q]; M];
                for _ in 0..steps {
                    // Products of unsigned weights could exceed 16 bits in pairs. So the zero point is removed, and |w|
                    // is multiplied with x of the sign of w.
                    let signed: [__m256i; Q] =
                        std::array::from_fn(|q| _mm256_xor_si256(_mm256_loadu_si256(w.add(32 * q).cast()), zero_point));
                    let abs = signed.map(|w| _mm256_abs_epi8(w));
                    for r in 0..M {
                        let x = _mm256_set1_epi32(*x.add(r) as i32);
                        for q in 0..Q {
                            let pairs = _mm256_maddubs_epi16(abs[q], _mm256_sign_epi8(x, signed[q]));
                            integers[r][q] = _mm256_add_epi32(integers[r][q], sum_pairs(pairs));
                        }
                    }
                    (x, w) = (x.wrapping_add(tile.x.mr), w.wrapping_add(STEP_BYTES));
                }
                add_scaled(tile, act_group, row, lane, &integers, panel.add(last * STEP_BYTES), acc);
            }
        }
    }
}

// SAFETY: as for `accumulate`; `row .. row + M` are rows of the tile.
#[target_feature(enable = "avx2,fma")]
unsafe fn int4_rows<const M: usize, const Q: usize>(tile: &MicroTile<'_>, acc: *mut f32, row: usize) {
    let low = _mm256_set1_epi8(15);
    for group in 0..tile.k_steps * 4 / I4_GROUP {
        for lane in (0..NR).step_by(8 * Q) {
            // SAFETY: `x` has 8 mr words, the offsets mr values and `w` I4_GROUP_BYTES bytes for each group, and before
            // each super-block I4_FACTORS_BYTES.
            unsafe {
                let factors = tile.w.as_ptr().add(group / I4_BLOCK_GROUPS * I4_BLOCK_BYTES);
                let w = factors.add(I4_FACTORS_BYTES + group % I4_BLOCK_GROUPS * I4_GROUP_BYTES);
                let x = tile.x.words.as_ptr().add(group * (I4_GROUP / 4) * tile.x.mr + row);
                // No sum of a group exceeds 16 bits: it has eight pairs of products of at most 15 * 127.
                let mut pairs = [[_mm256_setzero_si256(); Q]; M];
                for step in 0..4 {
                    let n: [__m256i; Q] = std::array::from_fn(|q| {
                        _mm256_loadu_si256(w.add(step * STEP_BYTES + 4 * lane + 32 * q).cast())
                    });
                    let near = n.map(|n| _mm256_and_si256(n, low));
                    let far = n.map(|n| _mm256_and_si256(_mm256_srli_epi16::<4>(n), low));
                    for r in 0..M {
                        let x0 = _mm256_set1_epi32(*x.add(step * tile.x.mr + r) as i32);
                        let x1 = _mm256_set1_epi32(*x.add((step + 4) * tile.x.mr + r) as i32);
                        for q in 0..Q {
                            let more =
                                _mm256_add_epi16(_mm256_maddubs_epi16(near[q], x0), _mm256_maddubs_epi16(far[q], x1));
                            pairs[r][q] = _mm256_add_epi16(pairs[r][q], more);
                        }
                    }
                }
                let integers = pairs.map(|pairs| pairs.map(|pairs| sum_pairs(pairs)));
                add_affine(tile, group, row, lane, &integers, (factors, w.add(I4_NIBBLES_BYTES)), acc);
            }
        }
    }
}

// SAFETY: as for `accumulate`; `row .. row + M` are rows of the tile, which has this group; `lane + 8 Q <= NR`, and
// `weight_scales` has 64 bytes.
/// Adds integer sums of activation group `act_group` times the scales of their rows and of their lanes: 32 bf16 at
/// `weight_scales`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn add_scaled<const M: usize, const Q: usize>(
    tile: &MicroTile<'_>,
    act_group: usize,
    row: usize,
    lane: usize,
    integers: &[[__m256i; Q]; M],
    weight_scales: *const u8,
    acc: *mut f32,
) {
    // SAFETY: as the caller promises; the scales of `x` are mr a group, `acc` has mr rows of 32 values.
    unsafe {
        let row_scales = tile.x.scales.as_ptr().add(act_group * tile.x.mr + row);
        for q in 0..Q {
            let bits = _mm_loadu_si128(weight_scales.add(2 * (lane + 8 * q)).cast());
            let lanes = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(bits)));
            for r in 0..M {
                let factor = _mm256_mul_ps(_mm256_set1_ps(*row_scales.add(r)), lanes);
                let scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(integers[r][q]), factor);
                let to = acc_at(tile, acc, row + r, lane + 8 * q);
                _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), scaled));
            }
        }
    }
}

// SAFETY: as for `accumulate`; `row .. row + M` are rows of the tile, which has this group; `lane + 8 Q <= NR`,
// `factors` has I4_FACTORS_BYTES bytes and `codes` 64.
/// Adds `(integer * scale - minimum * offset) * row scale` for int4 group `group`; scales and minima of the lanes are
/// `factors` times `codes`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn add_affine<const M: usize, const Q: usize>(
    tile: &MicroTile<'_>,
    group: usize,
    row: usize,
    lane: usize,
    integers: &[[__m256i; Q]; M],
    (factors, codes): (*const u8, *const u8),
    acc: *mut f32,
) {
    // SAFETY: as the caller promises; the scales and offsets of `x` are mr a group, `acc` has mr rows of 32 values.
    unsafe {
        let row_scales = tile.x.scales.as_ptr().add(group * I4_GROUP / ACT_GROUP * tile.x.mr + row);
        let offsets = tile.x.offsets.as_ptr().add(group * tile.x.mr + row);
        for q in 0..Q {
            let decoded = |at: usize| {
                let code = _mm256_cvtepu8_epi32(_mm_loadl_epi64(codes.add(at).cast()));
                _mm256_mul_ps(_mm256_cvtepi32_ps(code), _mm256_loadu_ps(factors.add(4 * at).cast()))
            };
            let (scales, minima) = (decoded(lane + 8 * q), decoded(NR + lane + 8 * q));
            for r in 0..M {
                let offset = _mm256_mul_ps(minima, _mm256_set1_ps(*offsets.add(r) as f32));
                let value = _mm256_fmsub_ps(_mm256_cvtepi32_ps(integers[r][q]), scales, offset);
                let to = acc_at(tile, acc, row + r, lane + 8 * q);
                let scaled = _mm256_mul_ps(value, _mm256_set1_ps(*row_scales.add(r)));
                _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), scaled));
            }
        }
    }
}
