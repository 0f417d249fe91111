//! Tiles with NEON: a register holds four lanes of a step, and the words of four rows of `x` lie in another, by whose
//! words it is multiplied. With `i8mm` and `bf16`, four rows or more are taken in pairs: two steps of two rows times
//! two steps of two lanes is one instruction. Loops take two steps at a time in either way.

#![allow(clippy::wildcard_imports, reason = "the instructions")]
#![allow(clippy::needless_range_loop, reason = "loops over registers are unrolled by their numbers")]
use std::arch::aarch64::*;

use super::{GROUP, Kind, LANES, TILE_ROWS, Tile};
use crate::arm::Bits;
use crate::level::Level;
use crate::packed::{GROUP_BYTES, STEP_BYTES};

mod sums;

use sums::{Bfdot, Bfmmla, Fma, FmaBf16, Fours, Pairs, Sdot, Smmla, Sums, Words, f32s, zero};

/// Rows from which on pairs take fewer instructions: below, bringing two steps of a lane together costs what they save.
const PAIRS: usize = 4;
/// What is multiplied with a step behind the last.
const NOTHING: [u32; TILE_ROWS] = [0; TILE_ROWS];

/// Part of a tile: rows `first .. first + rows`.
#[derive(Clone, Copy)]
struct Part {
    first: usize,
    rows: usize,
}

/// Quads of lanes at once when each takes `registers` of the 32, of which eight are for what they share.
const fn quads(registers: usize) -> usize {
    match registers {
        0..=3 => 8,
        4..=6 => 4,
        _ => 2,
    }
}

/// Calls `$tile` for `Words` or `Pairs` of `$product` with the part's height as a constant. Each quad of lanes takes
/// `$sums` registers a row and `$more` beside.
macro_rules! by_height {
    ($m:expr, Words<$product:ty>, $sums:literal + $more:literal, $tile:ident $args:tt, $($n:literal)*) => {
        match $m {
            $($n => $tile::<
                Words<$product, $n, { quads($n * $sums + $more) }>, $n, { quads($n * $sums + $more) }
            > $args,)*
            _ => unreachable!("a part of {} rows", $m),
        }
    };
    ($m:expr, Pairs<$product:ty>, $sums:literal + $more:literal, $tile:ident $args:tt, $($n:literal)*) => {
        match $m {
            $($n => $tile::<
                Pairs<$product, { usize::div_ceil($n, 2) }, { quads($n * $sums + $more) }>,
                $n,
                { quads($n * $sums + $more) },
            > $args,)*
            _ => unreachable!("a part of {} rows", $m),
        }
    };
}

/// # Safety
/// The CPU has `level`, which is not the portable one; the sizes are those that `add_tile` checks.
pub(super) unsafe fn add(level: Level, kind: Kind, tile: &Tile<'_>, sums: &mut [f32]) {
    if tile.fresh {
        sums.fill(0.0);
    }
    let sums = sums.as_mut_ptr();
    // Rows whose sums fit in the registers: 4-bit has two each, and pairs need more beside.
    let most = match (level, kind) {
        (_, Kind::Int4) => 6,
        (Level::NeonI8mm, Kind::Bf16 | Kind::Int8) => 10,
        _ => TILE_ROWS,
    };
    let height = tile.m.div_ceil(tile.m.div_ceil(most));
    for first in (0..tile.m).step_by(height) {
        let part = Part { first, rows: height.min(tile.m - first) };
        let pairs = level == Level::NeonI8mm && part.rows >= PAIRS;
        // SAFETY: as the caller promises; the part lies inside the tile, and the level has what is called.
        unsafe {
            match (level, kind) {
                (_, Kind::F32) => f32(tile, part, sums),
                (Level::NeonI8mm, Kind::Bf16) if pairs => bf16_pairs(tile, part, sums),
                (Level::NeonI8mm, Kind::Bf16) => bf16_dot(tile, part, sums),
                (_, Kind::Bf16) => bf16(tile, part, sums),
                (_, Kind::Int8 | Kind::Int4) if pairs => whole_pairs(kind, tile, part, sums),
                (Level::NeonI8mm | Level::NeonDot, Kind::Int8 | Kind::Int4) => whole_dot(kind, tile, part, sums),
                (_, Kind::Int8 | Kind::Int4) => whole(kind, tile, part, sums),
            }
        }
    }
}

// SAFETY: as for `add`, and the part lies inside the tile.
unsafe fn f32(tile: &Tile<'_>, part: Part, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(part.rows, Words<Fma>, 1 + 0, floats(tile, part, sums), 1 2 3 4 5 6 7 8 9 10 11 12) }
}

// SAFETY: as for `add`, and the part lies inside the tile.
unsafe fn bf16(tile: &Tile<'_>, part: Part, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(part.rows, Words<FmaBf16>, 1 + 2, floats(tile, part, sums), 1 2 3 4 5 6 7 8 9 10 11 12) }
}

// SAFETY: as for `add`, the part lies inside the tile and is lower than `PAIRS`, and the CPU has `bf16`.
#[target_feature(enable = "bf16")]
unsafe fn bf16_dot(tile: &Tile<'_>, part: Part, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(part.rows, Words<Bfdot>, 1 + 0, floats(tile, part, sums), 1 2 3) }
}

// SAFETY: as for `add`, the part lies inside the tile and has `PAIRS` rows or more, and the CPU has `bf16`.
#[target_feature(enable = "bf16")]
unsafe fn bf16_pairs(tile: &Tile<'_>, part: Part, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe { by_height!(part.rows, Pairs<Bfmmla>, 1 + 2, floats(tile, part, sums), 4 5 6 7 8 9 10) }
}

// SAFETY: as for `add`, and the part lies inside the tile.
unsafe fn whole(kind: Kind, tile: &Tile<'_>, part: Part, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe {
        if kind == Kind::Int8 {
            by_height!(part.rows, Words<Fours>, 1 + 0, int8(tile, part, sums), 1 2 3 4 5 6 7 8 9 10 11 12)
        } else {
            by_height!(part.rows, Words<Fours>, 2 + 0, int4(tile, part, sums), 1 2 3 4 5 6)
        }
    }
}

// SAFETY: as for `add`, the part lies inside the tile, and the CPU has `dotprod`.
#[target_feature(enable = "dotprod")]
unsafe fn whole_dot(kind: Kind, tile: &Tile<'_>, part: Part, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe {
        if kind == Kind::Int8 {
            by_height!(part.rows, Words<Sdot>, 1 + 0, int8(tile, part, sums), 1 2 3 4 5 6 7 8 9 10 11 12)
        } else {
            by_height!(part.rows, Words<Sdot>, 2 + 0, int4(tile, part, sums), 1 2 3 4 5 6)
        }
    }
}

// SAFETY: as for `add`, the part lies inside the tile and has `PAIRS` rows or more, and the CPU has `i8mm`.
#[target_feature(enable = "i8mm")]
unsafe fn whole_pairs(kind: Kind, tile: &Tile<'_>, part: Part, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe {
        if kind == Kind::Int8 {
            by_height!(part.rows, Pairs<Smmla>, 1 + 2, int8(tile, part, sums), 4 5 6 7 8 9 10)
        } else {
            by_height!(part.rows, Pairs<Smmla>, 2 + 2, int4(tile, part, sums), 4 5 6)
        }
    }
}

// SAFETY: `16 Q` bytes lie at `w`.
/// A step of `4 Q` lanes.
#[inline(always)]
unsafe fn lanes<const Q: usize>(w: *const u8) -> [Bits; Q] {
    // SAFETY: as the caller promises.
    std::array::from_fn(|q| unsafe { vreinterpretq_u32_u8(vld1q_u8(w.add(16 * q))) })
}

// SAFETY: as for `add`; rows `first .. first + M` are among the tile's, and `lane + 4 Q <= LANES`.
/// Sums over all steps of lanes from `lane` on; `read` makes of the stored words those to multiply.
#[inline(always)]
unsafe fn chunk<S: Sums<M, Q>, const M: usize, const Q: usize>(
    tile: &Tile<'_>,
    first: usize,
    lane: usize,
    read: impl Fn(Bits) -> Bits,
) -> [[Bits; Q]; M] {
    // SAFETY: `x` has m words and `w` 128 bytes for each of `steps` steps.
    unsafe {
        let (mut x, mut w) = (tile.x.lanes.as_ptr().add(first), tile.w.as_ptr().add(4 * lane));
        let mut sums = S::new(|_| 0);
        for _ in 0..tile.steps / 2 {
            sums.add([lanes(w).map(&read), lanes(w.add(STEP_BYTES)).map(&read)], [x, x.add(tile.m)]);
            (x, w) = (x.wrapping_add(2 * tile.m), w.wrapping_add(2 * STEP_BYTES));
        }
        if tile.steps % 2 == 1 {
            sums.add([lanes(w).map(&read), [zero(); Q]], [x, NOTHING.as_ptr()]);
        }
        sums.rows()
    }
}

// SAFETY: as for `add`; the part has M rows and lies inside the tile.
/// A part whose chunk adds up in f32.
#[inline(always)]
unsafe fn floats<S: Sums<M, Q>, const M: usize, const Q: usize>(tile: &Tile<'_>, part: Part, sums: *mut f32) {
    for lane in (0..LANES).step_by(4 * Q) {
        // SAFETY: as the caller promises; `sums` has m rows of 32 values.
        unsafe {
            let more = chunk::<S, M, Q>(tile, part.first, lane, |w| w);
            for r in 0..M {
                for q in 0..Q {
                    let to = sums.add((part.first + r) * LANES + lane + 4 * q);
                    vst1q_f32(to, vaddq_f32(vld1q_f32(to), f32s(more[r][q])));
                }
            }
        }
    }
}

// SAFETY: as for `add`; the part has M rows and lies inside the tile.
#[inline(always)]
unsafe fn int8<S: Sums<M, Q>, const M: usize, const Q: usize>(tile: &Tile<'_>, part: Part, sums: *mut f32) {
    for lane in (0..LANES).step_by(4 * Q) {
        // SAFETY: as the caller promises; `sums` has m rows of 32 values, scales has m values.
        unsafe {
            // Stored 128 above their values; these instructions take signed bytes, and so need no offset.
            let whole = chunk::<S, M, Q>(tile, part.first, lane, |w| veorq_u32(w, vdupq_n_u32(0x8080_8080)));
            for r in 0..M {
                let scale = vdupq_n_f32(*tile.x.scales.get_unchecked(part.first + r));
                for q in 0..Q {
                    let to = sums.add((part.first + r) * LANES + lane + 4 * q);
                    let whole = vcvtq_f32_s32(vreinterpretq_s32_u32(whole[r][q]));
                    vst1q_f32(to, vfmaq_f32(vld1q_f32(to), whole, scale));
                }
            }
        }
    }
}

// SAFETY: as for `add`; the part has M rows and lies inside the tile.
#[inline(always)]
unsafe fn int4<S: Sums<M, Q>, const M: usize, const Q: usize>(tile: &Tile<'_>, part: Part, sums: *mut f32) {
    let (m, first) = (tile.m, part.first);
    for lane in (0..LANES).step_by(4 * Q) {
        // SAFETY: as the caller promises; `x` has 8 m words, the offsets m values and `w` GROUP_BYTES bytes for each
        // group; scales has m values, `sums` m rows of 32.
        unsafe {
            let near = |n| vandq_u32(n, vdupq_n_u32(0x0f0f_0f0f));
            let far = |n| vreinterpretq_u32_u8(vshrq_n_u8::<4>(vreinterpretq_u8_u32(n)));
            let mut sum = [[vdupq_n_f32(0.0); Q]; M];
            for group in 0..tile.steps * 4 / GROUP {
                let w = tile.w.as_ptr().add(group * GROUP_BYTES);
                let x = tile.x.lanes.as_ptr().add(group * (GROUP / 4) * m + first);
                let offsets = tile.x.offsets.as_ptr().add(group * m + first);
                let mut whole = S::new(|r| *offsets.add(r) as u32);
                for step in [0, 2] {
                    let n0 = lanes::<Q>(w.add(step * STEP_BYTES + 4 * lane));
                    let n1 = lanes::<Q>(w.add((step + 1) * STEP_BYTES + 4 * lane));
                    let x = x.add(step * m);
                    whole.add([n0.map(near), n1.map(near)], [x, x.add(m)]);
                    whole.add([n0.map(far), n1.map(far)], [x.add(4 * m), x.add(5 * m)]);
                }
                let whole = whole.rows();
                for q in 0..Q {
                    let bits = vld1_u16(w.add(LANES * GROUP / 2 + 2 * (lane + 4 * q)).cast());
                    let scale = f32s(vshll_n_u16::<16>(bits));
                    for r in 0..M {
                        let whole = vcvtq_f32_s32(vreinterpretq_s32_u32(whole[r][q]));
                        sum[r][q] = vfmaq_f32(sum[r][q], whole, scale);
                    }
                }
            }
            for r in 0..M {
                let scale = vdupq_n_f32(*tile.x.scales.get_unchecked(first + r));
                for q in 0..Q {
                    let to = sums.add((first + r) * LANES + lane + 4 * q);
                    vst1q_f32(to, vfmaq_f32(vld1q_f32(to), sum[r][q], scale));
                }
            }
        }
    }
}
