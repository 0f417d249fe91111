//! Sums in registers, and how two steps of a tile are added to them.

#![allow(clippy::wildcard_imports, reason = "the instructions")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their numbers")]
use std::arch::aarch64::*;
use std::marker::PhantomData;

use crate::arm::{Bits, bfdot, bfmmla, sdot, smmla};

/// Sums of `M` rows and `4 Q` lanes in registers, f32 or 32-bit whole numbers.
pub(super) trait Sums<const M: usize, const Q: usize>: Copy {
    /// Those of row `r` begin at `start(r)`, a 32-bit number of either sort.
    fn new(start: impl Fn(usize) -> u32) -> Self;

    // SAFETY: `x` are two times M words; the CPU has the instruction of the sums.
    /// Adds the products of two steps; `w(step, q)` reads four lanes of either, only when they are multiplied.
    unsafe fn add(&mut self, w: impl Fn(usize, usize) -> Bits, x: [*const u32; 2]);

    /// Row by row.
    fn rows(self) -> [[Bits; Q]; M];
}

/// Sums that lie row by row: every step of four lanes is multiplied with the word of one row.
#[derive(Clone, Copy)]
pub(super) struct Words<D, const M: usize, const Q: usize>([[Bits; Q]; M], PhantomData<D>);

impl<D: Dot, const M: usize, const Q: usize> Sums<M, Q> for Words<D, M, Q> {
    #[inline(always)]
    fn new(start: impl Fn(usize) -> u32) -> Self {
        // SAFETY: every CPU of this architecture has NEON.
        Words(std::array::from_fn(|r| [unsafe { vdupq_n_u32(start(r)) }; Q]), PhantomData)
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn add(&mut self, w: impl Fn(usize, usize) -> Bits, x: [*const u32; 2]) {
        let Words(sum, _) = self;
        // SAFETY: as the caller promises; `words` reads those of rows `r .. M`, at most four.
        unsafe {
            for (step, x) in x.into_iter().enumerate() {
                let near = words(x, M);
                let far = if M > 4 { words(x.add(4), M - 4) } else { near };
                for q in 0..Q {
                    let w = w(step, q);
                    for r in (0..M).step_by(4) {
                        let x = if r == 0 { near } else { far };
                        sum[r][q] = D::dot::<0>(sum[r][q], w, x);
                        if r + 1 < M {
                            sum[r + 1][q] = D::dot::<1>(sum[r + 1][q], w, x);
                        }
                        if r + 2 < M {
                            sum[r + 2][q] = D::dot::<2>(sum[r + 2][q], w, x);
                        }
                        if r + 3 < M {
                            sum[r + 3][q] = D::dot::<3>(sum[r + 3][q], w, x);
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn rows(self) -> [[Bits; Q]; M] {
        self.0
    }
}

/// Sums of `P` pairs of rows, each with two lanes: `[row 0 lane 0, row 0 lane 1, row 1 lane 0, row 1 lane 1]`, for the
/// first two of four lanes and for the others. Where the number of rows is odd, the last two pairs share a row.
#[derive(Clone, Copy)]
pub(super) struct Pairs<B, const P: usize, const Q: usize>([[[Bits; Q]; 2]; P], PhantomData<B>);

impl<B, const P: usize, const Q: usize> Pairs<B, P, Q> {
    /// First row of pair `p` of `m` rows.
    #[inline(always)]
    fn first(p: usize, m: usize) -> usize {
        if p + 1 == P { m - 2 } else { 2 * p }
    }
}

impl<B: Block, const M: usize, const P: usize, const Q: usize> Sums<M, Q> for Pairs<B, P, Q> {
    #[inline(always)]
    fn new(start: impl Fn(usize) -> u32) -> Self {
        let pair = |p: usize| {
            let first = Self::first(p, M);
            // SAFETY: every CPU of this architecture has NEON.
            unsafe { vcombine_u32(vdup_n_u32(start(first)), vdup_n_u32(start(first + 1))) }
        };
        Pairs(std::array::from_fn(|p| [[pair(p); Q]; 2]), PhantomData)
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn add(&mut self, w: impl Fn(usize, usize) -> Bits, x: [*const u32; 2]) {
        let Pairs(sum, _) = self;
        // SAFETY: as the caller promises; both rows of a pair are below M.
        unsafe {
            let rows: [Bits; P] = std::array::from_fn(|p| {
                let at = Self::first(p, M);
                vzip1q_u32(words(x[0].add(at), 2), words(x[1].add(at), 2))
            });
            for q in 0..Q {
                let [w0, w1] = [w(0, q), w(1, q)];
                let lanes = [vzip1q_u32(w0, w1), vzip2q_u32(w0, w1)];
                for p in 0..P {
                    for half in 0..2 {
                        sum[p][half][q] = B::block(sum[p][half][q], rows[p], lanes[half]);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn rows(self) -> [[Bits; Q]; M] {
        let mut rows = [[zero(); Q]; M];
        for p in 0..P {
            for q in 0..Q {
                let first = Self::first(p, M);
                // SAFETY: every CPU of this architecture has NEON.
                unsafe {
                    let [near, far] = [0, 1].map(|half| vreinterpretq_u64_u32(self.0[p][half][q]));
                    rows[first][q] = vreinterpretq_u32_u64(vzip1q_u64(near, far));
                    rows[first + 1][q] = vreinterpretq_u32_u64(vzip2q_u64(near, far));
                }
            }
        }
        rows
    }
}

/// One step of four lanes times the word of one row.
pub(super) trait Dot: Copy {
    // SAFETY: the caller is compiled for the instruction, and the CPU has it.
    /// Adds to the sums of four lanes the products of their words in `w` with word `ROW` of `x`.
    unsafe fn dot<const ROW: i32>(sum: Bits, w: Bits, x: Bits) -> Bits;
}

/// Two steps of two rows times two steps of two lanes.
pub(super) trait Block: Copy {
    // SAFETY: the caller is compiled for the instruction, and the CPU has it.
    /// Adds to the sums `[row 0 lane 0, row 0 lane 1, row 1 lane 0, row 1 lane 1]`.
    unsafe fn block(sum: Bits, rows: Bits, lanes: Bits) -> Bits;
}

/// f32.
#[derive(Clone, Copy)]
pub(super) struct Fma;

impl Dot for Fma {
    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn dot<const ROW: i32>(sum: Bits, w: Bits, x: Bits) -> Bits {
        let [sum, w, x] = [sum, w, x].map(f32s);
        // SAFETY: every CPU of this architecture has NEON.
        unsafe { vreinterpretq_u32_f32(vfmaq_laneq_f32::<ROW>(sum, w, x)) }
    }
}

/// Pairs of bf16, as f32: a bf16 is the upper half of the f32 of the same value.
#[derive(Clone, Copy)]
pub(super) struct FmaBf16;

impl Dot for FmaBf16 {
    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn dot<const ROW: i32>(sum: Bits, w: Bits, x: Bits) -> Bits {
        // SAFETY: every CPU of this architecture has NEON.
        unsafe {
            let first = |pair| f32s(vshlq_n_u32::<16>(pair));
            let second = |pair| f32s(vandq_u32(pair, vdupq_n_u32(0xffff_0000)));
            let sum = vfmaq_laneq_f32::<ROW>(f32s(sum), first(w), first(x));
            vreinterpretq_u32_f32(vfmaq_laneq_f32::<ROW>(sum, second(w), second(x)))
        }
    }
}

/// Pairs of bf16.
#[derive(Clone, Copy)]
pub(super) struct Bfdot;

impl Dot for Bfdot {
    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn dot<const ROW: i32>(sum: Bits, w: Bits, x: Bits) -> Bits {
        // SAFETY: as the caller promises.
        unsafe { bfdot::<ROW>(sum, w, x) }
    }
}

/// Four signed bytes, through products of 16 bits.
#[derive(Clone, Copy)]
pub(super) struct Fours;

impl Dot for Fours {
    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn dot<const ROW: i32>(sum: Bits, w: Bits, x: Bits) -> Bits {
        // SAFETY: every CPU of this architecture has NEON.
        unsafe {
            let (w, x) = (vreinterpretq_s8_u32(w), vreinterpretq_s8_u32(vdupq_laneq_u32::<ROW>(x)));
            // No sum of two products exceeds 16 bits: values of x are in -127..=127.
            let pairs = vpaddq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(x)), vmull_high_s8(w, x));
            vreinterpretq_u32_s32(vpadalq_s16(vreinterpretq_s32_u32(sum), pairs))
        }
    }
}

/// Four signed bytes.
#[derive(Clone, Copy)]
pub(super) struct Sdot;

impl Dot for Sdot {
    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn dot<const ROW: i32>(sum: Bits, w: Bits, x: Bits) -> Bits {
        // SAFETY: as the caller promises.
        unsafe { sdot::<ROW>(sum, w, x) }
    }
}

/// Four signed bytes a step.
#[derive(Clone, Copy)]
pub(super) struct Smmla;

impl Block for Smmla {
    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn block(sum: Bits, rows: Bits, lanes: Bits) -> Bits {
        // SAFETY: as the caller promises.
        unsafe { smmla(sum, rows, lanes) }
    }
}

/// Pairs of bf16 a step.
#[derive(Clone, Copy)]
pub(super) struct Bfmmla;

impl Block for Bfmmla {
    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn block(sum: Bits, rows: Bits, lanes: Bits) -> Bits {
        // SAFETY: as the caller promises.
        unsafe { bfmmla(sum, rows, lanes) }
    }
}

#[inline(always)]
pub(super) fn zero() -> Bits {
    // SAFETY: every CPU of this architecture has NEON.
    unsafe { vdupq_n_u32(0) }
}

#[inline(always)]
pub(super) fn f32s(bits: Bits) -> float32x4_t {
    // SAFETY: every CPU of this architecture has NEON.
    unsafe { vreinterpretq_f32_u32(bits) }
}

// SAFETY: `n` words lie at `x`, and it is not zero.
/// The first four of `n` words; where there are fewer, the others mean nothing.
#[inline(always)]
unsafe fn words(x: *const u32, n: usize) -> Bits {
    // SAFETY: as the caller promises.
    unsafe {
        match n {
            1 => vld1q_dup_u32(x),
            2 => vcombine_u32(vld1_u32(x), vdup_n_u32(0)),
            3 => vcombine_u32(vld1_u32(x), vld1_dup_u32(x.add(2))),
            _ => vld1q_u32(x),
        }
    }
}
