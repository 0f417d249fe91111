//! What attention remembers: nothing beyond its own packed sequences, or a KV store.
//!
//! Legend: S positions, K key heads, C width of a head.

use candle_core::{DType, Device, Result, Tensor, bail};
use zoetrope_kernels::attention::quantise;

use super::custom::read;

/// Memory of one forward pass; only the attention op looks inside.
pub enum Memory<'a> {
    /// Independent sequences laid end to end; `lens` sums to T. No cache, differentiable.
    Packed(&'a [usize]),
    /// One sequence that continues after what the store holds.
    Cache(&'a mut KvCache),
}

/// How keys and values are held in a [`KvCache`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvDtype {
    /// As tensors of this type.
    Float(DType),
    /// As 8-bit whole numbers with an f32 scale for each position and head (and, of keys, one for each column of a
    /// head), on the CPU and without gradients.
    Int8,
}

impl KvDtype {
    /// Its name: "f32", "int8" and so on.
    pub fn name(self) -> &'static str {
        match self {
            KvDtype::Float(dtype) => dtype.as_str(),
            KvDtype::Int8 => "int8",
        }
    }

    /// Bytes of one key or value of `c` numbers.
    pub fn bytes(self, c: usize) -> usize {
        match self {
            KvDtype::Float(dtype) => c * dtype.size_in_bytes(),
            KvDtype::Int8 => c + size_of::<f32>(),
        }
    }
}

impl From<DType> for KvDtype {
    fn from(dtype: DType) -> Self {
        KvDtype::Float(dtype)
    }
}

/// Keys or values as they are held, for the attention op.
#[derive(Clone, Debug)]
pub struct Held {
    /// `[S, K, C]`: floats, or whole numbers in the 8 bits of two's complement.
    pub(super) values: Tensor,
    /// `[S, K]` in f32, what whole numbers are multiplied with.
    pub(super) scales: Option<Tensor>,
    /// `[K, C]` in f32, of keys in whole numbers: what every position's numbers are multiplied with, besides.
    pub(super) columns: Option<Tensor>,
}

impl From<Tensor> for Held {
    fn from(values: Tensor) -> Self {
        Held { values, scales: None, columns: None }
    }
}

impl Held {
    /// The values `[S, K, C]` as floats: as they are held, or in f32 what the whole numbers mean.
    pub fn floats(&self) -> Result<Tensor> {
        let Some(scales) = &self.scales else { return Ok(self.values.clone()) };
        // Of the 8 bits of two's complement, the upper half lies below zero.
        let below = self.values.gt(127u8)?.to_dtype(DType::F32)?;
        let rows = (self.values.to_dtype(DType::F32)? - (below * 256.0)?)?.broadcast_mul(&scales.unsqueeze(2)?)?;
        self.columns.as_ref().map_or(Ok(rows.clone()), |columns| rows.broadcast_mul(columns))
    }

    /// Room for `s` positions.
    fn room(s: usize, k: usize, c: usize, dtype: KvDtype, device: &Device) -> Result<Self> {
        Ok(match dtype {
            KvDtype::Float(dtype) => Tensor::zeros((s, k, c), dtype, device)?.into(),
            KvDtype::Int8 => Held {
                values: Tensor::zeros((s, k, c), DType::U8, device)?,
                scales: Some(Tensor::zeros((s, k), DType::F32, device)?),
                columns: None,
            },
        })
    }

    /// Keys or values `x` `[S, K, C]` as these are held.
    fn of_kind(&self, x_skc: &Tensor) -> Result<Held> {
        if self.scales.is_none() {
            return Ok(x_skc.to_dtype(self.values.dtype())?.contiguous()?.into());
        }
        if x_skc.track_op() {
            bail!("keys and values held in int8 pass no gradient; learn with packed sequences, or hold them as floats")
        }
        let (s, k, c) = x_skc.dims3()?;
        let x_skc = x_skc.to_dtype(DType::F32)?;
        let x_skc = self.columns.as_ref().map_or(Ok(x_skc.clone()), |columns| x_skc.broadcast_div(columns))?;
        let (mut bits, mut scales) = (vec![0; s * k * c], vec![0.0; s * k]);
        read(&[&x_skc], |x| quantise(x[0], c, &mut bits, &mut scales))?;
        let scales = Tensor::from_vec(scales, (s, k), x_skc.device())?;
        let values = Tensor::from_vec(bits, (s, k, c), x_skc.device())?;
        Ok(Held { values, scales: Some(scales), columns: self.columns.clone() })
    }

    /// Writes `new`, which is held alike, from position `at` on.
    fn put(&self, new: &Held, at: usize) -> Result<()> {
        self.values.slice_set(&new.values, 0, at)?;
        match (&self.scales, &new.scales) {
            (Some(scales), Some(new)) => scales.slice_set(new, 0, at),
            _ => Ok(()),
        }
    }

    /// The first `s` positions.
    fn first(&self, s: usize) -> Result<Held> {
        let scales = self.scales.as_ref().map(|scales| scales.narrow(0, 0, s)).transpose()?;
        Ok(Held { values: self.values.narrow(0, 0, s)?, scales, columns: self.columns.clone() })
    }
}

/// What columns of keys `[S, K, C]` are divided by before a position's numbers share one scale: their largest sizes
/// `[K, C]`. Biases make a few columns of keys much larger than the others, which would be left with few of the 256
/// steps. KIVI (arXiv 2402.02750) has scales for each channel of keys, too; these are fixed by the first positions, so
/// that a position is written once. Two columns that rotary embedding turns into each other have the larger one's size.
fn columns(k_skc: &Tensor) -> Result<Tensor> {
    let size_kc = k_skc.to_dtype(DType::F32)?.abs()?.max(0)?;
    let c = size_kc.dim(1)?;
    let size_kc = if c % 2 == 0 {
        let (low, high) = (size_kc.narrow(1, 0, c / 2)?, size_kc.narrow(1, c / 2, c / 2)?);
        let larger = low.maximum(&high)?;
        Tensor::cat(&[&larger, &larger], 1)?
    } else {
        size_kc
    };
    // A column that the first positions hardly use may be larger later: none has less than an eighth of what is usual,
    // which a few that are large do not change much in a geometric mean.
    let usual_k1 = (size_kc.maximum(1e-30)?.log()?.mean_keepdim(1)?.exp()? / 8.0)?;
    size_kc.broadcast_maximum(&usual_k1)
}

/// Keys and values of every layer of one sequence, room for `capacity` positions each, filled from the front.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<(Held, Held)>,
    len: usize,
    capacity: usize,
    dtype: KvDtype,
}

impl KvCache {
    /// Room for `capacity` positions of `n_kv` heads of width `d` in `layers` layers.
    ///
    /// # Errors
    /// When memory on `device` cannot be had, and for int8 on another device than the CPU.
    pub fn new(
        layers: usize,
        capacity: usize,
        n_kv: usize,
        d: usize,
        dtype: impl Into<KvDtype>,
        device: &Device,
    ) -> Result<Self> {
        let dtype = dtype.into();
        if dtype == KvDtype::Int8 && !device.is_cpu() {
            bail!("keys and values are held in int8 on the CPU only")
        }
        let one = || Held::room(capacity, n_kv, d, dtype, device);
        let layers = (0..layers).map(|_| Ok((one()?, one()?))).collect::<Result<_>>()?;
        Ok(KvCache { layers, len: 0, capacity, dtype })
    }

    /// Positions held by every layer.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is held yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Most positions it can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Stores `k_tkc`, `v_tkc` of one layer after what is held and returns all keys and values so far.
    ///
    /// # Errors
    /// When there is no room for them, and when int8 would cut a gradient off.
    pub fn append(&mut self, layer: usize, k_tkc: &Tensor, v_tkc: &Tensor) -> Result<(Held, Held)> {
        let new = k_tkc.dim(0)?;
        if self.len + new > self.capacity {
            bail!("cache of {} positions cannot take {} more after {}", self.capacity, new, self.len)
        }
        let (keys, values) = &mut self.layers[layer];
        if self.len == 0 && self.dtype == KvDtype::Int8 {
            keys.columns = Some(columns(&k_tkc.detach())?);
        }
        keys.put(&keys.of_kind(k_tkc)?, self.len)?;
        values.put(&values.of_kind(v_tkc)?, self.len)?;
        Ok((keys.first(self.len + new)?, values.first(self.len + new)?))
    }

    /// Declares that every layer has stored `new` more positions.
    pub fn advance(&mut self, new: usize) {
        self.len += new;
    }

    /// Forgets everything after position `len`.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Makes room for `capacity` positions in all; what is held stays. Never shrinks.
    pub fn grow(&mut self, capacity: usize) -> Result<()> {
        if capacity <= self.capacity {
            return Ok(());
        }
        let larger = |old: &Held, held: usize| -> Result<Held> {
            let (_, k, c) = old.values.dims3()?;
            let room = Held::room(capacity, k, c, self.dtype, old.values.device())?;
            let new = Held { columns: old.columns.clone(), ..room };
            if held > 0 {
                new.put(&old.first(held)?, 0)?;
            }
            Ok(new)
        };
        for (keys, values) in &mut self.layers {
            *keys = larger(keys, self.len)?;
            *values = larger(values, self.len)?;
        }
        self.capacity = capacity;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{CudaDevice, Var};
    use zoetrope_kernels::packed::Kind;

    use super::*;
    use crate::parts::ops;

    const DTYPES: [KvDtype; 3] = [KvDtype::Float(DType::F32), KvDtype::Float(DType::BF16), KvDtype::Int8];

    fn cache(capacity: usize, dtype: KvDtype) -> KvCache {
        KvCache::new(2, capacity, 3, 5, dtype, &Device::Cpu).unwrap()
    }

    /// Keys or values of `s` positions.
    fn rows(s: usize, phase: f32) -> Tensor {
        let values: Vec<f32> = (0..s * 15).map(|i| (i as f32 * 0.37 + phase).sin()).collect();
        Tensor::from_vec(values, (s, 3, 5), &Device::Cpu).unwrap()
    }

    fn add(cache: &mut KvCache, keys: &Tensor) -> Vec<(Held, Held)> {
        let values = keys.neg().unwrap();
        let held = (0..2).map(|layer| cache.append(layer, keys, &values).unwrap()).collect();
        cache.advance(keys.dim(0).unwrap());
        held
    }

    /// Values as numbers, then scales.
    fn numbers(held: &Held) -> Vec<f32> {
        let flat = |x: &Tensor| x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let beside = [&held.scales, &held.columns].map(|x| x.as_ref().map(flat));
        [Some(flat(&held.values))].into_iter().chain(beside).flatten().flatten().collect()
    }

    #[test]
    fn what_was_cut_off_and_grown_holds_what_was_added_last() {
        for dtype in DTYPES {
            let (first, wrong, next) = (rows(4, 0.1), rows(3, 7.0), rows(5, 2.0));
            let mut ours = cache(7, dtype);
            add(&mut ours, &first);
            add(&mut ours, &wrong);
            assert_eq!((ours.len(), ours.capacity()), (7, 7));
            let error = ours.append(0, &next, &next).unwrap_err().to_string();
            assert!(error.contains("7 positions cannot take 5 more after 7"), "{error}");
            ours.truncate(4);
            ours.truncate(6);
            ours.grow(9).unwrap();
            ours.grow(2).unwrap();
            assert_eq!((ours.len(), ours.capacity(), ours.is_empty()), (4, 9, false));
            let ours = add(&mut ours, &next);
            let mut want = cache(9, dtype);
            add(&mut want, &first);
            let want = add(&mut want, &next);
            for (ours, want) in ours.iter().zip(&want) {
                assert_eq!(ours.0.values.dims(), [9, 3, 5]);
                assert_eq!((numbers(&ours.0), numbers(&ours.1)), (numbers(&want.0), numbers(&want.1)), "{dtype:?}");
            }
        }
    }

    /// Columns that are far larger than the others leave those their steps, and what was forgotten does not count.
    #[test]
    fn large_columns_of_keys_do_not_coarsen_the_others() {
        let factors = [1f32, 300.0, 2.0, 1.0, 300.0, 0.0];
        let keys = |s: usize, phase: f32| {
            let value = |i: usize| (i as f32 * 0.37 + phase).sin() * factors[i % 6];
            Tensor::from_vec((0..s * 18).map(value).collect::<Vec<f32>>(), (s, 3, 6), &Device::Cpu).unwrap()
        };
        let mut ours = KvCache::new(2, 60, 3, 6, KvDtype::Int8, &Device::Cpu).unwrap();
        add(&mut ours, &(keys(9, 0.3) * 1000.0).unwrap());
        ours.truncate(0);
        add(&mut ours, &keys(20, 0.1));
        let held = add(&mut ours, &keys(40, 0.9))[0].0.floats().unwrap();
        let want = Tensor::cat(&[keys(20, 0.1), keys(40, 0.9)], 0).unwrap();
        let off =
            (held - want).unwrap().abs().unwrap().flatten_to(1).unwrap().max(0).unwrap().to_vec1::<f32>().unwrap();
        for (column, off) in off.into_iter().enumerate() {
            // Half a step of the larger column of the two that are turned into each other; sizes of the first 20
            // positions are some percent below those of all.
            let size = factors[column].max(factors[(column + 3) % 6]);
            assert!(off <= 0.55 * size / 127.0, "column {column}: {off}");
        }
    }

    #[test]
    fn a_position_takes_the_bytes_that_are_told() {
        for dtype in DTYPES {
            let (keys, _) = &cache(7, dtype).layers[0];
            let bytes = |x: &Tensor| x.elem_count() * x.dtype().size_in_bytes();
            let all = bytes(&keys.values) + keys.scales.as_ref().map_or(0, bytes);
            assert_eq!(all, 7 * 3 * dtype.bytes(5), "{}", dtype.name());
        }
    }

    /// A key or value is off by at most 1/254 of the largest of its row, in int8; by 1/512 of its size in bf16.
    #[test]
    fn attention_reads_what_is_held() {
        let q = rows(9, 3.0);
        let attend = |dtype| {
            let held = add(&mut cache(40, dtype), &rows(40, 0.4));
            let (k, v) = &held[1];
            let off = (v.floats().unwrap().to_dtype(DType::F32).unwrap() + rows(40, 0.4)).unwrap().abs().unwrap();
            assert!(off.max_all().unwrap().to_scalar::<f32>().unwrap() < 1.001 / 254.0);
            ops::attention(Kind::F32, &q, k, v, &[(9, 40)], true, 0.5).unwrap().flatten_all().unwrap()
        };
        let want = attend(DType::F32.into()).to_vec1::<f32>().unwrap();
        // A score is off by at most half of the sum of five sizes of at most one, each by 1/254.
        let score = 0.5 * 5.0 / 254.0;
        let most = (2.0f32 * score).exp_m1() + 1.0 / 254.0 + 1e-5;
        for dtype in DTYPES {
            let ours = attend(dtype).to_vec1::<f32>().unwrap();
            let off = ours.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off <= most, "{dtype:?}: {off}, allowed {most}");
        }
    }

    #[test]
    fn int8_is_refused_where_there_are_gradients_or_another_device() {
        let error = KvCache::new(1, 4, 3, 5, KvDtype::Int8, &Device::Cuda(CudaDevice)).unwrap_err().to_string();
        assert!(error.contains("int8 on the CPU only"), "{error}");
        let (learnt, known) = (Var::from_tensor(&rows(2, 0.0)).unwrap(), rows(2, 1.0));
        let mut cache = cache(4, KvDtype::Int8);
        for (k, v) in [(learnt.as_tensor(), &known), (&known, learnt.as_tensor())] {
            let error = cache.append(0, k, v).unwrap_err().to_string();
            assert!(error.contains("int8 pass no gradient"), "{error}");
        }
        let (k, v) = cache.append(0, &known, &known).unwrap();
        let error = ops::attention(Kind::F32, &learnt, &k, &v, &[(2, 2)], true, 1.0).unwrap_err().to_string();
        assert!(error.contains("int8") && error.contains("no gradient"), "{error}");
    }
}
