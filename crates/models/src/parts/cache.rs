//! What attention remembers: nothing beyond its own packed sequences, or a KV store.

use candle_core::{DType, Device, Result, Tensor};

/// Memory of one forward pass; only the attention op looks inside.
pub enum Memory<'a> {
    /// Independent sequences laid end to end; `lens` sums to T. No cache, differentiable.
    Packed(&'a [usize]),
    /// One sequence that continues after what the store holds.
    Cache(&'a mut KvCache),
}

/// Keys and values of every layer of one sequence, `[capacity, n_kv, d]` each in one type, filled from the front.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<(Tensor, Tensor)>,
    len: usize,
    capacity: usize,
}

impl KvCache {
    /// Room for `capacity` positions in `layers` layers.
    pub fn new(layers: usize, capacity: usize, n_kv: usize, d: usize, dtype: DType, device: &Device) -> Result<Self> {
        let one = || Tensor::zeros((capacity, n_kv, d), dtype, device);
        let layers = (0..layers).map(|_| Ok((one()?, one()?))).collect::<Result<_>>()?;
        Ok(KvCache { layers, len: 0, capacity })
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

    /// Stores `k_thd`, `v_thd` of one layer after what is held and returns all keys and values so far.
    pub fn append(&mut self, layer: usize, k_thd: &Tensor, v_thd: &Tensor) -> Result<(Tensor, Tensor)> {
        let new = k_thd.dim(0)?;
        if self.len + new > self.capacity {
            candle_core::bail!("cache of {} positions cannot take {} more after {}", self.capacity, new, self.len)
        }
        let (keys, values) = &self.layers[layer];
        keys.slice_set(&k_thd.to_dtype(keys.dtype())?.contiguous()?, 0, self.len)?;
        values.slice_set(&v_thd.to_dtype(values.dtype())?.contiguous()?, 0, self.len)?;
        Ok((keys.narrow(0, 0, self.len + new)?, values.narrow(0, 0, self.len + new)?))
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
        let larger = |old: &Tensor, held: usize| -> Result<Tensor> {
            let (_, n_kv, d) = old.dims3()?;
            let new = Tensor::zeros((capacity, n_kv, d), old.dtype(), old.device())?;
            if held > 0 {
                new.slice_set(&old.narrow(0, 0, held)?.contiguous()?, 0, 0)?;
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
