//! The two products of decode attention, `q k^T` and weights times values, dispatched to the fastest kernel.

use super::super::inputs::Inputs;
#[cfg(target_arch = "x86_64")]
use super::super::kv::{KvSlice, with_kv_rows};
use super::plain;
use super::span::KeySpan;
#[cfg(target_arch = "x86_64")]
use super::{avx512, avx512_bf16, avx512_wide};
#[cfg(target_arch = "x86_64")]
use crate::gemm::WeightType;
#[cfg(target_arch = "x86_64")]
use crate::isa::{Isa, detected_isa};

/// Calls the fastest kernel `$name` for the instruction set, the number format of `$kv` and so many `$rows`. The sizes
/// were checked.
macro_rules! dispatch {
    ($name:ident / $name_at:ident, $rows:expr, $inputs:expr, $kv:expr, $from:expr, $span:expr, $to:expr) => {{
        #[cfg(target_arch = "x86_64")]
        match ($inputs.isa.min(detected_isa()), $kv) {
            // SAFETY: the instruction set was detected on this CPU, and the caller has checked the sizes.
            (Isa::Avx512Bf16, KvSlice::Bf16(rows)) if $inputs.compute == WeightType::Bf16 => unsafe {
                return avx512_bf16::$name($from, rows, $span, $to);
            },
            // SAFETY: as above.
            (isa, kv) if isa >= Isa::Avx512 && $rows > avx512::HEADS => unsafe {
                return with_kv_rows!(kv, rows => avx512_wide::$name($from, rows, $span, $to));
            },
            // SAFETY: as above.
            (isa, kv) if isa >= Isa::Avx512 => unsafe {
                return with_kv_rows!(kv, rows => avx512::$name($from, rows, $span, $to));
            },
            _ => {}
        }
        plain::$name_at($inputs.isa, $from, $kv, $span, $to);
    }};
}

/// `scores[g, j] = q[g] . k[j]` for all heads `g` of a group and the keys `j` of `span`. Rows of scores have
/// [`SPAN`](super::span::SPAN) values; those beyond the keys are meaningless. Every key is read once for all heads.
pub(super) fn qk(inputs: &Inputs<'_>, q: &[f32], span: KeySpan, scores: &mut [f32]) {
    span.check(inputs.k.len(span.dim), scores.len(), q.len());
    dispatch!(qk / qk_at, q.len() / span.dim, inputs, inputs.k, q, span, scores);
}

/// `out[g] += sum of weights[g, j] * v[j]` over the keys `j` of `span`. Weights beyond the keys are zero up to a
/// multiple of [`V_ROWS`](super::span::V_ROWS).
pub(super) fn weighted_sum(inputs: &Inputs<'_>, weights: &[f32], span: KeySpan, out: &mut [f32]) {
    span.check(inputs.v.len(span.dim), weights.len(), out.len());
    dispatch!(weighted_sum / weighted_sum_at, out.len() / span.dim, inputs, inputs.v, weights, span, out);
}
