//! The KV cache: keys and values of every layer in blocks that any sequence may hold (paged attention, arXiv
//! 2309.06180).
//!
//! Legend: T new rows, K key heads, C width of a head, B blocks, L positions of a block.

use candle_core::{CpuStorage, DType, Device, InplaceOp2, Layout, Result, Tensor, bail};
use zoetrope_kernels::attention::quantize_kv;

use super::dtype::KvDtype;
use super::run::{BLOCK, SequenceRun};
use crate::ops::{KvTensors, kernels_serve, with_values};

/// Sizes of what a model remembers of one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KvShape {
    /// Decoder layers.
    pub layers: usize,
    /// Key heads of a layer.
    pub heads: usize,
    /// Width of a head.
    pub width: usize,
}

impl KvShape {
    /// Bytes of keys and values of one position in all layers.
    pub fn bytes_per_token(self, dtype: KvDtype) -> usize {
        2 * self.layers * self.heads * dtype.bytes(self.width)
    }

    /// Bytes of a block as [`KvCache::export_block`] gives them.
    pub fn bytes_per_block(self, dtype: KvDtype) -> usize {
        let channel_scales = match dtype {
            KvDtype::Float(_) => 0,
            KvDtype::Int8 => 2 * self.layers * self.heads * self.width * size_of::<f32>(),
        };
        BLOCK * self.bytes_per_token(dtype) + channel_scales
    }
}

/// Blocks of [`BLOCK`] positions for keys and values of every layer. Which sequence holds which blocks is its caller's
/// knowledge: a [`SequenceRun`] says it at every call.
#[derive(Debug)]
pub struct KvCache {
    /// Keys and values, `[B, K, L, C]` each.
    layers: Vec<(KvTensors, KvTensors)>,
    shape: KvShape,
    blocks: usize,
    dtype: KvDtype,
    device: Device,
    drops_gradients: bool,
}

impl KvCache {
    /// Room for `blocks` blocks.
    ///
    /// # Errors
    /// When `device` has not the memory, and for int8 on another device than the CPU.
    pub fn new(shape: KvShape, blocks: usize, dtype: KvDtype, device: &Device) -> Result<Self> {
        if dtype == KvDtype::Int8 && !device.is_cpu() {
            bail!("keys and values are kept in int8 on the CPU only")
        }
        let layer = |_| Ok((room(shape, blocks, dtype, device)?, room(shape, blocks, dtype, device)?));
        let layers = (0..shape.layers).map(layer).collect::<Result<_>>()?;
        Ok(KvCache { layers, shape, blocks, dtype, device: device.clone(), drops_gradients: false })
    }

    /// This cache for answers of a model that is learning: what would be learned through it is not, where it is else
    /// an error.
    #[must_use]
    pub fn dropping_gradients(self) -> Self {
        KvCache { drops_gradients: true, ..self }
    }

    /// `x`, without what leads to variables where gradients are dropped.
    pub(super) fn taken(&self, x: &Tensor) -> Tensor {
        if self.drops_gradients { x.detach() } else { x.clone() }
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// What keys and values are kept as.
    pub fn dtype(&self) -> KvDtype {
        self.dtype
    }

    /// Makes room for `blocks` blocks in all; contents stay. Never shrinks.
    pub fn grow(&mut self, blocks: usize) -> Result<()> {
        if blocks <= self.blocks {
            return Ok(());
        }
        let (old_blocks, shape, dtype, device) = (self.blocks, self.shape, self.dtype, self.device.clone());
        let larger = |old: &KvTensors| -> Result<KvTensors> {
            let new = room(shape, blocks, dtype, &device)?;
            if old_blocks > 0 {
                for (new, old) in tensors(&new).zip(tensors(old)) {
                    new.slice_set(old, 0, 0)?;
                }
            }
            Ok(new)
        };
        // Layer by layer, so that one layer at a time lies in memory twice.
        for (keys, values) in &mut self.layers {
            *keys = larger(keys)?;
            *values = larger(values)?;
        }
        self.blocks = blocks;
        Ok(())
    }

    /// Copies block `from` to block `to` in every layer: before writing into a shared block that is not full.
    pub fn copy_block(&mut self, from: u32, to: u32) -> Result<()> {
        self.check_block(from.max(to))?;
        if from != to {
            for tensor in self.layers.iter().flat_map(|(k, v)| tensors(k).chain(tensors(v))) {
                tensor.slice_set(&tensor.narrow(0, from as usize, 1)?.force_contiguous()?, 0, to as usize)?;
            }
        }
        Ok(())
    }

    /// The bytes of a block, [`KvShape::bytes_per_block`] of them: keys, then values of each layer, little-endian; in
    /// int8 with the scales of positions and of channels. A block means something behind the blocks that it was
    /// computed behind: the channel scales of a sequence lie with its first block.
    ///
    /// # Errors
    /// When there is no such block, or the device fails.
    pub fn export_block(&self, block: u32) -> Result<Vec<u8>> {
        self.check_block(block)?;
        let mut bytes = Vec::with_capacity(self.shape.bytes_per_block(self.dtype));
        for tensor in self.layers.iter().flat_map(|(k, v)| tensors(k).chain(tensors(v))) {
            let own = tensor.narrow(0, block as usize, 1)?.force_contiguous()?.to_device(&Device::Cpu)?;
            let view = &own;
            bytes.extend_from_slice(&safetensors::View::data(&view));
        }
        Ok(bytes)
    }

    /// Puts what [`KvCache::export_block`] gave, of a cache of this shape and type, into `block`.
    ///
    /// # Errors
    /// When there is no such block, and when the number of bytes is another.
    pub fn import_block(&mut self, block: u32, bytes: &[u8]) -> Result<()> {
        self.check_block(block)?;
        let wanted = self.shape.bytes_per_block(self.dtype);
        if bytes.len() != wanted {
            bail!("{} bytes for a block of keys and values of {wanted}", bytes.len())
        }
        let mut rest = bytes;
        for tensor in self.layers.iter().flat_map(|(k, v)| tensors(k).chain(tensors(v))) {
            let shape = [&[1], &tensor.dims()[1..]].concat();
            let size = shape.iter().product::<usize>() * tensor.dtype().size_in_bytes();
            let (own, others) = rest.split_at(size);
            let own = Tensor::from_raw_buffer(own, tensor.dtype(), &shape, &self.device)?;
            tensor.slice_set(&own, 0, block as usize)?;
            rest = others;
        }
        Ok(())
    }

    fn check_block(&self, block: u32) -> Result<()> {
        match (block as usize) < self.blocks {
            true => Ok(()),
            false => bail!("block {block} of a cache of {} blocks", self.blocks),
        }
    }

    /// Stores `k_tkc` and `v_tkc` `[T, K, C]`, the new rows of all `runs` in order, in `layer`; returns all of the
    /// layer's keys and values.
    ///
    /// # Errors
    /// When rows, runs and blocks do not fit, and when a gradient would be lost.
    pub fn write(
        &mut self,
        layer: usize,
        runs: &[SequenceRun<'_>],
        k_tkc: &Tensor,
        v_tkc: &Tensor,
    ) -> Result<(&KvTensors, &KvTensors)> {
        let (k_tkc, v_tkc) = (&self.taken(k_tkc), &self.taken(v_tkc));
        if k_tkc.track_op() || v_tkc.track_op() {
            bail!("a KV cache passes no gradient; learn with varlen sequences")
        }
        let slices = self.slices(runs)?;
        let KvShape { heads, width, .. } = self.shape;
        let rows = slices.iter().map(|slice| slice.len).sum();
        if k_tkc.dims() != [rows, heads, width] || v_tkc.dims() != k_tkc.dims() {
            bail!("keys {:?} and values {:?} for {rows} new rows", k_tkc.dims(), v_tkc.dims())
        }
        let (keys, values) = &self.layers[layer];
        if rows > 0 {
            match self.dtype {
                KvDtype::Float(dtype) => {
                    put(&keys.values, &k_tkc.to_dtype(dtype)?, &slices)?;
                    put(&values.values, &v_tkc.to_dtype(dtype)?, &slices)?;
                }
                KvDtype::Int8 => {
                    put_int8(keys, &self.divided_by_channels(keys, runs, k_tkc)?, &slices)?;
                    put_int8(values, v_tkc, &slices)?;
                }
            }
        }
        Ok((keys, values))
    }

    /// Where the new rows go, in order, cut at the ends of blocks.
    fn slices(&self, runs: &[SequenceRun<'_>]) -> Result<Vec<BlockSlice>> {
        let mut slices = Vec::new();
        for run in runs {
            let end = run.past + run.new;
            if end > run.blocks.len() * BLOCK {
                bail!("{end} positions do not fit {} blocks of {BLOCK}", run.blocks.len())
            }
            if let Some(block) = run.blocks.iter().find(|&&block| block as usize >= self.blocks) {
                bail!("block {block} of a cache of {} blocks", self.blocks)
            }
            let mut position = run.past;
            while position < end {
                let (block, offset) = (run.blocks[position / BLOCK] as usize, position % BLOCK);
                let len = (BLOCK - offset).min(end - position);
                slices.push(BlockSlice { block, offset, len });
                position += len;
            }
        }
        Ok(slices)
    }

    /// Keys divided by the channel scales of their sequences, which the first positions of a sequence fix.
    fn divided_by_channels(&self, keys: &KvTensors, runs: &[SequenceRun<'_>], k_tkc: &Tensor) -> Result<Tensor> {
        let Some(scales_bkc) = &keys.channel_scales else { return Ok(k_tkc.clone()) };
        let (mut first, mut blocks) = (0, Vec::new());
        for run in runs.iter().filter(|run| run.new > 0) {
            if run.past == 0 {
                let own = channel_scales(&k_tkc.narrow(0, first, run.new.min(BLOCK))?)?;
                scales_bkc.slice_set(&own.unsqueeze(0)?.contiguous()?, 0, run.blocks[0] as usize)?;
            }
            blocks.extend(std::iter::repeat_n(run.blocks[0], run.new));
            first += run.new;
        }
        let scales_tkc = scales_bkc.index_select(&Tensor::from_vec(blocks, first, &self.device)?, 0)?;
        k_tkc.to_dtype(DType::F32)?.div(&scales_tkc)
    }
}

/// Consecutive positions of a block.
#[derive(Clone, Copy, Debug)]
struct BlockSlice {
    block: usize,
    /// Its first position.
    offset: usize,
    len: usize,
}

fn room(shape: KvShape, blocks: usize, dtype: KvDtype, device: &Device) -> Result<KvTensors> {
    let KvShape { heads, width, .. } = shape;
    // An accelerator allocates no empty tensors.
    let blocks = blocks.max(1);
    let all = (blocks, heads, BLOCK, width);
    Ok(match dtype {
        KvDtype::Float(dtype) => Tensor::zeros(all, dtype, device)?.into(),
        KvDtype::Int8 => KvTensors {
            values: Tensor::zeros(all, DType::U8, device)?,
            scales: Some(Tensor::zeros((blocks, heads, BLOCK), DType::F32, device)?),
            channel_scales: Some(Tensor::ones((blocks, heads, width), DType::F32, device)?),
        },
    })
}

fn tensors(kv: &KvTensors) -> impl Iterator<Item = &Tensor> {
    [Some(&kv.values), kv.scales.as_ref(), kv.channel_scales.as_ref()].into_iter().flatten()
}

fn put_int8(kv: &KvTensors, x_tkc: &Tensor, slices: &[BlockSlice]) -> Result<()> {
    let (t, heads, width) = x_tkc.dims3()?;
    let (mut bits, mut scales) = (vec![0; t * heads * width], vec![0.0; t * heads]);
    with_values(&[x_tkc], |x| quantize_kv(x[0], width, &mut bits, &mut scales))?;
    put(&kv.values, &Tensor::from_vec(bits, (t, heads, width), x_tkc.device())?, slices)?;
    match &kv.scales {
        Some(all) => put(&all.unsqueeze(3)?, &Tensor::from_vec(scales, (t, heads, 1), x_tkc.device())?, slices),
        None => Ok(()),
    }
}

/// Scales `[K, C]` of the channels of keys `[S, K, C]`: their largest magnitudes. Biases make a few channels of keys
/// much larger than the others, which would be left with few of the 256 steps. KIVI (arXiv 2402.02750) has channel
/// scales of keys, too; here the first positions of a sequence fix them, so that a position is written once. Two
/// channels that RoPE mixes share the larger one's scale.
fn channel_scales(k_skc: &Tensor) -> Result<Tensor> {
    let size_kc = k_skc.to_dtype(DType::F32)?.abs()?.max(0)?;
    let c = size_kc.dim(1)?;
    let size_kc = if c % 2 == 0 {
        let (low, high) = (size_kc.narrow(1, 0, c / 2)?, size_kc.narrow(1, c / 2, c / 2)?);
        let larger = low.maximum(&high)?;
        Tensor::cat(&[&larger, &larger], 1)?
    } else {
        size_kc
    };
    // A channel that the first positions hardly use may be larger later: none has less than an eighth of the geometric
    // mean, which a few large ones change little.
    let usual_k1 = (size_kc.maximum(1e-30)?.log()?.mean_keepdim(1)?.exp()? / 8.0)?;
    size_kc.broadcast_maximum(&usual_k1)
}

/// Writes rows `[T, K, X]` of `new` to `slices` of `all` `[B, K, L, X]`.
fn put(all: &Tensor, new: &Tensor, slices: &[BlockSlice]) -> Result<()> {
    if kernels_serve(all.device()) {
        return all.inplace_op2(&new.contiguous()?, &WriteSlices { slices });
    }
    let mut row = 0;
    for slice in slices {
        let rows = new.narrow(0, row, slice.len)?.transpose(0, 1)?.contiguous()?;
        all.narrow(0, slice.block, 1)?.slice_set(&rows.unsqueeze(0)?, 2, slice.offset)?;
        row += slice.len;
    }
    Ok(())
}

struct WriteSlices<'a> {
    slices: &'a [BlockSlice],
}

impl WriteSlices<'_> {
    /// `all` `[B, K, L, X]`, `new` `[T, K, X]`.
    fn write<T: Copy>(&self, all: &mut [T], sizes: &[usize], new: &[T]) {
        let (heads, block_len, width) = (sizes[1], sizes[2], sizes[3]);
        let places = self.slices.iter().flat_map(|s| (s.offset..s.offset + s.len).map(|offset| (s.block, offset)));
        for ((block, offset), new) in places.zip(new.chunks_exact(heads * width)) {
            for (head, new) in new.chunks_exact(width).enumerate() {
                let row = (block * heads + head) * block_len + offset;
                all[row * width..(row + 1) * width].copy_from_slice(new);
            }
        }
    }
}

impl InplaceOp2 for WriteSlices<'_> {
    fn name(&self) -> &'static str {
        "kv-write"
    }

    fn cpu_fwd(&self, all: &mut CpuStorage, la: &Layout, new: &CpuStorage, ln: &Layout) -> Result<()> {
        let (Some(to), Some(from)) = (la.contiguous_offsets(), ln.contiguous_offsets()) else {
            bail!("KV cache and new rows must be contiguous")
        };
        let sizes = la.shape().dims();
        match (all, new) {
            (CpuStorage::F32(all), CpuStorage::F32(new)) => {
                self.write(&mut all[to.0..to.1], sizes, &new[from.0..from.1]);
            }
            (CpuStorage::BF16(all), CpuStorage::BF16(new)) => {
                self.write(&mut all[to.0..to.1], sizes, &new[from.0..from.1]);
            }
            (CpuStorage::F16(all), CpuStorage::F16(new)) => {
                self.write(&mut all[to.0..to.1], sizes, &new[from.0..from.1]);
            }
            (CpuStorage::U8(all), CpuStorage::U8(new)) => {
                self.write(&mut all[to.0..to.1], sizes, &new[from.0..from.1]);
            }
            _ => bail!("the KV cache has another type than the new rows"),
        }
        Ok(())
    }
}
