//! The innermost products: at most twelve rows of `x` times one panel of 32 rows of `W` over one chunk of columns.
//!
//! `portable` is the plain meaning, `avx2`, `avx512` and `neon` the same with instructions.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use super::rows::Chunk;
use super::{GROUP, Kind, LANES, TILE_ROWS};
use crate::level::Level;

/// One tile's inputs.
pub(crate) struct Tile<'a> {
    /// Rows of `x`, `1..=TILE_ROWS`.
    pub(crate) m: usize,
    /// Steps of the chunk; a 4-bit chunk is whole groups.
    pub(crate) steps: usize,
    /// The rows' part of the chunk.
    pub(crate) x: Chunk<'a>,
    /// The panel's part of the chunk.
    pub(crate) w: &'a [u8],
    /// Whether the sums begin at zero, whatever they held.
    pub(crate) fresh: bool,
}

/// Adds to `sums` `[m, LANES]` (or to zero) what one chunk gives (int8: before the scales of the rows of `W`).
///
/// Panics when the slices do not have the sizes that `m` and `steps` say.
pub(crate) fn add_tile(level: Level, kind: Kind, tile: &Tile<'_>, sums: &mut [f32]) {
    let (m, steps) = (tile.m, tile.steps);
    assert!((1..=TILE_ROWS).contains(&m) && steps > 0, "tile height");
    assert_eq!(tile.x.lanes.len(), m * steps, "packed rows");
    assert_eq!(tile.w.len(), kind.panel_bytes(steps), "packed panel");
    assert_eq!(sums.len(), m * LANES, "sums");
    let (scales, offsets) = match kind {
        Kind::F32 | Kind::Bf16 => (0, 0),
        Kind::Int8 => (m, m),
        Kind::Int4 => (m, m * steps * 4 / GROUP),
    };
    assert_eq!((tile.x.scales.len(), tile.x.offsets.len()), (scales, offsets), "scales");
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
