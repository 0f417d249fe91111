//! Tiles with AVX-512: two registers hold the 32 lanes of a step, every row of `x` has two sums, a 32-bit word of `x`
//! is spread over a register and multiplied with both. f32 needs AVX-512F, the others VNNI or BF16.

#![allow(clippy::wildcard_imports, reason = "the instructions")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their numbers")]
use std::arch::x86_64::*;

use super::{GROUP, LANES, Tile};
use crate::packed::{GROUP_BYTES, STEP_BYTES};

/// Rows that the 4-bit tile takes at once: it needs two more sums a row.
const FEW: usize = 6;

/// Bytes ahead of which the panel is fetched: it streams from the second cache or from memory (1 KiB: a fifth slower).
const AHEAD: usize = 32 * STEP_BYTES;

/// Calls `$tile::<M>` with the tile's height as a constant.
macro_rules! by_height {
    ($m:expr, $tile:ident $args:tt, $($n:literal)*) => {
        match $m {
            $($n => $tile::<$n> $args,)*
            _ => unreachable!("a tile of {} rows", $m),
        }
    };
}

/// Defines the tile of a kind whose chunk adds up in f32.
macro_rules! float_tile {
    ($name:ident, $rows:ident, $features:literal, $dot:expr) => {
        /// # Safety
        /// The CPU has the features; the sizes are those that `add_tile` checks.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name(tile: &Tile<'_>, sums: &mut [f32]) {
            // SAFETY: as the caller promises.
            unsafe { by_height!(tile.m, $rows(tile, sums.as_mut_ptr()), 1 2 3 4 5 6 7 8 9 10 11 12) }
        }

        #[target_feature(enable = $features)]
        unsafe fn $rows<const M: usize>(tile: &Tile<'_>, sums: *mut f32) {
            let (mut x, mut w) = (tile.x.lanes.as_ptr(), tile.w.as_ptr());
            // SAFETY: `x` has M words and `w` 128 bytes for each of `steps` steps, `sums` has M rows of 32 values.
            // The prefetch may name any address.
            unsafe {
                let mut sum = [[_mm512_setzero_ps(); 2]; M];
                if !tile.fresh {
                    for r in 0..M {
                        sum[r] = [_mm512_loadu_ps(sums.add(r * LANES)), _mm512_loadu_ps(sums.add(r * LANES + 16))];
                    }
                }
                for _ in 0..tile.steps {
                    let (w0, w1) = (_mm512_loadu_ps(w.cast()), _mm512_loadu_ps(w.add(64).cast()));
                    _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(AHEAD).cast());
                    _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(AHEAD + 64).cast());
                    for r in 0..M {
                        let x = _mm512_set1_ps(f32::from_bits(*x.add(r)));
                        sum[r] = [$dot(sum[r][0], x, w0), $dot(sum[r][1], x, w1)];
                    }
                    x = x.add(M);
                    w = w.add(STEP_BYTES);
                }
                for r in 0..M {
                    _mm512_storeu_ps(sums.add(r * LANES), sum[r][0]);
                    _mm512_storeu_ps(sums.add(r * LANES + 16), sum[r][1]);
                }
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
/// The CPU has VNNI; the sizes are those that `add_tile` checks.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn int8(tile: &Tile<'_>, sums: &mut [f32]) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(tile.m, int8_rows(tile, sums.as_mut_ptr()), 1 2 3 4 5 6 7 8 9 10 11 12) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn int8_rows<const M: usize>(tile: &Tile<'_>, sums: *mut f32) {
    let (mut x, mut w) = (tile.x.lanes.as_ptr(), tile.w.as_ptr());
    // SAFETY: as in `float_tile`; scales and offsets have M values.
    unsafe {
        let mut whole = [[_mm512_setzero_si512(); 2]; M];
        for r in 0..M {
            whole[r] = [_mm512_set1_epi32(*tile.x.offsets.get_unchecked(r)); 2];
        }
        for _ in 0..tile.steps {
            let (w0, w1) = (_mm512_loadu_si512(w.cast()), _mm512_loadu_si512(w.add(64).cast()));
            _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(AHEAD).cast());
            _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(AHEAD + 64).cast());
            for r in 0..M {
                let x = _mm512_set1_epi32(*x.add(r) as i32);
                whole[r] = [_mm512_dpbusd_epi32(whole[r][0], w0, x), _mm512_dpbusd_epi32(whole[r][1], w1, x)];
            }
            x = x.add(M);
            w = w.add(STEP_BYTES);
        }
        for r in 0..M {
            let scale = _mm512_set1_ps(*tile.x.scales.get_unchecked(r));
            for half in 0..2 {
                let to = sums.add(r * LANES + 16 * half);
                let before = if tile.fresh { _mm512_setzero_ps() } else { _mm512_loadu_ps(to) };
                _mm512_storeu_ps(to, _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole[r][half]), scale, before));
            }
        }
    }
}

/// # Safety
/// The CPU has VNNI; the sizes are those that `add_tile` checks.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn int4(tile: &Tile<'_>, sums: &mut [f32]) {
    for first in (0..tile.m).step_by(FEW) {
        // SAFETY: as the caller promises; `first + rows <= m`.
        unsafe { by_height!(FEW.min(tile.m - first), int4_rows(tile, first, sums.as_mut_ptr()), 1 2 3 4 5 6) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn int4_rows<const M: usize>(tile: &Tile<'_>, first: usize, sums: *mut f32) {
    let (m, groups) = (tile.m, tile.steps * 4 / GROUP);
    let mut w = tile.w.as_ptr();
    // SAFETY: rows `first .. first + M` are among the tile's m; `x` has 8 m words, the offsets m values and `w`
    // GROUP_BYTES bytes for each group; scales has m values, `sums` m rows of 32.
    unsafe {
        let (x, offsets) = (tile.x.lanes.as_ptr().add(first), tile.x.offsets.as_ptr().add(first));
        let low = _mm512_set1_epi8(15);
        let mut sum = [[_mm512_setzero_ps(); 2]; M];
        for group in 0..groups {
            let x = x.add(group * (GROUP / 4) * m);
            let mut whole = [[_mm512_setzero_si512(); 2]; M];
            for r in 0..M {
                whole[r] = [_mm512_set1_epi32(*offsets.add(group * m + r)); 2];
            }
            for step in 0..4 {
                let n0 = _mm512_loadu_si512(w.add(step * STEP_BYTES).cast());
                let n1 = _mm512_loadu_si512(w.add(step * STEP_BYTES + 64).cast());
                let high = |n| _mm512_and_si512(_mm512_srli_epi16::<4>(n), low);
                let (l0, l1) = (_mm512_and_si512(n0, low), _mm512_and_si512(n1, low));
                let (h0, h1) = (high(n0), high(n1));
                for r in 0..M {
                    let near = _mm512_set1_epi32(*x.add(step * m + r) as i32);
                    let far = _mm512_set1_epi32(*x.add((step + 4) * m + r) as i32);
                    whole[r] = [_mm512_dpbusd_epi32(whole[r][0], l0, near), _mm512_dpbusd_epi32(whole[r][1], l1, near)];
                    whole[r] = [_mm512_dpbusd_epi32(whole[r][0], h0, far), _mm512_dpbusd_epi32(whole[r][1], h1, far)];
                }
            }
            for half in 0..2 {
                let bits = _mm256_loadu_si256(w.add(LANES * GROUP / 2 + 32 * half).cast());
                let scale = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)));
                for r in 0..M {
                    sum[r][half] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole[r][half]), scale, sum[r][half]);
                }
            }
            w = w.add(GROUP_BYTES);
            for line in 0..GROUP_BYTES / 64 {
                _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(AHEAD + 64 * line).cast());
            }
        }
        for r in 0..M {
            let scale = _mm512_set1_ps(*tile.x.scales.get_unchecked(first + r));
            for half in 0..2 {
                let to = sums.add((first + r) * LANES + 16 * half);
                let before = if tile.fresh { _mm512_setzero_ps() } else { _mm512_loadu_ps(to) };
                _mm512_storeu_ps(to, _mm512_fmadd_ps(sum[r][half], scale, before));
            }
        }
    }
}
