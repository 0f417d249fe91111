//! Accumulators of a micro-tile in registers, and how two k-steps are added to them.

#![allow(clippy::wildcard_imports, reason = "intrinsics")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their numbers")]
use std::arch::aarch64::*;
use std::marker::PhantomData;

use super::dot::{Dot, PairProduct};
use super::registers::{load_words, zero};
use crate::neon_asm::Bits;

/// Accumulators of `M` rows and `4 Q` lanes, f32 or 32-bit integers.
pub(super) trait Accumulators<const M: usize, const Q: usize>: Copy {
    /// The accumulators of row `r` start at the 32 bits `start(r)`.
    fn new(start: impl Fn(usize) -> u32) -> Self;

    // SAFETY: M words lie at each of `x`; the CPU has the instruction of the accumulators.
    /// Adds the products of two k-steps; `w(step, q)` loads four lanes of either one when they are multiplied.
    unsafe fn add_two_steps(&mut self, w: impl Fn(usize, usize) -> Bits, x: [*const u32; 2]);

    /// The accumulators row by row.
    fn rows(self) -> [[Bits; Q]; M];
}

/// Accumulators in row order: four lanes of a k-step are multiplied with the word of one row.
#[derive(Clone, Copy)]
pub(super) struct ByRow<D, const M: usize, const Q: usize>([[Bits; Q]; M], PhantomData<D>);

impl<D: Dot, const M: usize, const Q: usize> Accumulators<M, Q> for ByRow<D, M, Q> {
    #[inline(always)]
    fn new(start: impl Fn(usize) -> u32) -> Self {
        // SAFETY: every CPU of this architecture has NEON.
        ByRow(std::array::from_fn(|r| [unsafe { vdupq_n_u32(start(r)) }; Q]), PhantomData)
    }

    // SAFETY: the contract of the trait.
    #[inline(always)]
    unsafe fn add_two_steps(&mut self, w: impl Fn(usize, usize) -> Bits, x: [*const u32; 2]) {
        let ByRow(sum, _) = self;
        // SAFETY: as the caller promises; `load_words` reads the words of rows `r .. M`, at most four.
        unsafe {
            for (step, x) in x.into_iter().enumerate() {
                let near = load_words(x, M);
                let far = if M > 4 { load_words(x.add(4), M - 4) } else { near };
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

/// Accumulators of `P` pairs of rows. A register holds two rows times two lanes, `[row 0 lane 0, row 0 lane 1, row 1
/// lane 0, row 1 lane 1]`: one register for the first two of four lanes, one for the others. If the number of rows is
/// odd, the last two pairs share a row.
#[derive(Clone, Copy)]
pub(super) struct RowPairs<B, const P: usize, const Q: usize>([[[Bits; Q]; 2]; P], PhantomData<B>);

impl<B, const P: usize, const Q: usize> RowPairs<B, P, Q> {
    /// First row of pair `p` of `m` rows.
    #[inline(always)]
    fn first(p: usize, m: usize) -> usize {
        if p + 1 == P { m - 2 } else { 2 * p }
    }
}

impl<B: PairProduct, const M: usize, const P: usize, const Q: usize> Accumulators<M, Q> for RowPairs<B, P, Q> {
    #[inline(always)]
    fn new(start: impl Fn(usize) -> u32) -> Self {
        let pair = |p: usize| {
            let first = Self::first(p, M);
            // SAFETY: every CPU of this architecture has NEON.
            unsafe { vcombine_u32(vdup_n_u32(start(first)), vdup_n_u32(start(first + 1))) }
        };
        RowPairs(std::array::from_fn(|p| [[pair(p); Q]; 2]), PhantomData)
    }

    // SAFETY: the contract of the trait.
    #[inline(always)]
    unsafe fn add_two_steps(&mut self, w: impl Fn(usize, usize) -> Bits, x: [*const u32; 2]) {
        let RowPairs(sum, _) = self;
        // SAFETY: as the caller promises; both rows of a pair are below M.
        unsafe {
            let rows: [Bits; P] = std::array::from_fn(|p| {
                let at = Self::first(p, M);
                vzip1q_u32(load_words(x[0].add(at), 2), load_words(x[1].add(at), 2))
            });
            for q in 0..Q {
                let [w0, w1] = [w(0, q), w(1, q)];
                let lanes = [vzip1q_u32(w0, w1), vzip2q_u32(w0, w1)];
                for p in 0..P {
                    for half in 0..2 {
                        sum[p][half][q] = B::add_product(sum[p][half][q], rows[p], lanes[half]);
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
