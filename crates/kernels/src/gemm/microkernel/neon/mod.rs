//! Micro-kernels with NEON. A register holds four lanes of a k-step, another the words of four rows of `x`, by whose
//! lanes it is multiplied. With `i8mm` and `bf16`, four rows or more are multiplied in pairs: one instruction
//! multiplies two k-steps of two rows with two k-steps of two lanes. All loops take two k-steps at a time.

mod accumulators;
mod dot;
mod registers;
mod tile;

use super::super::layout::NR;
use super::super::weight_type::WeightType;
use super::args::MicroTile;
use crate::isa::Isa;
use accumulators::{ByRow, RowPairs};
use dot::{BfdotLane, BfmmlaPair, Dot4ViaI16, F32Lane, SdotLane, SmmlaPair, WidenedBf16Lane};
use tile::{floats, int4, int8};

/// Rows from which on row pairs take fewer instructions. Below, bringing two k-steps of a lane together costs what it
/// saves.
const MIN_PAIRED_ROWS: usize = 4;

/// Quads of lanes at once when each takes `registers` of the 32, of which eight are for shared operands.
const fn quads(registers: usize) -> usize {
    match registers {
        0..=3 => 8,
        4..=6 => 4,
        _ => 2,
    }
}

/// Calls `$kernel` for `ByRow` or `RowPairs` of `$dot` with the tile's height as a constant. Each quad of lanes takes
/// `$per_row` registers a row and `$more` besides.
macro_rules! by_height {
    (ByRow<$dot:ty>, $per_row:literal + $more:literal, $kernel:ident ($t:ident, $acc:ident), $($n:literal)*) => {
        match $t.x.mr {
            $($n => $kernel::<
                ByRow<$dot, $n, { quads($n * $per_row + $more) }>, $n, { quads($n * $per_row + $more) }
            >($t, $acc),)*
            _ => unreachable!("a tile of {} rows", $t.x.mr),
        }
    };
    (RowPairs<$dot:ty>, $per_row:literal + $more:literal, $kernel:ident ($t:ident, $acc:ident), $($n:literal)*) => {
        match $t.x.mr {
            $($n => $kernel::<
                RowPairs<$dot, { usize::div_ceil($n, 2) }, { quads($n * $per_row + $more) }>,
                $n,
                { quads($n * $per_row + $more) },
            >($t, $acc),)*
            _ => unreachable!("a tile of {} rows", $t.x.mr),
        }
    };
}

/// # Safety
/// The CPU has `isa`, which is not the portable one; the sizes are those that `MicroKernelArgs::check` checks.
pub(super) unsafe fn accumulate(isa: Isa, weight_type: WeightType, tile: &MicroTile<'_>, acc: &mut [f32]) {
    if tile.zero_init {
        acc.chunks_mut(tile.acc_stride).for_each(|acc| acc[..NR].fill(0.0));
    }
    let acc = acc.as_mut_ptr();
    let paired = isa == Isa::NeonI8mm && tile.x.mr >= MIN_PAIRED_ROWS;
    // SAFETY: as the caller promises; each function is called only where the instruction set has what it needs.
    unsafe {
        match (isa, weight_type) {
            (_, WeightType::F32) => f32(tile, acc),
            (Isa::NeonI8mm, WeightType::Bf16) if paired => bf16_bfmmla(tile, acc),
            (Isa::NeonI8mm, WeightType::Bf16) => bf16_bfdot(tile, acc),
            (_, WeightType::Bf16) => bf16(tile, acc),
            (_, WeightType::Int8 | WeightType::Int4) if paired => quantized_smmla(weight_type, tile, acc),
            (Isa::NeonI8mm | Isa::NeonDot, WeightType::Int8 | WeightType::Int4) => {
                quantized_sdot(weight_type, tile, acc)
            }
            (_, WeightType::Int8 | WeightType::Int4) => quantized(weight_type, tile, acc),
        }
    }
}

// SAFETY: as for `accumulate`.
unsafe fn f32(tile: &MicroTile<'_>, acc: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(ByRow<F32Lane>, 1 + 0, floats(tile, acc), 1 2 3 4 5 6) }
}

// SAFETY: as for `accumulate`.
unsafe fn bf16(tile: &MicroTile<'_>, acc: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(ByRow<WidenedBf16Lane>, 1 + 2, floats(tile, acc), 1 2 3 4 5 6) }
}

// SAFETY: as for `accumulate`; the tile is lower than `MIN_PAIRED_ROWS`, and the CPU has `bf16`.
#[target_feature(enable = "bf16")]
unsafe fn bf16_bfdot(tile: &MicroTile<'_>, acc: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(ByRow<BfdotLane>, 1 + 0, floats(tile, acc), 1 2 3) }
}

// SAFETY: as for `accumulate`; the tile has `MIN_PAIRED_ROWS` rows or more, and the CPU has `bf16`.
#[target_feature(enable = "bf16")]
unsafe fn bf16_bfmmla(tile: &MicroTile<'_>, acc: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(RowPairs<BfmmlaPair>, 1 + 2, floats(tile, acc), 4 5 6) }
}

// SAFETY: as for `accumulate`.
unsafe fn quantized(weight_type: WeightType, tile: &MicroTile<'_>, acc: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe {
        match weight_type {
            WeightType::Int4 => by_height!(ByRow<Dot4ViaI16>, 1 + 2, int4(tile, acc), 1 2 3 4 5 6),
            _ => by_height!(ByRow<Dot4ViaI16>, 1 + 2, int8(tile, acc), 1 2 3 4 5 6),
        }
    }
}

// SAFETY: as for `accumulate`, and the CPU has `dotprod`.
#[target_feature(enable = "dotprod")]
unsafe fn quantized_sdot(weight_type: WeightType, tile: &MicroTile<'_>, acc: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe {
        match weight_type {
            WeightType::Int4 => by_height!(ByRow<SdotLane>, 2 + 0, int4(tile, acc), 1 2 3 4 5 6),
            _ => by_height!(ByRow<SdotLane>, 1 + 0, int8(tile, acc), 1 2 3 4 5 6),
        }
    }
}

// SAFETY: as for `accumulate`; the tile has `MIN_PAIRED_ROWS` rows or more, and the CPU has `i8mm`.
#[target_feature(enable = "i8mm")]
unsafe fn quantized_smmla(weight_type: WeightType, tile: &MicroTile<'_>, acc: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe {
        match weight_type {
            WeightType::Int4 => by_height!(RowPairs<SmmlaPair>, 1 + 2, int4(tile, acc), 4 5 6),
            _ => by_height!(RowPairs<SmmlaPair>, 1 + 2, int8(tile, acc), 4 5 6),
        }
    }
}
