//! The innermost products: a block of at most six rows of `x` times one panel of 32 rows of `W`.
//!
//! `portable` is the plain meaning, `avx2`, `avx512` and `neon` the same with instructions.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use super::rows::Block;
use super::{CHUNK, GROUP, Kind, LANES, TILE_ROWS};
use crate::level::Level;

/// One tile's inputs.
pub(crate) struct Tile<'a> {
    /// Steps of a row; in 4-bit whole groups.
    pub(crate) steps: usize,
    /// The rows.
    pub(crate) x: Block<'a>,
    /// The panel.
    pub(crate) w: &'a [u8],
    /// Whether the sums begin at zero, whatever they held.
    pub(crate) fresh: bool,
    /// From one row of sums to the next, [`LANES`] at least.
    pub(crate) stride: usize,
}

/// Adds the products to `sums` (or to zero), `x.m` rows of [`LANES`] values.
///
/// Panics when the slices do not have the sizes that `m` and `steps` say.
pub(crate) fn add_tile(level: Level, kind: Kind, tile: &Tile<'_>, sums: &mut [f32]) {
    let (m, steps) = (tile.x.m, tile.steps);
    assert!((1..=TILE_ROWS).contains(&m) && steps > 0, "tile height");
    assert_eq!(tile.x.lanes.len(), m * steps, "packed rows");
    assert_eq!(tile.w.len(), kind.panel_bytes(steps), "packed panel");
    assert!(tile.stride >= LANES && sums.len() == (m - 1) * tile.stride + LANES, "sums");
    let beside = |unit: usize| if kind.whole() { m * (steps * 4).div_ceil(unit) } else { 0 };
    assert_eq!((tile.x.scales.len(), tile.x.offsets.len()), (beside(CHUNK), beside(kind.span())), "scales");
    assert!(kind != Kind::Int4 || (steps * 4).is_multiple_of(GROUP), "whole groups");
    #[cfg(target_arch = "x86_64")]
    {
        let level = level.min(crate::level::level_of_cpu());
        // SAFETY: the sizes were checked above, and the level was detected on this CPU.
        unsafe {
            match (level, kind) {
                (Level::Avx512Vnni, Kind::Bf16) => return avx512::bf16(tile, sums),
                (Level::Avx512Vnni, Kind::Int8) => return avx512::int8(tile, sums),
                (Level::Avx512Vnni, Kind::Int4) => return avx512::int4(tile, sums),
                (Level::Avx512Vnni | Level::Avx512, Kind::F32) => return avx512::f32(tile, sums),
                (Level::Avx512 | Level::Avx2, _) => return avx2::add(kind, tile, sums),
                (Level::Portable, _) => {}
            }
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        let level = level.min(crate::level::level_of_cpu());
        if level != Level::Portable {
            // SAFETY: the sizes were checked above, and the level was detected on this CPU.
            return unsafe { neon::add(level, kind, tile, sums) };
        }
    }
    let _ = level;
    portable::add(kind, tile, sums);
}
