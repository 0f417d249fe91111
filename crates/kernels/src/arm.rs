//! Instructions of 64-bit ARM whose intrinsics are not stable: products of four or eight bytes, of two or four bf16.

use std::arch::aarch64::uint32x4_t;
use std::arch::asm;

/// A register; what it holds is said where it is used.
pub(crate) type Bits = uint32x4_t;

/// Defines a function around one instruction that adds to its first register what the other two give.
macro_rules! instruction {
    ($(#[$meta:meta])* $name:ident $(<$lane:ident>)?, $text:literal) => {
        // SAFETY: said at each instruction.
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
    /// Each 32-bit sum plus the four signed bytes of `a` there times those of word `LANE` of `b`.
    ///
    /// # Safety
    /// The caller is compiled for `dotprod`, and the CPU has it.
    sdot<LANE>, "sdot {sum:v}.4s, {a:v}.16b, {b:v}.4b[{lane}]"
);

instruction!(
    /// Each f32 sum plus the two bf16 of `a` there times those of word `LANE` of `b`.
    ///
    /// # Safety
    /// The caller is compiled for `bf16`, and the CPU has it.
    bfdot<LANE>, "bfdot {sum:v}.4s, {a:v}.8h, {b:v}.2h[{lane}]"
);

instruction!(
    /// The 2 x 2 sums `[a0 b0, a0 b1, a1 b0, a1 b1]`, where `a` and `b` are two rows of eight signed bytes each.
    ///
    /// # Safety
    /// The caller is compiled for `i8mm`, and the CPU has it.
    smmla, "smmla {sum:v}.4s, {a:v}.16b, {b:v}.16b"
);

instruction!(
    /// The 2 x 2 sums `[a0 b0, a0 b1, a1 b0, a1 b1]`, where `a` and `b` are two rows of four bf16 each.
    ///
    /// # Safety
    /// The caller is compiled for `bf16`, and the CPU has it.
    bfmmla, "bfmmla {sum:v}.4s, {a:v}.8h, {b:v}.8h"
);
