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

/// Blocks of rows of one height below each other times panels side by side.
#[derive(Clone, Copy)]
pub(crate) struct Tiles<'a> {
    /// Steps that are multiplied; in 4-bit whole groups.
    pub(crate) steps: usize,
    /// The rows: one block of so many steps, or in f32 and bf16 several.
    pub(crate) x: Block<'a>,
    /// How many blocks, and how many words from one to the next.
    pub(crate) blocks: (usize, usize),
    /// The panels.
    pub(crate) w: &'a [u8],
    /// How many panels, and how many bytes from one to the next.
    pub(crate) panels: (usize, usize),
    /// Whether the sums begin at zero, whatever they held.
    pub(crate) fresh: bool,
    /// From one row of sums to the next, [`LANES`] for each panel at least.
    pub(crate) stride: usize,
}

/// One of them.
struct Tile<'a> {
    steps: usize,
    x: Block<'a>,
    w: &'a [u8],
    fresh: bool,
    stride: usize,
}

impl<'a> Tiles<'a> {
    /// Panics unless the slices have the sizes that the numbers say.
    fn check(&self, kind: Kind, sums: &[f32]) {
        let Tiles { steps, x, blocks: (blocks, words), panels: (panels, bytes), .. } = *self;
        assert!((1..=TILE_ROWS).contains(&x.m) && steps > 0 && blocks > 0 && panels > 0, "tile height");
        assert!(blocks == 1 || !kind.whole() && words >= x.m * steps, "blocks");
        assert_eq!(x.lanes.len(), (blocks - 1) * words + x.m * steps, "packed rows");
        assert_eq!(self.w.len(), (panels - 1) * bytes + kind.panel_bytes(steps), "packed panels");
        assert!(self.stride >= panels * LANES, "stride of sums");
        assert_eq!(sums.len(), (blocks * x.m - 1) * self.stride + panels * LANES, "sums");
        let beside = |unit: usize| if kind.whole() { x.m * (steps * 4).div_ceil(unit) } else { 0 };
        assert_eq!((x.scales.len(), x.offsets.len()), (beside(CHUNK), beside(kind.span())), "scales");
        assert!(kind != Kind::Int4 || (steps * 4).is_multiple_of(GROUP), "whole groups");
    }

    /// Each tile, and where its sums begin.
    fn each(&self, kind: Kind) -> impl Iterator<Item = (Tile<'a>, usize)> {
        let Tiles { steps, x, blocks, w, panels, fresh, stride } = *self;
        (0..panels.0).flat_map(move |panel| {
            let w = &w[panel * panels.1..][..kind.panel_bytes(steps)];
            (0..blocks.0).map(move |block| {
                let x = Block { lanes: &x.lanes[block * blocks.1..][..x.m * steps], ..x };
                (Tile { steps, x, w, fresh, stride }, block * x.m * stride + panel * LANES)
            })
        })
    }
}

/// Adds the products to `sums` (or to zero): of each row of `x` a row of sums, in which [`LANES`] values for each panel
/// follow each other.
///
/// Panics when the slices do not have the sizes that the numbers say.
pub(crate) fn add(level: Level, kind: Kind, tiles: &Tiles<'_>, sums: &mut [f32]) {
    tiles.check(kind, sums);
    let level = level.min(crate::level::level_of_cpu());
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the sizes were checked above, and the level was detected on this CPU.
    unsafe {
        match (level, kind) {
            (Level::Avx512Vnni, Kind::Bf16) => return avx512::bf16(tiles, sums),
            (Level::Avx512Vnni, Kind::Int8) => return avx512::int8(tiles, sums),
            (Level::Avx512Vnni, Kind::Int4) => return avx512::int4(tiles, sums),
            (Level::Avx512Vnni | Level::Avx512, Kind::F32) => return avx512::f32(tiles, sums),
            _ => {}
        }
    }
    for (tile, first) in tiles.each(kind) {
        let sums = &mut sums[first..][..(tile.x.m - 1) * tile.stride + LANES];
        match level {
            Level::Portable => portable::add(kind, &tile, sums),
            // SAFETY: parts of what was checked above, and the level was detected on this CPU.
            #[cfg(target_arch = "x86_64")]
            _ => unsafe { avx2::add(kind, &tile, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            _ => unsafe { neon::add(level, kind, &tile, sums) },
            #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
            _ => portable::add(kind, &tile, sums),
        }
    }
}
