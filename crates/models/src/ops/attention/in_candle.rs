//! Attention in candle's operations: the definition, and what accelerators run.
//!
//! Legend: n queries of a chunk, S keys, H query heads, K key heads, C width of a head, B blocks, L positions of a
//! block.

use candle_core::{D, DType, Result, Tensor};

use super::super::kv_tensors::{KvTensors, dequantize};
use super::super::tensors::is_tracked;
use super::options::{AttentionOptions, PagedSequence};

/// Bytes that the f32 scores of one chunk of queries may take. A few tensors of that size live at once.
const SCORE_BYTES: usize = 256 << 20;

/// Attention of `q` `[T, H, C]` over `k` and `v` `[S, K, C]` of sequences laid end to end; `lens` are the (queries,
/// keys) of each. Differentiable.
pub(in crate::ops) fn candle_attention(
    options: AttentionOptions,
    q_thc: &Tensor,
    k_skc: &Tensor,
    v_skc: &Tensor,
    lens: &[(usize, usize)],
) -> Result<Tensor> {
    let (mut first_query, mut first_key, mut parts) = (0, 0, Vec::new());
    for &(queries, keys) in lens {
        if queries > 0 {
            let by_head = |x_skc: &Tensor| x_skc.narrow(0, first_key, keys)?.transpose(0, 1)?.contiguous();
            let q_nhc = q_thc.narrow(0, first_query, queries)?;
            attend(options, &q_nhc, &by_head(k_skc)?, &by_head(v_skc)?, &mut parts)?;
        }
        first_query += queries;
        first_key += keys;
    }
    concat(&parts, q_thc)
}

/// Attention of `q` `[T, H, C]` over blocks `[B, K, L, C]` of a cache.
pub(in crate::ops) fn candle_paged_attention(
    options: AttentionOptions,
    q_thc: &Tensor,
    k: &KvTensors,
    v: &KvTensors,
    sequences: &[PagedSequence<'_>],
) -> Result<Tensor> {
    let (mut first_query, mut parts) = (0, Vec::new());
    for sequence in sequences.iter().filter(|sequence| sequence.queries > 0) {
        let q_nhc = q_thc.narrow(0, first_query, sequence.queries)?;
        attend(options, &q_nhc, &gather(k, sequence)?, &gather(v, sequence)?, &mut parts)?;
        first_query += sequence.queries;
    }
    concat(&parts, q_thc)
}

/// The results of chunks `[n, H, C]`, one after the other.
fn concat(parts: &[Tensor], q_thc: &Tensor) -> Result<Tensor> {
    match parts {
        [] => q_thc.narrow(0, 0, 0),
        [one] => Ok(one.clone()),
        all => Tensor::cat(all, 0),
    }
}

/// The keys or values `[K, S, C]` of a sequence, as floats. They are not copied where they lie in one block.
pub(in crate::ops) fn gather(kv: &KvTensors, sequence: &PagedSequence<'_>) -> Result<Tensor> {
    let (_, heads, block_len, width) = kv.values.dims4()?;
    let used = &sequence.blocks[..sequence.keys.div_ceil(block_len)];
    let first = used.first().copied().unwrap_or_default();
    let ids = match used.iter().zip(first..).all(|(&block, next)| block == next) {
        true => None,
        false => Some(Tensor::from_slice(used, used.len(), kv.values.device())?),
    };
    let select = |all: &Tensor| match &ids {
        None => all.narrow(0, first as usize, used.len()),
        Some(ids) => all.index_select(ids, 0),
    };
    let mut values = select(&kv.values)?;
    if let Some(scales) = &kv.scales {
        values = dequantize(&values, &select(scales)?)?;
    }
    if let Some(channels) = &kv.channel_scales {
        values = values.broadcast_mul(&channels.narrow(0, first as usize, 1)?.unsqueeze(2)?)?;
    }
    values.transpose(0, 1)?.reshape((heads, used.len() * block_len, width))?.narrow(1, 0, sequence.keys)
}

/// Appends the attention of `q` `[queries, H, C]` over `k` and `v` `[K, S, C]` of one sequence to `parts`, a chunk of
/// queries at a time. The last query is the last key when it is causal.
fn attend(
    options: AttentionOptions,
    q_nhc: &Tensor,
    k_ksc: &Tensor,
    v_ksc: &Tensor,
    parts: &mut Vec<Tensor>,
) -> Result<()> {
    let (k_ksc, v_ksc) = (k_ksc.to_dtype(q_nhc.dtype())?, v_ksc.to_dtype(q_nhc.dtype())?);
    let ((queries, heads, width), (kv_heads, keys, _)) = (q_nhc.dims3()?, k_ksc.dims3()?);
    let chunk = (SCORE_BYTES / (heads * keys * 4)).clamp(1, queries);
    for first in (0..queries).step_by(chunk) {
        let n = chunk.min(queries - first);
        // Keys behind the last one that a query of the chunk sees.
        let seen = if options.causal { keys - queries + first + n } else { keys };
        let (k_kcs, v_ksc) = (k_ksc.narrow(1, 0, seen)?.transpose(1, 2)?, v_ksc.narrow(1, 0, seen)?);
        // The queries of all heads that share a key head are rows of one product, so that keys are not repeated.
        let rows = heads / kv_heads * n;
        let q_hnc = q_nhc.narrow(0, first, n)?.transpose(0, 1)?.contiguous()?;
        let scores = q_hnc.reshape((kv_heads, rows, width))?.matmul(&k_kcs)?;
        let scores_hns = (scores.reshape((heads, n, seen))?.to_dtype(DType::F32)? * options.scale)?;
        let scores_hns = match options.causal && n > 1 {
            true => scores_hns.broadcast_add(&causal_mask(n, seen, q_nhc)?)?,
            false => scores_hns,
        };
        let weights = softmax(&scores_hns)?.to_dtype(v_ksc.dtype())?.reshape((kv_heads, rows, seen))?;
        parts.push(weights.matmul(&v_ksc)?.reshape((heads, n, width))?.transpose(0, 1)?.contiguous()?);
    }
    Ok(())
}

/// Softmax over the last axis.
fn softmax(x: &Tensor) -> Result<Tensor> {
    if !is_tracked(&[x]) {
        return candle_nn::ops::softmax_last_dim(x);
    }
    let weights = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?.exp()?;
    weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)
}

/// `[queries, keys]`: 0 where a query sees a key, else minus infinity; made on the device.
fn causal_mask(queries: usize, keys: usize, like: &Tensor) -> Result<Tensor> {
    let device = like.device();
    let query = Tensor::arange((keys - queries) as u32, keys as u32, device)?.unsqueeze(1)?;
    let key = Tensor::arange(0u32, keys as u32, device)?.unsqueeze(0)?;
    let hidden = key.broadcast_gt(&query)?;
    let infinity = Tensor::full(f32::NEG_INFINITY, (queries, keys), device)?;
    hidden.where_cond(&infinity, &infinity.zeros_like()?)
}

/// The first `keys` keys or values `[S, K, C]` in block `block` of a cache, as floats.
#[cfg(test)]
pub(crate) fn dequantized_for_test(kv: &KvTensors, block: u32, keys: usize) -> Tensor {
    gather(kv, &PagedSequence { queries: 0, keys, blocks: &[block] }).unwrap().transpose(0, 1).unwrap()
}
