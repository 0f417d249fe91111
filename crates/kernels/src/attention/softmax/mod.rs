//! The online softmax of prefill (FlashAttention, arXiv 2205.14135): scores of 32 queries, keys below each other,
//! become unnormalized probabilities `exp(score - max)`, chunk of keys after chunk. Queries are the lanes, so that
//! maxima and sums run down the lanes.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod plain;
mod state;
#[cfg(test)]
mod tests;

pub(super) use plain::rescale_at;
pub(super) use state::OnlineSoftmax;

use crate::gemm::WeightType;
use crate::gemm::layout::NR;
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::isa::detected_isa;
use crate::plain_number::as_bytes;

/// Turns `scores` `[keys, NR]` into `exp(score - max)` and returns them as a GEMM panel in the number format `compute`
/// (f32 or bf16). Lane `l` sees only its first `visible[l]` keys; the others become zero. `pairs` is the memory of a
/// bf16 panel.
pub(super) fn online_softmax_panel<'a>(
    isa: Isa,
    compute: WeightType,
    scores: &'a mut [f32],
    visible: &[u32; NR],
    state: &mut OnlineSoftmax,
    pairs: &'a mut [u32],
) -> &'a [u8] {
    let keys = scores.len() / NR;
    if compute != WeightType::Bf16 {
        plain::exp_scores_at(isa, scores, visible, state);
        return as_bytes(scores);
    }
    let pairs = &mut pairs[..keys.div_ceil(2) * NR];
    #[cfg(target_arch = "x86_64")]
    if isa.min(detected_isa()) == Isa::Avx512Bf16 {
        // SAFETY: the instruction set was detected on this CPU.
        unsafe { avx512::exp_bf16_pairs(scores.as_chunks().0, visible, state, pairs.as_chunks_mut().0) };
        return as_bytes(pairs);
    }
    plain::exp_scores_at(isa, scores, visible, state);
    plain::pack_bf16_pairs_at(isa, scores, pairs);
    as_bytes(pairs)
}
