//! Micro-kernels with AVX-512. Two registers hold the 32 lanes of a k-step, and every row of `x` has two accumulators;
//! a 32-bit word of `x` is broadcast and multiplied with both. f32 needs AVX-512F, the others VNNI or BF16;
//! [`avx512_bf16_as_f32`](super::avx512_bf16_as_f32) is bf16 without bf16 products.

#![allow(clippy::wildcard_imports, reason = "intrinsics")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their numbers")]
use std::arch::x86_64::*;

use super::super::layout::{
    ACT_GROUP, GROUP_SCALES_BYTES, I4_BLOCK_GROUPS, I4_FACTORS_BYTES, I4_GROUP, I4_GROUP_BYTES, I4_NIBBLES_BYTES,
    I8_GROUP, NR, STEP_BYTES,
};
use super::args::MicroKernelArgs;

/// Prefetch distance in the panel, in bytes. The target is the L2 cache: with one row of `x` and weights in memory this
/// is a fifth faster than prefetching into the L1 cache, which has too few outstanding lines.
pub(super) const PREFETCH_BYTES: usize = 48 * STEP_BYTES;

/// Calls `$tile::<M>` with the tile's height as a constant.
macro_rules! by_height {
    ($mr:expr, $tile:ident $args:tt, $($n:literal)*) => {
        match $mr {
            $($n => $tile::<$n> $args,)*
            _ => unreachable!("a tile of {} rows", $mr),
        }
    };
}
pub(super) use by_height;

/// Runs `$body` for every panel and block of `$args`; `$x`, `$w` and `$to` point to the tile's words, weights and
/// accumulators.
macro_rules! for_each_tile {
    ($args:ident, $acc:ident, $m:ident, |$x:ident, $w:ident, $to:ident| $body:block) => {
        for panel in 0..$args.panels.count {
            for block in 0..$args.blocks.count {
                let mut $x = $args.x.words.as_ptr().add(block * $args.blocks.stride);
                let mut $w = $args.w.as_ptr().add(panel * $args.panels.stride);
                let $to = $acc.add(block * $m * $args.acc_stride + panel * NR);
                $body
            }
        }
    };
}

/// Defines the micro-kernel of a weight type whose products are summed in f32.
macro_rules! float_kernel {
    ($name:ident, $rows:ident, $features:literal, $dot:expr) => {
        /// # Safety
        /// The CPU has the features; the sizes are those that `MicroKernelArgs::check` checks.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name(args: &MicroKernelArgs<'_>, acc: &mut [f32]) {
            // SAFETY: as the caller promises.
            unsafe { by_height!(args.x.mr, $rows(args, acc.as_mut_ptr()), 1 2 3 4 5 6 7 8) }
        }

        #[target_feature(enable = $features)]
        unsafe fn $rows<const M: usize>(args: &MicroKernelArgs<'_>, acc: *mut f32) {
            // SAFETY: `x` has M words and `w` 128 bytes for each of `k_steps` k-steps, `acc` has M rows of 32 values.
            // The prefetch may name any address.
            unsafe {
                for_each_tile!(args, acc, M, |x, w, to| {
                    let mut sum = load_acc::<M>(args, to);
                    for _ in 0..args.k_steps {
                        let (w0, w1) = (_mm512_loadu_ps(w.cast()), _mm512_loadu_ps(w.add(64).cast()));
                        _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(PREFETCH_BYTES).cast());
                        _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(PREFETCH_BYTES + 64).cast());
                        for r in 0..M {
                            let x = _mm512_set1_ps(f32::from_bits(*x.add(r)));
                            sum[r] = [$dot(sum[r][0], x, w0), $dot(sum[r][1], x, w1)];
                        }
                        x = x.add(M);
                        w = w.add(STEP_BYTES);
                    }
                    store_acc(&sum, args, to);
                });
            }
        }
    };
}

float_kernel!(f32, f32_rows, "avx512f", |sum, x, w| _mm512_fmadd_ps(x, w, sum));
float_kernel!(bf16, bf16_rows, "avx512f,avx512bf16", |sum, x, w| _mm512_dpbf16_ps(
    sum,
    std::mem::transmute::<__m512, __m512bh>(x),
    std::mem::transmute::<__m512, __m512bh>(w)
));

/// # Safety
/// The CPU has VNNI; the sizes are those that `MicroKernelArgs::check` checks.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn int8(args: &MicroKernelArgs<'_>, acc: &mut [f32]) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(args.x.mr, int8_rows(args, acc.as_mut_ptr()), 1 2 3 4 5 6 7 8) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn int8_rows<const M: usize>(args: &MicroKernelArgs<'_>, acc: *mut f32) {
    // SAFETY: `x` has M words and `w` 128 bytes for each k-step; scales and offsets have M values for each group that
    // is begun. The panel has its scales after the k-steps of each group. `acc` has M rows of 32 values.
    unsafe {
        for_each_tile!(args, acc, M, |x, w, to| {
            let (mut scales, mut offsets) = (args.x.scales.as_ptr(), args.x.offsets.as_ptr());
            let (mut sum, mut left) = (load_acc::<M>(args, to), args.k_steps);
            while left > 0 {
                let group = left.min(I8_GROUP / 4);
                let weight_scales = w.add(group * STEP_BYTES);
                let mut rest = group;
                while rest > 0 {
                    let steps = rest.min(ACT_GROUP / 4);
                    let mut integers = [[_mm512_setzero_si512(); 2]; M];
                    for r in 0..M {
                        integers[r] = [_mm512_set1_epi32(*offsets.add(r)); 2];
                    }
                    dot4_steps(&mut integers, x, w, steps);
                    (x, w) = (x.add(steps * M), w.add(steps * STEP_BYTES));
                    // Loaded only now: when the panel streams from memory, the scales arrive with the k-steps.
                    add_scaled(&mut sum, &integers, load_weight_scales(weight_scales), scales);
                    (scales, offsets) = (scales.add(M), offsets.add(M));
                    rest -= steps;
                }
                w = w.add(GROUP_SCALES_BYTES);
                left -= group;
            }
            store_acc(&sum, args, to);
        });
    }
}

/// Adds the integer dot products of `steps` k-steps.
///
/// # Safety
/// `x` has M words and `w` 128 bytes for each k-step. The prefetch may name any address.
#[inline(always)]
unsafe fn dot4_steps<const M: usize>(integers: &mut [[__m512i; 2]; M], x: *const u32, w: *const u8, steps: usize) {
    for step in 0..steps {
        // SAFETY: as the caller promises; the features are enabled in the caller.
        unsafe {
            let (x, w) = (x.add(step * M), w.add(step * STEP_BYTES));
            let (w0, w1) = (_mm512_loadu_si512(w.cast()), _mm512_loadu_si512(w.add(64).cast()));
            _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(PREFETCH_BYTES).cast());
            _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(PREFETCH_BYTES + 64).cast());
            for r in 0..M {
                let x = _mm512_set1_epi32(*x.add(r) as i32);
                integers[r] = [_mm512_dpbusd_epi32(integers[r][0], w0, x), _mm512_dpbusd_epi32(integers[r][1], w1, x)];
            }
        }
    }
}

/// # Safety
/// The CPU has VNNI; the sizes are those that `MicroKernelArgs::check` checks.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn int4(args: &MicroKernelArgs<'_>, acc: &mut [f32]) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(args.x.mr, int4_rows(args, acc.as_mut_ptr()), 1 2 3 4 5 6 7 8) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn int4_rows<const M: usize>(args: &MicroKernelArgs<'_>, acc: *mut f32) {
    // SAFETY: `x` has 8 M words, the offsets M values and `w` I4_GROUP_BYTES bytes for each group, and before each
    // super-block I4_FACTORS_BYTES; scales has M values for each activation group that is begun, `acc` M rows of 32.
    unsafe {
        let low = _mm512_set1_epi8(15);
        for_each_tile!(args, acc, M, |x, w, to| {
            let (scales, mut offsets) = (args.x.scales.as_ptr(), args.x.offsets.as_ptr());
            let (mut sum, mut factors) = (load_acc::<M>(args, to), w);
            for group in 0..args.k_steps * 4 / I4_GROUP {
                if group % I4_BLOCK_GROUPS == 0 {
                    factors = w;
                    for line in 0..I4_FACTORS_BYTES / 64 {
                        _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(PREFETCH_BYTES + 64 * line).cast());
                    }
                    w = w.add(I4_FACTORS_BYTES);
                }
                let mut integers = [[_mm512_setzero_si512(); 2]; M];
                for step in 0..4 {
                    let n0 = _mm512_loadu_si512(w.add(step * STEP_BYTES).cast());
                    let n1 = _mm512_loadu_si512(w.add(step * STEP_BYTES + 64).cast());
                    _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(PREFETCH_BYTES + STEP_BYTES * step).cast());
                    _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(PREFETCH_BYTES + STEP_BYTES * step + 64).cast());
                    let high = |n| _mm512_and_si512(_mm512_srli_epi16::<4>(n), low);
                    let (l0, l1) = (_mm512_and_si512(n0, low), _mm512_and_si512(n1, low));
                    let (h0, h1) = (high(n0), high(n1));
                    for r in 0..M {
                        let near = _mm512_set1_epi32(*x.add(step * M + r) as i32);
                        let far = _mm512_set1_epi32(*x.add((step + 4) * M + r) as i32);
                        integers[r] = [
                            _mm512_dpbusd_epi32(integers[r][0], l0, near),
                            _mm512_dpbusd_epi32(integers[r][1], l1, near),
                        ];
                        integers[r] = [
                            _mm512_dpbusd_epi32(integers[r][0], h0, far),
                            _mm512_dpbusd_epi32(integers[r][1], h1, far),
                        ];
                    }
                }
                let row_scales = scales.add(group * I4_GROUP / ACT_GROUP * M);
                add_affine(&mut sum, &integers, (factors, w.add(I4_NIBBLES_BYTES)), row_scales, offsets);
                x = x.add(I4_GROUP / 4 * M);
                w = w.add(I4_GROUP_BYTES);
                offsets = offsets.add(M);
                // The cache line of scales and minima, the last one of a group.
                _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(PREFETCH_BYTES - 64).cast());
            }
            store_acc(&sum, args, to);
        });
    }
}

/// The accumulators in memory, or zeros.
///
/// # Safety
/// `acc` has M rows of 32 values, `args.acc_stride` apart.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn load_acc<const M: usize>(args: &MicroKernelArgs<'_>, acc: *const f32) -> [[__m512; 2]; M] {
    let mut sum = [[_mm512_setzero_ps(); 2]; M];
    if !args.zero_init {
        for r in 0..M {
            // SAFETY: as the caller promises.
            sum[r] = unsafe {
                let acc = acc.add(r * args.acc_stride);
                [_mm512_loadu_ps(acc), _mm512_loadu_ps(acc.add(16))]
            };
        }
    }
    sum
}

/// # Safety
/// `acc` has M rows of 32 values, `args.acc_stride` apart.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn store_acc<const M: usize>(sum: &[[__m512; 2]; M], args: &MicroKernelArgs<'_>, acc: *mut f32) {
    for r in 0..M {
        // SAFETY: as the caller promises.
        unsafe {
            _mm512_storeu_ps(acc.add(r * args.acc_stride), sum[r][0]);
            _mm512_storeu_ps(acc.add(r * args.acc_stride + 16), sum[r][1]);
        }
    }
}

/// The 32 bf16 scales at `bytes`, as f32.
///
/// # Safety
/// `bytes` has 64 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_weight_scales(bytes: *const u8) -> [__m512; 2] {
    let to_f32 = |bits| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)));
    // SAFETY: as the caller promises.
    unsafe { [to_f32(_mm256_loadu_si256(bytes.cast())), to_f32(_mm256_loadu_si256(bytes.add(32).cast()))] }
}

/// Adds integer sums times the scales of their lanes and the scale of their row.
///
/// # Safety
/// `scales` has M values.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn add_scaled<const M: usize>(
    sum: &mut [[__m512; 2]; M],
    integers: &[[__m512i; 2]; M],
    weight_scales: [__m512; 2],
    scales: *const f32,
) {
    for r in 0..M {
        // SAFETY: as the caller promises.
        let scale = unsafe { _mm512_set1_ps(*scales.add(r)) };
        for half in 0..2 {
            let factor = _mm512_mul_ps(scale, weight_scales[half]);
            sum[r][half] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(integers[r][half]), factor, sum[r][half]);
        }
    }
}

/// Adds `(integer * scale - minimum * offset) * row scale`; scales and minima of the lanes are `factors` times `codes`.
///
/// # Safety
/// `factors` has I4_FACTORS_BYTES bytes, `codes` 64; `scales` and `offsets` have M values.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn add_affine<const M: usize>(
    sum: &mut [[__m512; 2]; M],
    integers: &[[__m512i; 2]; M],
    (factors, codes): (*const u8, *const u8),
    scales: *const f32,
    offsets: *const i32,
) {
    // SAFETY: as the caller promises.
    unsafe {
        let decoded = |number: usize| {
            let code = _mm512_cvtepu8_epi32(_mm_loadu_si128(codes.add(16 * number).cast()));
            _mm512_mul_ps(_mm512_cvtepi32_ps(code), _mm512_loadu_ps(factors.add(64 * number).cast()))
        };
        let (weight_scales, minima) = ([decoded(0), decoded(1)], [decoded(2), decoded(3)]);
        for r in 0..M {
            let (scale, offset) = (_mm512_set1_ps(*scales.add(r)), _mm512_set1_ps(*offsets.add(r) as f32));
            for half in 0..2 {
                let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(integers[r][half]), weight_scales[half]);
                let value = _mm512_fnmadd_ps(minima[half], offset, scaled);
                sum[r][half] = _mm512_fmadd_ps(value, scale, sum[r][half]);
            }
        }
    }
}
