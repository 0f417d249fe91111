//! Loads and casts of 128-bit registers.

#![allow(clippy::wildcard_imports, reason = "intrinsics")]
use std::arch::aarch64::*;

use crate::neon_asm::Bits;

#[inline(always)]
pub(super) fn zero() -> Bits {
    // SAFETY: every CPU of this architecture has NEON.
    unsafe { vdupq_n_u32(0) }
}

/// The register as four f32.
#[inline(always)]
pub(super) fn as_f32(bits: Bits) -> float32x4_t {
    // SAFETY: every CPU of this architecture has NEON.
    unsafe { vreinterpretq_f32_u32(bits) }
}

// SAFETY: `n` words lie at `x`, and `n` is not zero.
/// The first four of `n` words; with fewer, the other lanes are meaningless.
#[inline(always)]
pub(super) unsafe fn load_words(x: *const u32, n: usize) -> Bits {
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
