//! Attention of many sequences at once: laid end to end (varlen), or over the blocks of a KV cache (paged).
//!
//! Legend: T queries, S keys, H query heads, K key heads, C width of a head, B blocks, L positions of a block.

mod in_candle;
mod options;

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Storage, Tensor, bail};
use half::slice::HalfFloatSliceExt;
use zoetrope_kernels::attention::{
    self as kernel, AttentionGradients, AttentionParams, Int8Kv, KeyRows, KvSlice, Sequence,
};
use zoetrope_kernels::gemm::WeightType;

pub(super) use self::in_candle::candle_attention;
use self::in_candle::candle_paged_attention;
#[cfg(test)]
pub(crate) use self::in_candle::dequantized_for_test;
pub use self::options::{AttentionOptions, PagedSequence};
use super::kv_tensors::KvTensors;
use super::tensors::{contiguous_f32, f32_slice, in_f32, tensor_like, use_kernels, with_values};

/// Attention of `q` `[T, H, C]` over `k` and `v` `[S, K, C]` of sequences laid end to end; `lens` are the (queries,
/// keys) of each. Differentiable.
///
/// # Errors
/// When sizes do not fit.
pub fn attention(
    options: AttentionOptions,
    q_thc: &Tensor,
    k_skc: &Tensor,
    v_skc: &Tensor,
    lens: &[(usize, usize)],
) -> Result<Tensor> {
    let sums = lens.iter().fold((0, 0), |(a, b), s| (a + s.0, b + s.1));
    let params = params(options, q_thc, k_skc.dims(), v_skc.dims())?;
    if sums != (q_thc.dim(0)?, k_skc.dim(0)?) {
        bail!("attention of q {:?}, k {:?} over sequences of {sums:?}", q_thc.dims(), k_skc.dims())
    }
    check_lens(options.causal, lens.iter().copied())?;
    if !use_kernels(q_thc) {
        return candle_attention(options, q_thc, k_skc, v_skc, lens);
    }
    let op = VarlenAttention { lens: lens.to_vec(), params, compute: options.compute };
    in_f32(q_thc, |q| q.apply_op3(&kernel_readable(k_skc)?, &kernel_readable(v_skc)?, op))
}

/// Attention of `q` `[T, H, C]` over blocks `[B, K, L, C]` of a cache; no gradient.
///
/// # Errors
/// When sizes do not fit, a block number is out of range, or a gradient would be lost.
pub fn paged_attention(
    options: AttentionOptions,
    q_thc: &Tensor,
    k: &KvTensors,
    v: &KvTensors,
    sequences: &[PagedSequence<'_>],
) -> Result<Tensor> {
    if q_thc.track_op() {
        bail!("attention over a KV cache passes no gradient; learn with varlen sequences")
    }
    let (blocks, _, block_len, _) = k.values.dims4()?;
    for s in sequences {
        if s.keys > s.blocks.len() * block_len || s.blocks.iter().any(|&block| block as usize >= blocks) {
            bail!("{} keys in blocks {:?} of a cache of {blocks} blocks of {block_len}", s.keys, s.blocks)
        }
    }
    let queries: usize = sequences.iter().map(|s| s.queries).sum();
    if queries != q_thc.dim(0)? {
        bail!("paged attention of q {:?} over sequences of {queries} queries", q_thc.dims())
    }
    check_lens(options.causal, sequences.iter().map(|s| (s.queries, s.keys)))?;
    if use_kernels(q_thc) && block_len == kernel::BLOCK {
        return in_f32(q_thc, |q| kernel_paged_attention(options, q, k, v, sequences));
    }
    candle_paged_attention(options, q_thc, k, v, sequences)
}

/// Blocks are read where they lie.
fn kernel_paged_attention(
    options: AttentionOptions,
    q_thc: &Tensor,
    k: &KvTensors,
    v: &KvTensors,
    sequences: &[PagedSequence<'_>],
) -> Result<Tensor> {
    let (_, kv_heads, _, width) = k.values.dims4()?;
    let params = params(options, q_thc, &[0, kv_heads, width], &[0, v.values.dim(1)?, v.values.dim(3)?])?;
    let q_thc = match &k.channel_scales {
        Some(scales) => times_channel_scales(q_thc, scales, sequences)?,
        None => q_thc.clone(),
    };
    let mut all = Vec::with_capacity(sequences.len());
    for s in sequences {
        all.push(Sequence { queries: s.queries, keys: s.keys, rows: KeyRows::Blocks(s.blocks) });
    }
    let y = with_kv_slice(k, |k| {
        with_kv_slice(v, |v| with_values(&[&q_thc], |q| kernel::attention(options.compute, q[0], k, v, &all, &params)))
    })???;
    tensor_like(y, &q_thc)
}

/// Queries times the channel scales that the first block of their sequence has, so that keys need not be.
fn times_channel_scales(q_thc: &Tensor, scales_bkc: &Tensor, sequences: &[PagedSequence<'_>]) -> Result<Tensor> {
    let (t, heads, width) = q_thc.dims3()?;
    let kv_heads = scales_bkc.dim(1)?;
    let first_block = |s: &PagedSequence<'_>| std::iter::repeat_n(s.blocks.first().copied().unwrap_or(0), s.queries);
    let blocks: Vec<u32> = sequences.iter().flat_map(first_block).collect();
    let scales = scales_bkc.index_select(&Tensor::from_vec(blocks, t, q_thc.device())?, 0)?.unsqueeze(2)?;
    let grouped = q_thc.reshape((t, kv_heads, heads / kv_heads, width))?.broadcast_mul(&scales)?;
    grouped.reshape((t, heads, width))
}

/// Calls `f` with the values of a cache as the kernels read them.
fn with_kv_slice<R>(kv: &KvTensors, f: impl FnOnce(KvSlice<'_>) -> R) -> Result<R> {
    let (storage, layout) = kv.values.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else { bail!("kernels read CPU tensors only") };
    match (storage, layout.contiguous_offsets(), &kv.scales) {
        (CpuStorage::U8(values), Some((start, end)), Some(scales)) => {
            let values = &values[start..end];
            with_values(&[scales], |scales| f(KvSlice::Int8(Int8Kv { values, scales: scales[0] })))
        }
        _ => Ok(f(kv_slice(storage, layout)?)),
    }
}

fn params(options: AttentionOptions, q: &Tensor, k: &[usize], v: &[usize]) -> Result<AttentionParams> {
    let (_, heads, dim) = q.dims3()?;
    let kv_heads = k[1];
    if Some(&dim) != k.last() || k != v || kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
        bail!("attention of q {:?}, k {k:?}, v {v:?}", q.dims())
    }
    Ok(AttentionParams { heads, kv_heads, dim, causal: options.causal, scale: options.scale as f32 })
}

fn check_lens(causal: bool, mut lens: impl Iterator<Item = (usize, usize)>) -> Result<()> {
    match lens.find(|&(queries, keys)| (causal && queries > keys) || (queries > 0 && keys == 0)) {
        Some((queries, keys)) => bail!("attention of {queries} queries over {keys} keys of their sequence"),
        None => Ok(()),
    }
}

/// Keys or values as the kernels read them: bf16 stays, everything else becomes f32.
fn kernel_readable(x: &Tensor) -> Result<Tensor> {
    if matches!(x.dtype(), DType::BF16) { x.contiguous() } else { contiguous_f32(x) }
}

struct VarlenAttention {
    lens: Vec<(usize, usize)>,
    params: AttentionParams,
    compute: WeightType,
}

fn kv_slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<KvSlice<'a>> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::BF16(values), Some((start, end))) => Ok(KvSlice::Bf16(values[start..end].reinterpret_cast())),
        _ => Ok(KvSlice::F32(f32_slice(storage, layout)?)),
    }
}

type Gradients3 = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

impl CustomOp3 for VarlenAttention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        lq: &Layout,
        k: &CpuStorage,
        lk: &Layout,
        v: &CpuStorage,
        lv: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k, v) = (f32_slice(q, lq)?, kv_slice(k, lk)?, kv_slice(v, lv)?);
        let y = kernel::attention(self.compute, q, k, v, &Sequence::contiguous(&self.lens), &self.params);
        Ok((CpuStorage::F32(y), lq.shape().clone()))
    }

    fn bwd(&self, q: &Tensor, k: &Tensor, v: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Gradients3> {
        let AttentionGradients { dq, dk, dv } = with_values(&[q, k, v, dy], |s| {
            kernel::attention_backward(s[0], s[1], s[2], s[3], &self.lens, &self.params)
        })?;
        Ok((Some(tensor_like(dq, q)?), Some(tensor_like(dk, k)?), Some(tensor_like(dv, v)?)))
    }
}
