//! The micro-kernel of bf16 with f32 products of AVX-512, where bf16 products are missing or slower: each k-step is two
//! f32 k-steps. The values of `x` are widened once for all panels, those of a panel at each k-step.

#![allow(clippy::wildcard_imports, reason = "intrinsics")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their numbers")]
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::super::layout::{MR, NR, STEP_BYTES};
use super::args::MicroKernelArgs;
use super::avx512::{PREFETCH_BYTES, by_height, load_acc, store_acc};

/// K-steps of a window: its widened values of `x`, 16 KiB, stay in the L1 cache.
const WINDOW_STEPS: usize = 256;

/// # Safety
/// The CPU has AVX-512F; the sizes are those that `MicroKernelArgs::check` checks.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn bf16(args: &MicroKernelArgs<'_>, acc: &mut [f32]) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(args.x.mr, rows(args, acc.as_mut_ptr()), 1 2 3 4 5 6 7 8) }
}

#[target_feature(enable = "avx512f")]
unsafe fn rows<const M: usize>(args: &MicroKernelArgs<'_>, acc: *mut f32) {
    let mut wide = [const { MaybeUninit::<f32>::uninit() }; 2 * MR * WINDOW_STEPS];
    for block in 0..args.blocks.count {
        for first in (0..args.k_steps).step_by(WINDOW_STEPS) {
            let steps = WINDOW_STEPS.min(args.k_steps - first);
            // The sums go on from window to window.
            let args = &MicroKernelArgs { zero_init: args.zero_init && first == 0, ..*args };
            let words = &args.x.words[block * args.blocks.stride + first * M..][..steps * M];
            for (word, pair) in words.iter().zip(wide.as_chunks_mut::<2>().0) {
                *pair = [word << 16, word & 0xffff_0000].map(|bits| MaybeUninit::new(f32::from_bits(bits)));
            }
            for panel in 0..args.panels.count {
                // SAFETY: the block has M rows of 32 values for each panel, the panel 128 bytes for each of `k_steps`
                // k-steps, and `wide` has 2 M values for each of `steps`.
                unsafe {
                    let w = args.w.as_ptr().add(panel * args.panels.stride + first * STEP_BYTES);
                    let acc = acc.add(block * M * args.acc_stride + panel * NR);
                    let mut sum = load_acc::<M>(args, acc);
                    add_steps(&mut sum, wide.as_ptr().cast(), w, steps);
                    store_acc(&sum, args, acc);
                }
            }
        }
    }
}

/// Adds the products of `steps` k-steps.
///
/// # Safety
/// `x` has 2 M values and `w` 128 bytes for each k-step. The prefetch may name any address.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn add_steps<const M: usize>(sum: &mut [[__m512; 2]; M], x: *const f32, w: *const u8, steps: usize) {
    // A bf16 is the upper half of the f32 of the same value.
    let first = |pair| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(pair));
    let second = |pair| _mm512_castsi512_ps(_mm512_and_si512(pair, _mm512_set1_epi32(0xffff_0000u32 as i32)));
    for step in 0..steps {
        // SAFETY: as the caller promises.
        unsafe {
            let (x, w) = (x.add(step * 2 * M), w.add(step * STEP_BYTES));
            let pairs = [_mm512_loadu_si512(w.cast()), _mm512_loadu_si512(w.add(64).cast())];
            _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(PREFETCH_BYTES).cast());
            _mm_prefetch::<_MM_HINT_T1>(w.wrapping_add(PREFETCH_BYTES + 64).cast());
            for (half, w) in [pairs.map(first), pairs.map(second)].iter().enumerate() {
                for r in 0..M {
                    let x = _mm512_set1_ps(*x.add(2 * r + half));
                    sum[r] = [_mm512_fmadd_ps(x, w[0], sum[r][0]), _mm512_fmadd_ps(x, w[1], sum[r][1])];
                }
            }
        }
    }
}
