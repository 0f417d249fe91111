//! Tiles with AVX-512: two registers hold the 32 lanes of a step, every row of `x` has two sums, a 32-bit word of `x`
//! is spread over a register and multiplied with both. f32 needs AVX-512F, the others VNNI or BF16.

#![allow(clippy::wildcard_imports, reason = "the instructions")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their numbers")]
use std::arch::x86_64::*;

use super::{CHUNK, GROUP, LANES, Tiles};
use crate::packed::{GROUP_BYTES, GROUP8, SCALES_BYTES, STEP_BYTES};

/// Bytes ahead of which the panel is fetched to the second cache, from which it streams anyway when several rows are
/// multiplied. One row, from memory: a fifth faster than into the first cache, which has too few lines under way.
const AHEAD: usize = 48 * STEP_BYTES;

/// Calls `$tile::<M>` with the tile's height as a constant.
macro_rules! by_height {
    ($m:expr, $tile:ident $args:tt, $($n:literal)*) => {
        match $m {
            $($n => $tile::<$n> $args,)*
            _ => unreachable!("a tile of {} rows", $m),
        }
    };
}

/// Panels and blocks of `$tiles` in turn.
macro_rules! each {
    ($tiles:ident, $sums:ident, $m:ident, |$x:ident, $w:ident, $to:ident| $body:block) => {
        for panel in 0..$tiles.panels.0 {
            for block in 0..$tiles.blocks.0 {
                let mut $x = $tiles.x.lanes.as_ptr().add(block * $tiles.blocks.1);
                let mut $w = $tiles.w.as_ptr().add(panel * $tiles.panels.1);
                let $to = $sums.add(block * $m * $tiles.stride + panel * LANES);
                $body
            }
        }
    };
}

/// Defines the tile of a kind whose chunk adds up in f32.
macro_rules! float_tile {
    ($name:ident, $rows:ident, $features:literal, $dot:expr) => {
        /// # Safety
        /// The CPU has the features; the sizes are those that `add` checks.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name(tiles: &Tiles<'_>, sums: &mut [f32]) {
            // SAFETY: as the caller promises.
            unsafe { by_height!(tiles.x.m, $rows(tiles, sums.as_mut_ptr()), 1 2 3 4 5 6) }
        }

        #[target_feature(enable = $features)]
        unsafe fn $rows<const M: usize>(tiles: &Tiles<'_>, sums: *mut f32) {
            // SAFETY: `x` has M words and `w` 128 bytes for each of `steps` steps, `sums` has M rows of 32 values.
            // The prefetch may name any address.
            unsafe {
                each!(tiles, sums, M, |x, w, to| {
                    let mut sum = begin::<M>(tiles, to);
                    for _ in 0..tiles.steps {
                        let (w0, w1) = (_mm512_loadu_ps(w.cast()), _mm512_loadu_ps(w.add(64).cast()));
                        _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(AHEAD).cast());
                        _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(AHEAD + 64).cast());
                        for r in 0..M {
                            let x = _mm512_set1_ps(f32::from_bits(*x.add(r)));
                            sum[r] = [$dot(sum[r][0], x, w0), $dot(sum[r][1], x, w1)];
                        }
                        x = x.add(M);
                        w = w.add(STEP_BYTES);
                    }
                    store(&sum, tiles, to);
                });
            }
        }
    };
}

float_tile!(f32, f32_rows, "avx512f", |sum, x, w| _mm512_fmadd_ps(x, w, sum));
float_tile!(bf16, bf16_rows, "avx512f,avx512bf16", |sum, x, w| _mm512_dpbf16_ps(
    sum,
    std::mem::transmute::<__m512, __m512bh>(x),
    std::mem::transmute::<__m512, __m512bh>(w)
));

/// # Safety
/// The CPU has VNNI; the sizes are those that `add` checks.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn int8(tiles: &Tiles<'_>, sums: &mut [f32]) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(tiles.x.m, int8_rows(tiles, sums.as_mut_ptr()), 1 2 3 4 5 6) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn int8_rows<const M: usize>(tiles: &Tiles<'_>, sums: *mut f32) {
    // SAFETY: as in `float_tile`; scales and offsets have M values for each chunk that is begun, the panel has its
    // scales after the steps of each group.
    unsafe {
        each!(tiles, sums, M, |x, w, to| {
            let (mut scales, mut offsets) = (tiles.x.scales.as_ptr(), tiles.x.offsets.as_ptr());
            let (mut sum, mut left) = (begin::<M>(tiles, to), tiles.steps);
            while left > 0 {
                let group = left.min(GROUP8 / 4);
                let weight_scales = w.add(group * STEP_BYTES);
                let mut rest = group;
                while rest > 0 {
                    let steps = rest.min(CHUNK / 4);
                    let mut whole = [[_mm512_setzero_si512(); 2]; M];
                    for r in 0..M {
                        whole[r] = [_mm512_set1_epi32(*offsets.add(r)); 2];
                    }
                    add_products(&mut whole, x, w, steps);
                    (x, w) = (x.add(steps * M), w.add(steps * STEP_BYTES));
                    // Read only now: of a panel that streams from memory they arrive with the steps.
                    add_scaled(&mut sum, &whole, scales_of(weight_scales), scales);
                    (scales, offsets) = (scales.add(M), offsets.add(M));
                    rest -= steps;
                }
                w = w.add(SCALES_BYTES);
                left -= group;
            }
            store(&sum, tiles, to);
        });
    }
}

/// Adds `steps` steps of products of whole numbers.
///
/// # Safety
/// `x` has M words and `w` 128 bytes for each step. The prefetch may name any address.
#[inline(always)]
unsafe fn add_products<const M: usize>(whole: &mut [[__m512i; 2]; M], x: *const u32, w: *const u8, steps: usize) {
    for step in 0..steps {
        // SAFETY: as the caller promises, in whom the features are enabled.
        unsafe {
            let (x, w) = (x.add(step * M), w.add(step * STEP_BYTES));
            let (w0, w1) = (_mm512_loadu_si512(w.cast()), _mm512_loadu_si512(w.add(64).cast()));
            _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(AHEAD).cast());
            _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(AHEAD + 64).cast());
            for r in 0..M {
                let x = _mm512_set1_epi32(*x.add(r) as i32);
                whole[r] = [_mm512_dpbusd_epi32(whole[r][0], w0, x), _mm512_dpbusd_epi32(whole[r][1], w1, x)];
            }
        }
    }
}

/// # Safety
/// The CPU has VNNI; the sizes are those that `add` checks.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn int4(tiles: &Tiles<'_>, sums: &mut [f32]) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(tiles.x.m, int4_rows(tiles, sums.as_mut_ptr()), 1 2 3 4 5 6) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn int4_rows<const M: usize>(tiles: &Tiles<'_>, sums: *mut f32) {
    // SAFETY: `x` has 8 M words, the offsets M values and `w` GROUP_BYTES bytes for each group; scales has M values for
    // each chunk that is begun, `sums` M rows of 32.
    unsafe {
        let low = _mm512_set1_epi8(15);
        each!(tiles, sums, M, |x, w, to| {
            let (scales, mut offsets) = (tiles.x.scales.as_ptr(), tiles.x.offsets.as_ptr());
            let mut sum = begin::<M>(tiles, to);
            for group in 0..tiles.steps * 4 / GROUP {
                let mut whole = [[_mm512_setzero_si512(); 2]; M];
                for r in 0..M {
                    whole[r] = [_mm512_set1_epi32(*offsets.add(r)); 2];
                }
                for step in 0..4 {
                    let n0 = _mm512_loadu_si512(w.add(step * STEP_BYTES).cast());
                    let n1 = _mm512_loadu_si512(w.add(step * STEP_BYTES + 64).cast());
                    _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(AHEAD + STEP_BYTES * step).cast());
                    _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(AHEAD + STEP_BYTES * step + 64).cast());
                    let high = |n| _mm512_and_si512(_mm512_srli_epi16::<4>(n), low);
                    let (l0, l1) = (_mm512_and_si512(n0, low), _mm512_and_si512(n1, low));
                    let (h0, h1) = (high(n0), high(n1));
                    for r in 0..M {
                        let near = _mm512_set1_epi32(*x.add(step * M + r) as i32);
                        let far = _mm512_set1_epi32(*x.add((step + 4) * M + r) as i32);
                        whole[r] =
                            [_mm512_dpbusd_epi32(whole[r][0], l0, near), _mm512_dpbusd_epi32(whole[r][1], l1, near)];
                        whole[r] =
                            [_mm512_dpbusd_epi32(whole[r][0], h0, far), _mm512_dpbusd_epi32(whole[r][1], h1, far)];
                    }
                }
                let weight_scales = scales_of(w.add(LANES * GROUP / 2));
                add_scaled(&mut sum, &whole, weight_scales, scales.add(group * GROUP / CHUNK * M));
                x = x.add(GROUP / 4 * M);
                w = w.add(GROUP_BYTES);
                offsets = offsets.add(M);
                // The line of scales of a group, which is the last before the next one.
                _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(AHEAD - 64).cast());
            }
            store(&sum, tiles, to);
        });
    }
}

/// Zeros, or what `sums` holds.
///
/// # Safety
/// `sums` has M rows of 32 values, `tiles.stride` apart.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn begin<const M: usize>(tiles: &Tiles<'_>, sums: *const f32) -> [[__m512; 2]; M] {
    let mut sum = [[_mm512_setzero_ps(); 2]; M];
    if !tiles.fresh {
        for r in 0..M {
            // SAFETY: as the caller promises.
            sum[r] = unsafe {
                let sums = sums.add(r * tiles.stride);
                [_mm512_loadu_ps(sums), _mm512_loadu_ps(sums.add(16))]
            };
        }
    }
    sum
}

/// # Safety
/// `sums` has M rows of 32 values, `tiles.stride` apart.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store<const M: usize>(sum: &[[__m512; 2]; M], tiles: &Tiles<'_>, sums: *mut f32) {
    for r in 0..M {
        // SAFETY: as the caller promises.
        unsafe {
            _mm512_storeu_ps(sums.add(r * tiles.stride), sum[r][0]);
            _mm512_storeu_ps(sums.add(r * tiles.stride + 16), sum[r][1]);
        }
    }
}

/// The 32 bf16 scales at `bytes`.
///
/// # Safety
/// `bytes` has 64 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn scales_of(bytes: *const u8) -> [__m512; 2] {
    let wide = |bits| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)));
    // SAFETY: as the caller promises.
    unsafe { [wide(_mm256_loadu_si256(bytes.cast())), wide(_mm256_loadu_si256(bytes.add(32).cast()))] }
}

/// Adds whole numbers times the scales of their lanes and that of their row.
///
/// # Safety
/// `scales` has M values.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn add_scaled<const M: usize>(
    sum: &mut [[__m512; 2]; M],
    whole: &[[__m512i; 2]; M],
    weight_scales: [__m512; 2],
    scales: *const f32,
) {
    for r in 0..M {
        // SAFETY: as the caller promises.
        let scale = unsafe { _mm512_set1_ps(*scales.add(r)) };
        for half in 0..2 {
            let factor = _mm512_mul_ps(scale, weight_scales[half]);
            sum[r][half] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole[r][half]), factor, sum[r][half]);
        }
    }
}
