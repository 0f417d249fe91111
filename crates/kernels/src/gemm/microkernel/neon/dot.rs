//! The product instructions of the micro-kernels, one type for each.

#![allow(clippy::wildcard_imports, reason = "intrinsics")]
use std::arch::aarch64::*;

use super::registers::as_f32;
use crate::neon_asm::{Bits, bfdot, bfmmla, sdot, smmla};

/// One k-step of four lanes times the word of one row.
pub(super) trait Dot: Copy {
    // SAFETY: the caller is compiled for the instruction, and the CPU has it.
    /// Adds to the accumulators of four lanes the products of their words in `w` with word `ROW` of `x`.
    unsafe fn dot<const ROW: i32>(sum: Bits, w: Bits, x: Bits) -> Bits;
}

/// Two k-steps of two rows times two k-steps of two lanes.
pub(super) trait PairProduct: Copy {
    // SAFETY: the caller is compiled for the instruction, and the CPU has it.
    /// Adds to the accumulators `[row 0 lane 0, row 0 lane 1, row 1 lane 0, row 1 lane 1]`.
    unsafe fn add_product(sum: Bits, rows: Bits, lanes: Bits) -> Bits;
}

/// f32 with `fmla`.
#[derive(Clone, Copy)]
pub(super) struct F32Lane;

impl Dot for F32Lane {
    // SAFETY: the contract of the trait.
    #[inline(always)]
    unsafe fn dot<const ROW: i32>(sum: Bits, w: Bits, x: Bits) -> Bits {
        let [sum, w, x] = [sum, w, x].map(as_f32);
        // SAFETY: every CPU of this architecture has NEON.
        unsafe { vreinterpretq_u32_f32(vfmaq_laneq_f32::<ROW>(sum, w, x)) }
    }
}

/// Pairs of bf16, widened to f32: a bf16 is the upper half of the f32 of the same value.
#[derive(Clone, Copy)]
pub(super) struct WidenedBf16Lane;

impl Dot for WidenedBf16Lane {
    // SAFETY: the contract of the trait.
    #[inline(always)]
    unsafe fn dot<const ROW: i32>(sum: Bits, w: Bits, x: Bits) -> Bits {
        // SAFETY: every CPU of this architecture has NEON.
        unsafe {
            let first = |pair| as_f32(vshlq_n_u32::<16>(pair));
            let second = |pair| as_f32(vandq_u32(pair, vdupq_n_u32(0xffff_0000)));
            let sum = vfmaq_laneq_f32::<ROW>(as_f32(sum), first(w), first(x));
            vreinterpretq_u32_f32(vfmaq_laneq_f32::<ROW>(sum, second(w), second(x)))
        }
    }
}

/// Pairs of bf16 with `bfdot`.
#[derive(Clone, Copy)]
pub(super) struct BfdotLane;

impl Dot for BfdotLane {
    // SAFETY: the contract of the trait.
    #[inline(always)]
    unsafe fn dot<const ROW: i32>(sum: Bits, w: Bits, x: Bits) -> Bits {
        // SAFETY: as the caller promises.
        unsafe { bfdot::<ROW>(sum, w, x) }
    }
}

/// Four signed bytes, through 16-bit products: for CPUs without `dotprod`.
#[derive(Clone, Copy)]
pub(super) struct Dot4ViaI16;

impl Dot for Dot4ViaI16 {
    // SAFETY: the contract of the trait.
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

/// Four signed bytes with `sdot`.
#[derive(Clone, Copy)]
pub(super) struct SdotLane;

impl Dot for SdotLane {
    // SAFETY: the contract of the trait.
    #[inline(always)]
    unsafe fn dot<const ROW: i32>(sum: Bits, w: Bits, x: Bits) -> Bits {
        // SAFETY: as the caller promises.
        unsafe { sdot::<ROW>(sum, w, x) }
    }
}

/// Four signed bytes a k-step with `smmla`.
#[derive(Clone, Copy)]
pub(super) struct SmmlaPair;

impl PairProduct for SmmlaPair {
    // SAFETY: the contract of the trait.
    #[inline(always)]
    unsafe fn add_product(sum: Bits, rows: Bits, lanes: Bits) -> Bits {
        // SAFETY: as the caller promises.
        unsafe { smmla(sum, rows, lanes) }
    }
}

/// Pairs of bf16 a k-step with `bfmmla`.
#[derive(Clone, Copy)]
pub(super) struct BfmmlaPair;

impl PairProduct for BfmmlaPair {
    // SAFETY: the contract of the trait.
    #[inline(always)]
    unsafe fn add_product(sum: Bits, rows: Bits, lanes: Bits) -> Bits {
        // SAFETY: as the caller promises.
        unsafe { bfmmla(sum, rows, lanes) }
    }
}
