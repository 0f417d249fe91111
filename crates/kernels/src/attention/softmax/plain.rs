//! The online softmax in plain loops.

use super::state::OnlineSoftmax;
use crate::bf16::round_to_bf16_bits;
use crate::elementwise::exp::exp;
use crate::gemm::layout::NR;
use crate::isa::per_isa;

per_isa! {
    /// Turns scores `[keys, NR]` into `exp(score - max)`; lane `l` sees only its first `visible[l]` keys.
    pub(super) fn exp_scores / exp_scores_at(scores: &mut [f32], visible: &[u32; NR], state: &mut OnlineSoftmax) {
        let rows = scores.as_chunks_mut::<NR>().0;
        let hidden = visible.iter().any(|visible| (*visible as usize) < rows.len());
        if hidden {
            for (key, row) in rows.iter_mut().enumerate() {
                for (score, visible) in row.iter_mut().zip(visible) {
                    *score = if (key as u32) < *visible { *score } else { f32::NEG_INFINITY };
                }
            }
        }
        let mut max = state.max;
        for row in rows.iter() {
            for (max, score) in max.iter_mut().zip(row) {
                *max = if *score > *max { *score } else { *max };
            }
        }
        let offset = state.update_max::<FMA>(&max);
        let mut sum = state.sum;
        for row in rows.iter_mut() {
            let lanes = row.iter_mut().zip(&offset).zip(&mut sum);
            if hidden {
                lanes.for_each(|((score, offset), sum)| {
                    *score = if *score == f32::NEG_INFINITY { 0.0 } else { exp::<FMA>(*score - offset) };
                    *sum += *score;
                });
            } else {
                lanes.for_each(|((score, offset), sum)| {
                    *score = exp::<FMA>(*score - offset);
                    *sum += *score;
                });
            }
        }
        state.sum = sum;
    }
}

per_isa! {
    /// Multiplies every row of `sums` `[rows, NR]` with the factors of the lanes.
    pub(crate) fn rescale / rescale_at(sums: &mut [f32], factor: &[f32; NR]) {
        for row in sums.chunks_exact_mut(NR) {
            row.iter_mut().zip(factor).for_each(|(sum, factor)| *sum *= factor);
        }
    }
}

per_isa! {
    /// Rounds `weights` `[keys, NR]` to bf16 and interleaves two rows at a time; a last odd row is paired with zeros.
    pub(super) fn pack_bf16_pairs / pack_bf16_pairs_at(weights: &[f32], pairs: &mut [u32]) {
        let rows = weights.as_chunks::<NR>().0;
        for (rows, pairs) in rows.chunks(2).zip(pairs.as_chunks_mut::<NR>().0) {
            let first = &rows[0];
            let second = rows.get(1).unwrap_or(&[0.0; NR]);
            for lane in 0..NR {
                // The NaN that `exp` returns is quiet and survives the rounding.
                let (low, high) = (round_to_bf16_bits(first[lane]), round_to_bf16_bits(second[lane]));
                pairs[lane] = (low >> 16) | (high & 0xffff_0000);
            }
        }
    }
}
