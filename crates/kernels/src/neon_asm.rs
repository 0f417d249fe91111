//! AArch64 instructions as inline assembly, because their intrinsics are not stable yet: dot products (`sdot`, `bfdot`)
//! and 2 x 2 matrix products (`smmla`, `bfmmla`) of signed bytes and bf16.

use std::arch::aarch64::uint32x4_t;
use std::arch::asm;

/// A 128-bit register of any content.
pub(crate) type Bits = uint32x4_t;

/// Defines a function around one instruction that adds a product of its last two registers to its first.
macro_rules! instruction {
    ($(#[$meta:meta])* $name:ident $(<$lane:ident>)?, $text:literal) => {
        // SAFETY: the contract stands in the doc comment of each instruction.
        $(#[$meta])*
        #[inline(always)]
        pub(crate) unsafe fn $name $(<const $lane: i32>)? (mut sum: Bits, a: Bits, b: Bits) -> Bits {
            // SAFETY: the caller promises that the CPU has the instruction; it touches these three registers only.
            unsafe {
                asm!(
                    $text,
                    sum = inout(vreg) sum, a = in(vreg) a, b = in(vreg) b, $(lane = const $lane,)?
                    options(pure, nomem, nostack, preserves_flags)
                );
            }
            sum
        }
    };
}

instruction!(
    /// Adds to each 32-bit lane the dot product of the lane's four signed bytes of `a` with the bytes of word `LANE` of
    /// `b`.
    ///
    /// # Safety
    /// The caller is compiled for `dotprod`, and the CPU has it.
    sdot<LANE>, "sdot {sum:v}.4s, {a:v}.16b, {b:v}.4b[{lane}]"
);

instruction!(
    /// Adds to each f32 lane the dot product of the lane's two bf16 of `a` with the bf16 pair of word `LANE` of `b`.
    ///
    /// # Safety
    /// The caller is compiled for `bf16`, and the CPU has it.
    bfdot<LANE>, "bfdot {sum:v}.4s, {a:v}.8h, {b:v}.2h[{lane}]"
);

instruction!(
    /// Adds the 2 x 2 products `[a0 b0, a0 b1, a1 b0, a1 b1]`, where `a` and `b` are two rows of eight signed bytes
    /// each.
    ///
    /// # Safety
    /// The caller is compiled for `i8mm`, and the CPU has it.
    smmla, "smmla {sum:v}.4s, {a:v}.16b, {b:v}.16b"
);

instruction!(
    /// Adds the 2 x 2 products `[a0 b0, a0 b1, a1 b0, a1 b1]`, where `a` and `b` are two rows of four bf16 each.
    ///
    /// # Safety
    /// The caller is compiled for `bf16`, and the CPU has it.
    bfmmla, "bfmmla {sum:v}.4s, {a:v}.8h, {b:v}.8h"
);
