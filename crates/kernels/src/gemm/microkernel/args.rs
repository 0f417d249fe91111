//! Arguments of the micro-kernels, and their checks.

use super::super::activations::ActivationBlock;
use super::super::layout::{ACT_GROUP, I4_GROUP, MR, NR};
use super::super::weight_type::WeightType;

/// How many things there are, and the distance from one to the next.
#[derive(Clone, Copy)]
pub(crate) struct Strided {
    pub(crate) count: usize,
    pub(crate) stride: usize,
}

/// Blocks of rows of one height, one below the other, times panels side by side.
#[derive(Clone, Copy)]
pub(crate) struct MicroKernelArgs<'a> {
    /// K-steps that are multiplied; in int4 whole groups.
    pub(crate) k_steps: usize,
    /// The rows of `x`: one block of so many k-steps, or in f32 and bf16 several.
    pub(crate) x: ActivationBlock<'a>,
    /// Blocks; the stride counts words.
    pub(crate) blocks: Strided,
    /// The panels.
    pub(crate) w: &'a [u8],
    /// Panels; the stride counts bytes.
    pub(crate) panels: Strided,
    /// Whether the accumulators start at zero, whatever they held.
    pub(crate) zero_init: bool,
    /// Distance from one row of accumulators to the next, at least [`NR`] for each panel.
    pub(crate) acc_stride: usize,
}

/// One block times one panel.
pub(super) struct MicroTile<'a> {
    pub(super) k_steps: usize,
    pub(super) x: ActivationBlock<'a>,
    pub(super) w: &'a [u8],
    pub(super) zero_init: bool,
    pub(super) acc_stride: usize,
}

impl<'a> MicroKernelArgs<'a> {
    /// Panics unless the slices have the sizes that the numbers say.
    pub(super) fn check(&self, weight_type: WeightType, acc: &[f32]) {
        let MicroKernelArgs { k_steps, x, blocks, panels, .. } = *self;
        assert!((1..=MR).contains(&x.mr) && k_steps > 0 && blocks.count > 0 && panels.count > 0, "tile height");
        assert!(
            blocks.count == 1 || !weight_type.is_quantized() && blocks.stride >= x.mr * k_steps,
            "blocks of packed activations"
        );
        assert_eq!(x.words.len(), (blocks.count - 1) * blocks.stride + x.mr * k_steps, "packed activations");
        let panel_bytes = weight_type.panel_bytes(k_steps);
        assert_eq!(self.w.len(), (panels.count - 1) * panels.stride + panel_bytes, "packed panels");
        assert!(self.acc_stride >= panels.count * NR, "stride of accumulators");
        assert_eq!(acc.len(), (blocks.count * x.mr - 1) * self.acc_stride + panels.count * NR, "accumulators");
        let meta = |unit: usize| if weight_type.is_quantized() { x.mr * (k_steps * 4).div_ceil(unit) } else { 0 };
        let expected = (meta(ACT_GROUP), meta(weight_type.accumulation_len()));
        assert_eq!((x.scales.len(), x.offsets.len()), expected, "scales of packed activations");
        assert!(weight_type != WeightType::Int4 || (k_steps * 4).is_multiple_of(I4_GROUP), "whole groups");
    }

    /// Each micro-tile, and where its accumulators begin.
    pub(super) fn tiles(&self, weight_type: WeightType) -> impl Iterator<Item = (MicroTile<'a>, usize)> {
        let MicroKernelArgs { k_steps, x, blocks, w, panels, zero_init, acc_stride } = *self;
        (0..panels.count).flat_map(move |panel| {
            let w = &w[panel * panels.stride..][..weight_type.panel_bytes(k_steps)];
            (0..blocks.count).map(move |block| {
                let x = ActivationBlock { words: &x.words[block * blocks.stride..][..x.mr * k_steps], ..x };
                (MicroTile { k_steps, x, w, zero_init, acc_stride }, block * x.mr * acc_stride + panel * NR)
            })
        })
    }
}
