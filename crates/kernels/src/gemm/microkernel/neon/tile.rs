//! The loops over a micro-tile, generic over the accumulators.

#![allow(clippy::wildcard_imports, reason = "intrinsics")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their numbers")]
use std::arch::aarch64::*;

use super::super::super::layout::{
    ACT_GROUP, GROUP_SCALES_BYTES, I4_BLOCK_BYTES, I4_BLOCK_GROUPS, I4_FACTORS_BYTES, I4_GROUP, I4_GROUP_BYTES,
    I4_NIBBLES_BYTES, I8_GROUP, MR, NR, SLICE_STEPS, STEP_BYTES,
};
use super::super::args::MicroTile;
use super::accumulators::Accumulators;
use super::registers::{as_f32, zero};
use crate::neon_asm::Bits;

/// Activations for the k-step behind the last one, which is computed when their number is odd and must add nothing.
const ZERO_WORDS: [u32; MR] = [0; MR];
/// K-steps that are summed for some lanes before the next lanes: what all lanes read stays in the L1 cache.
const WINDOW_STEPS: usize = SLICE_STEPS;

// SAFETY: the CPU has the instruction of `S`; for each of `steps` k-steps M words lie at `x`, and `16 Q` bytes at `w`,
// STEP_BYTES from one to the next.
/// Sums over all k-steps of `4 Q` lanes; `decode` turns stored words into operands.
#[inline(always)]
unsafe fn sum_steps<S: Accumulators<M, Q>, const M: usize, const Q: usize>(
    (mut x, mut w): (*const u32, *const u8),
    steps: usize,
    decode: impl Fn(Bits) -> Bits,
) -> [[Bits; Q]; M] {
    // SAFETY: as the caller promises.
    unsafe {
        let mut sums = S::new(|_| 0);
        for _ in 0..steps / 2 {
            sums.add_two_steps(|step, q| decode(load_quad(w, step, q)), [x, x.add(M)]);
            (x, w) = (x.wrapping_add(2 * M), w.wrapping_add(2 * STEP_BYTES));
        }
        if steps % 2 == 1 {
            let decode_first = |step, q| if step == 0 { decode(load_quad(w, 0, q)) } else { zero() };
            sums.add_two_steps(decode_first, [x, ZERO_WORDS.as_ptr()]);
        }
        sums.rows()
    }
}

// SAFETY: 16 bytes lie there.
/// Quad `q` of lanes of k-step `step` from `w` on.
#[inline(always)]
unsafe fn load_quad(w: *const u8, step: usize, q: usize) -> Bits {
    // SAFETY: as the caller promises.
    unsafe { vreinterpretq_u32_u8(vld1q_u8(w.add(step * STEP_BYTES + 16 * q))) }
}

// SAFETY: as for `accumulate`; the tile has M rows.
/// f32 and bf16: products are summed in f32.
#[inline(always)]
pub(super) unsafe fn floats<S: Accumulators<M, Q>, const M: usize, const Q: usize>(
    tile: &MicroTile<'_>,
    acc: *mut f32,
) {
    for first in (0..tile.k_steps).step_by(WINDOW_STEPS) {
        let steps = WINDOW_STEPS.min(tile.k_steps - first);
        for lane in (0..NR).step_by(4 * Q) {
            // SAFETY: `x` has M words and `w` 128 bytes for each of `tile.k_steps` k-steps, `acc` M rows of 32 values.
            unsafe {
                let from = tile.w.as_ptr().add(first * STEP_BYTES + 4 * lane);
                let more = sum_steps::<S, M, Q>((tile.x.words.as_ptr().add(first * M), from), steps, |w| w);
                for r in 0..M {
                    for q in 0..Q {
                        let to = acc.add(r * tile.acc_stride + lane + 4 * q);
                        vst1q_f32(to, vaddq_f32(vld1q_f32(to), as_f32(more[r][q])));
                    }
                }
            }
        }
    }
}

// SAFETY: as for `accumulate`; the tile has M rows.
#[inline(always)]
pub(super) unsafe fn int8<S: Accumulators<M, Q>, const M: usize, const Q: usize>(tile: &MicroTile<'_>, acc: *mut f32) {
    for (act_group, first) in (0..tile.k_steps).step_by(ACT_GROUP / 4).enumerate() {
        let (steps, group) = ((ACT_GROUP / 4).min(tile.k_steps - first), first * 4 / I8_GROUP);
        let last = tile.k_steps.min((group + 1) * I8_GROUP / 4);
        for lane in (0..NR).step_by(4 * Q) {
            // SAFETY: `x` has M words and `w` 128 bytes for each k-step, `acc` M rows of 32 values; the panel has 64
            // bytes of scales after the k-steps of each group.
            unsafe {
                let w = tile.w.as_ptr().add(group * GROUP_SCALES_BYTES);
                let from = (tile.x.words.as_ptr().add(first * M), w.add(first * STEP_BYTES + 4 * lane));
                // These instructions take signed bytes: the zero point is removed here, and the offsets are not needed.
                let decode = |w| veorq_u32(w, vdupq_n_u32(0x8080_8080));
                let integers = sum_steps::<S, M, Q>(from, steps, decode);
                add_scaled(tile, act_group, lane, &integers, w.add(last * STEP_BYTES), acc);
            }
        }
    }
}

// SAFETY: as for `accumulate`; the tile has M rows.
#[inline(always)]
pub(super) unsafe fn int4<S: Accumulators<M, Q>, const M: usize, const Q: usize>(tile: &MicroTile<'_>, acc: *mut f32) {
    for group in 0..tile.k_steps * 4 / I4_GROUP {
        for lane in (0..NR).step_by(4 * Q) {
            // SAFETY: `x` has 8 M words, the offsets M values and `w` I4_GROUP_BYTES bytes for each group, and before
            // each super-block I4_FACTORS_BYTES.
            unsafe {
                let low = |n| vandq_u32(n, vdupq_n_u32(0x0f0f_0f0f));
                let high = |n| vreinterpretq_u32_u8(vshrq_n_u8::<4>(vreinterpretq_u8_u32(n)));
                let factors = tile.w.as_ptr().add(group / I4_BLOCK_GROUPS * I4_BLOCK_BYTES);
                let group_bytes = factors.add(I4_FACTORS_BYTES + group % I4_BLOCK_GROUPS * I4_GROUP_BYTES);
                let x = tile.x.words.as_ptr().add(group * (I4_GROUP / 4) * M);
                let mut integers = S::new(|_| 0);
                for step in [0, 2] {
                    let (w, x) = (group_bytes.add(step * STEP_BYTES + 4 * lane), x.add(step * M));
                    integers.add_two_steps(|step, q| low(load_quad(w, step, q)), [x, x.add(M)]);
                    integers.add_two_steps(|step, q| high(load_quad(w, step, q)), [x.add(4 * M), x.add(5 * M)]);
                }
                let codes = group_bytes.add(I4_NIBBLES_BYTES);
                add_affine(tile, group, lane, &integers.rows(), (factors, codes), acc);
            }
        }
    }
}

// SAFETY: as for `accumulate`; the tile has M rows and this group, `lane + 4 Q <= NR`, `weight_scales` has 64 bytes.
/// Adds integer sums of the lanes from `lane` on times the scales of their rows in `act_group` and those of all lanes,
/// 32 bf16 at `weight_scales`.
#[inline(always)]
unsafe fn add_scaled<const M: usize, const Q: usize>(
    tile: &MicroTile<'_>,
    act_group: usize,
    lane: usize,
    integers: &[[Bits; Q]; M],
    weight_scales: *const u8,
    acc: *mut f32,
) {
    // SAFETY: as the caller promises; `acc` has M rows of 32 values, the scales of `x` are M a group.
    unsafe {
        let row_scales = tile.x.scales.as_ptr().add(act_group * M);
        for q in 0..Q {
            let at = lane + 4 * q;
            let lane_scales = as_f32(vshll_n_u16::<16>(vld1_u16(weight_scales.add(2 * at).cast())));
            for r in 0..M {
                let factor = vmulq_n_f32(lane_scales, *row_scales.add(r));
                let to = acc.add(r * tile.acc_stride + at);
                let integers = vcvtq_f32_s32(vreinterpretq_s32_u32(integers[r][q]));
                vst1q_f32(to, vfmaq_f32(vld1q_f32(to), integers, factor));
            }
        }
    }
}

// SAFETY: as for `accumulate`; the tile has M rows and this group, `lane + 4 Q <= NR`, `factors` has I4_FACTORS_BYTES
// bytes and `codes` 64.
/// Adds `(integer * scale - minimum * offset) * row scale` for int4 group `group` and the lanes from `lane` on; scales
/// and minima of the lanes are `factors` times `codes`.
#[inline(always)]
unsafe fn add_affine<const M: usize, const Q: usize>(
    tile: &MicroTile<'_>,
    group: usize,
    lane: usize,
    integers: &[[Bits; Q]; M],
    (factors, codes): (*const u8, *const u8),
    acc: *mut f32,
) {
    // SAFETY: as the caller promises; `acc` has M rows of 32 values, the scales and offsets of `x` are M a group.
    unsafe {
        let row_scales = tile.x.scales.as_ptr().add(group * I4_GROUP / ACT_GROUP * M);
        let offsets = tile.x.offsets.as_ptr().add(group * M);
        for q in 0..Q {
            let decoded = |at: usize| {
                let four = vreinterpret_u8_u32(vdup_n_u32(codes.add(at).cast::<u32>().read_unaligned()));
                let code = vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(four))));
                vmulq_f32(code, vld1q_f32(factors.add(4 * at).cast()))
            };
            let (scales, minima) = (decoded(lane + 4 * q), decoded(NR + lane + 4 * q));
            for r in 0..M {
                let scaled = vmulq_f32(vcvtq_f32_s32(vreinterpretq_s32_u32(integers[r][q])), scales);
                let value = vfmsq_n_f32(scaled, minima, *offsets.add(r) as f32);
                let to = acc.add(r * tile.acc_stride + lane + 4 * q);
                vst1q_f32(to, vfmaq_n_f32(vld1q_f32(to), value, *row_scales.add(r)));
            }
        }
    }
}
