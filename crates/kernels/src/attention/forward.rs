//! Attention of a call: checks, and each sequence to prefill or decode.

use super::decode::decode;
use super::inputs::Inputs;
use super::kv::KvSlice;
use super::params::AttentionParams;
use super::prefill::prefill;
use super::sequence::{PlacedSequence, Sequence, check_sequences};
use crate::gemm::WeightType;
use crate::isa::{Isa, isa};

/// Queries of a sequence from which on keys and values are packed first (prefill); below, they are read in place
/// (decode).
pub(super) const MIN_PREFILL_QUERIES: usize = 8;

/// `softmax(q k^T * scale) v` for every sequence and head.
///
/// `compute` is the number format of the products: f32, or bf16 where the CPU has bf16 dot products
/// ([`WeightType::Bf16`]; any other type means f32). The softmax is always f32. Decode computes in f32, or in bf16 if
/// `k` and `v` are bf16 as well. Scales of int8 are applied to scores and weights (decode) or when K and V are
/// dequantized (prefill).
///
/// # Panics
/// Before anything is read: when a slice does not have the size that `sequences` and `p` say, when keys or blocks of a
/// sequence lie outside of `k` and `v`, when a query has no key, and when a causal sequence has more queries than keys.
pub fn attention(
    compute: WeightType,
    q: &[f32],
    k: KvSlice<'_>,
    v: KvSlice<'_>,
    sequences: &[Sequence<'_>],
    p: &AttentionParams,
) -> Vec<f32> {
    attention_at(isa(), compute, q, k, v, sequences, p)
}

#[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
pub(super) fn attention_at(
    isa: Isa,
    compute: WeightType,
    q: &[f32],
    k: KvSlice<'_>,
    v: KvSlice<'_>,
    sequences: &[Sequence<'_>],
    p: &AttentionParams,
) -> Vec<f32> {
    check_sequences(q.len(), k.len(p.dim), v.len(p.dim), sequences, p);
    let (mut short, mut long, mut first_query) = (Vec::new(), Vec::new(), 0);
    for &sequence in sequences.iter().filter(|sequence| sequence.queries > 0) {
        let list = if sequence.queries < MIN_PREFILL_QUERIES { &mut short } else { &mut long };
        list.push(PlacedSequence { sequence, first_query });
        first_query += sequence.queries;
    }
    let compute = if compute == WeightType::Bf16 && isa.has_bf16() { compute } else { WeightType::F32 };
    let inputs = Inputs { isa, compute, q, k, v, p };
    let mut out = Vec::with_capacity(q.len());
    if !short.is_empty() {
        out.resize(q.len(), 0.0);
        decode(&inputs, &short, &mut out);
        out.clear();
    }
    prefill(&inputs, &long, &mut out.spare_capacity_mut()[..q.len()]);
    // SAFETY: the capacity is `q.len()` values. The sequences' queries are all of `q` (`check_sequences`), and
    // `prefill` has written all values of the long ones. If there are short ones, all values were initialized before.
    unsafe { out.set_len(q.len()) };
    out
}
