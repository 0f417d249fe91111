//! Tiles with NEON: a register holds four lanes of a step, and the words of four rows of `x` lie in another, by whose
//! words it is multiplied. With `i8mm` and `bf16`, four rows or more are taken in pairs: two steps of two rows times
//! two steps of two lanes is one instruction. Loops take two steps at a time in either way.

#![allow(clippy::wildcard_imports, reason = "the instructions")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their numbers")]
use std::arch::aarch64::*;

use super::{CHUNK, GROUP, Kind, LANES, TILE_ROWS, Tile};
use crate::arm::Bits;
use crate::level::Level;
use crate::packed::{GROUP_BYTES, GROUP8, SCALES_BYTES, STEP_BYTES};

mod sums;

use sums::{Bfdot, Bfmmla, Fma, FmaBf16, Fours, Pairs, Sdot, Smmla, Sums, Words, f32s, zero};

/// Rows from which on pairs take fewer instructions: below, bringing two steps of a lane together costs what they save.
const PAIRS: usize = 4;
/// What is multiplied with a step behind the last.
const NOTHING: [u32; TILE_ROWS] = [0; TILE_ROWS];
/// Steps that are added up in f32 for some lanes before the others' turn: what all read stays in the first cache.
const NEAR: usize = 64;

/// Quads of lanes at once when each takes `registers` of the 32, of which eight are for what they share.
const fn quads(registers: usize) -> usize {
    match registers {
        0..=3 => 8,
        4..=6 => 4,
        _ => 2,
    }
}

/// Calls `$tile` for `Words` or `Pairs` of `$product` with the tile's height as a constant. Each quad of lanes takes
/// `$words` registers a row and `$more` beside.
macro_rules! by_height {
    (Words<$product:ty>, $words:literal + $more:literal, $tile:ident ($t:ident, $sums:ident), $($n:literal)*) => {
        match $t.x.m {
            $($n => $tile::<
                Words<$product, $n, { quads($n * $words + $more) }>, $n, { quads($n * $words + $more) }
            >($t, $sums),)*
            _ => unreachable!("a tile of {} rows", $t.x.m),
        }
    };
    (Pairs<$product:ty>, $words:literal + $more:literal, $tile:ident ($t:ident, $sums:ident), $($n:literal)*) => {
        match $t.x.m {
            $($n => $tile::<
                Pairs<$product, { usize::div_ceil($n, 2) }, { quads($n * $words + $more) }>,
                $n,
                { quads($n * $words + $more) },
            >($t, $sums),)*
            _ => unreachable!("a tile of {} rows", $t.x.m),
        }
    };
}

/// # Safety
/// The CPU has `level`, which is not the portable one; the sizes are those that `add` in `tile` checks.
pub(super) unsafe fn add(level: Level, kind: Kind, tile: &Tile<'_>, sums: &mut [f32]) {
    if tile.fresh {
        sums.chunks_mut(tile.stride).for_each(|sums| sums[..LANES].fill(0.0));
    }
    let sums = sums.as_mut_ptr();
    let pairs = level == Level::NeonI8mm && tile.x.m >= PAIRS;
    // SAFETY: as the caller promises; the level has what is called.
    unsafe {
        match (level, kind) {
            (_, Kind::F32) => f32(tile, sums),
            (Level::NeonI8mm, Kind::Bf16) if pairs => bf16_pairs(tile, sums),
            (Level::NeonI8mm, Kind::Bf16) => bf16_dot(tile, sums),
            (_, Kind::Bf16) => bf16(tile, sums),
            (_, Kind::Int8 | Kind::Int4) if pairs => whole_pairs(kind, tile, sums),
            (Level::NeonI8mm | Level::NeonDot, Kind::Int8 | Kind::Int4) => whole_dot(kind, tile, sums),
            (_, Kind::Int8 | Kind::Int4) => whole(kind, tile, sums),
        }
    }
}

// SAFETY: as for `add`.
unsafe fn f32(tile: &Tile<'_>, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(Words<Fma>, 1 + 0, floats(tile, sums), 1 2 3 4 5 6) }
}

// SAFETY: as for `add`.
unsafe fn bf16(tile: &Tile<'_>, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(Words<FmaBf16>, 1 + 2, floats(tile, sums), 1 2 3 4 5 6) }
}

// SAFETY: as for `add`, the tile is lower than `PAIRS`, and the CPU has `bf16`.
#[target_feature(enable = "bf16")]
unsafe fn bf16_dot(tile: &Tile<'_>, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(Words<Bfdot>, 1 + 0, floats(tile, sums), 1 2 3) }
}

// SAFETY: as for `add`, the tile has `PAIRS` rows or more, and the CPU has `bf16`.
#[target_feature(enable = "bf16")]
unsafe fn bf16_pairs(tile: &Tile<'_>, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(Pairs<Bfmmla>, 1 + 2, floats(tile, sums), 4 5 6) }
}

// SAFETY: as for `add`.
unsafe fn whole(kind: Kind, tile: &Tile<'_>, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe {
        match kind {
            Kind::Int4 => by_height!(Words<Fours>, 1 + 2, int4(tile, sums), 1 2 3 4 5 6),
            _ => by_height!(Words<Fours>, 1 + 2, int8(tile, sums), 1 2 3 4 5 6),
        }
    }
}

// SAFETY: as for `add`, and the CPU has `dotprod`.
#[target_feature(enable = "dotprod")]
unsafe fn whole_dot(kind: Kind, tile: &Tile<'_>, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe {
        match kind {
            Kind::Int4 => by_height!(Words<Sdot>, 2 + 0, int4(tile, sums), 1 2 3 4 5 6),
            _ => by_height!(Words<Sdot>, 1 + 0, int8(tile, sums), 1 2 3 4 5 6),
        }
    }
}

// SAFETY: as for `add`, the tile has `PAIRS` rows or more, and the CPU has `i8mm`.
#[target_feature(enable = "i8mm")]
unsafe fn whole_pairs(kind: Kind, tile: &Tile<'_>, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe {
        match kind {
            Kind::Int4 => by_height!(Pairs<Smmla>, 1 + 2, int4(tile, sums), 4 5 6),
            _ => by_height!(Pairs<Smmla>, 1 + 2, int8(tile, sums), 4 5 6),
        }
    }
}

// SAFETY: the CPU has the instruction of `S`; for each of `steps` steps M words lie at `x`, and `16 Q` bytes at `w`,
// STEP_BYTES from one to the next.
/// Sums over all steps of `4 Q` lanes; `read` makes of the stored words those to multiply.
#[inline(always)]
unsafe fn products<S: Sums<M, Q>, const M: usize, const Q: usize>(
    (mut x, mut w): (*const u32, *const u8),
    steps: usize,
    read: impl Fn(Bits) -> Bits,
) -> [[Bits; Q]; M] {
    // SAFETY: as the caller promises.
    unsafe {
        let mut sums = S::new(|_| 0);
        for _ in 0..steps / 2 {
            sums.add(|step, q| read(quad(w, step, q)), [x, x.add(M)]);
            (x, w) = (x.wrapping_add(2 * M), w.wrapping_add(2 * STEP_BYTES));
        }
        if steps % 2 == 1 {
            sums.add(|step, q| if step == 0 { read(quad(w, 0, q)) } else { zero() }, [x, NOTHING.as_ptr()]);
        }
        sums.rows()
    }
}

// SAFETY: 16 bytes lie there.
/// Quad `q` of lanes of step `step` from `w` on.
#[inline(always)]
unsafe fn quad(w: *const u8, step: usize, q: usize) -> Bits {
    // SAFETY: as the caller promises.
    unsafe { vreinterpretq_u32_u8(vld1q_u8(w.add(step * STEP_BYTES + 16 * q))) }
}

// SAFETY: as for `add`; the tile has M rows.
/// A tile that adds up in f32.
#[inline(always)]
unsafe fn floats<S: Sums<M, Q>, const M: usize, const Q: usize>(tile: &Tile<'_>, sums: *mut f32) {
    for first in (0..tile.steps).step_by(NEAR) {
        let steps = NEAR.min(tile.steps - first);
        for lane in (0..LANES).step_by(4 * Q) {
            // SAFETY: `x` has M words and `w` 128 bytes for each of `tile.steps` steps, `sums` M rows of 32 values.
            unsafe {
                let from = tile.w.as_ptr().add(first * STEP_BYTES + 4 * lane);
                let more = products::<S, M, Q>((tile.x.lanes.as_ptr().add(first * M), from), steps, |w| w);
                for r in 0..M {
                    for q in 0..Q {
                        let to = sums.add(r * tile.stride + lane + 4 * q);
                        vst1q_f32(to, vaddq_f32(vld1q_f32(to), f32s(more[r][q])));
                    }
                }
            }
        }
    }
}

// SAFETY: as for `add`; the tile has M rows.
#[inline(always)]
unsafe fn int8<S: Sums<M, Q>, const M: usize, const Q: usize>(tile: &Tile<'_>, sums: *mut f32) {
    for (chunk, first) in (0..tile.steps).step_by(CHUNK / 4).enumerate() {
        let (steps, group) = ((CHUNK / 4).min(tile.steps - first), first * 4 / GROUP8);
        let last = tile.steps.min((group + 1) * GROUP8 / 4);
        for lane in (0..LANES).step_by(4 * Q) {
            // SAFETY: as in `floats`; the panel has 64 bytes of scales after the steps of each group.
            unsafe {
                let w = tile.w.as_ptr().add(group * SCALES_BYTES);
                let from = (tile.x.lanes.as_ptr().add(first * M), w.add(first * STEP_BYTES + 4 * lane));
                // Stored 128 above their values; these instructions take signed bytes, and so need no offset.
                let whole = products::<S, M, Q>(from, steps, |w| veorq_u32(w, vdupq_n_u32(0x8080_8080)));
                add_scaled(tile, chunk, lane, &whole, w.add(last * STEP_BYTES), sums);
            }
        }
    }
}

// SAFETY: as for `add`; the tile has M rows.
#[inline(always)]
unsafe fn int4<S: Sums<M, Q>, const M: usize, const Q: usize>(tile: &Tile<'_>, sums: *mut f32) {
    for group in 0..tile.steps * 4 / GROUP {
        for lane in (0..LANES).step_by(4 * Q) {
            // SAFETY: `x` has 8 M words, the offsets M values and `w` GROUP_BYTES bytes for each group, the last 64 of
            // them scales.
            unsafe {
                let near = |n| vandq_u32(n, vdupq_n_u32(0x0f0f_0f0f));
                let far = |n| vreinterpretq_u32_u8(vshrq_n_u8::<4>(vreinterpretq_u8_u32(n)));
                let w = tile.w.as_ptr().add(group * GROUP_BYTES);
                let x = tile.x.lanes.as_ptr().add(group * (GROUP / 4) * M);
                let offsets = tile.x.offsets.as_ptr().add(group * M);
                let mut whole = S::new(|r| *offsets.add(r) as u32);
                for step in [0, 2] {
                    let (w, x) = (w.add(step * STEP_BYTES + 4 * lane), x.add(step * M));
                    whole.add(|step, q| near(quad(w, step, q)), [x, x.add(M)]);
                    whole.add(|step, q| far(quad(w, step, q)), [x.add(4 * M), x.add(5 * M)]);
                }
                add_scaled(tile, group * GROUP / CHUNK, lane, &whole.rows(), w.add(LANES * GROUP / 2), sums);
            }
        }
    }
}

// SAFETY: as for `add`; the tile has M rows and this chunk, `lane + 4 Q <= LANES`, `scales` has 64 bytes.
/// Adds whole numbers of lanes from `lane` on times the scales of their rows in `chunk` and those of all lanes, 32 bf16
/// at `scales`.
#[inline(always)]
unsafe fn add_scaled<const M: usize, const Q: usize>(
    tile: &Tile<'_>,
    chunk: usize,
    lane: usize,
    whole: &[[Bits; Q]; M],
    scales: *const u8,
    sums: *mut f32,
) {
    // SAFETY: as the caller promises; `sums` has M rows of 32 values, the scales of `x` are M a chunk.
    unsafe {
        let row_scales = tile.x.scales.as_ptr().add(chunk * M);
        for q in 0..Q {
            let at = lane + 4 * q;
            let of_lanes = f32s(vshll_n_u16::<16>(vld1_u16(scales.add(2 * at).cast())));
            for r in 0..M {
                let factor = vmulq_n_f32(of_lanes, *row_scales.add(r));
                let to = sums.add(r * tile.stride + at);
                let whole = vcvtq_f32_s32(vreinterpretq_s32_u32(whole[r][q]));
                vst1q_f32(to, vfmaq_f32(vld1q_f32(to), whole, factor));
            }
        }
    }
}
