//! The optimizer's state in shares (ZeRO-1; Rajbhandari and others, arXiv 1910.02054): gradients are summed where a
//! parameter is updated, and its new values go from there to all.

use std::collections::BTreeMap;

use candle_core::Tensor;

use super::collectives::Collectives;
use super::shares::Shares;
use crate::error::LabError;
use crate::train::optimizer::{GradientNorms, Gradients, Moments, Optimizer, Trained};

/// Values that are sent at once: small parameters go together, large ones in parts.
const AT_ONCE: usize = 1 << 22;

/// Parameters, and who updates each.
pub(super) struct Sharded<'a> {
    pub(super) processes: &'a dyn Collectives,
    pub(super) shares: &'a Shares,
    pub(super) trained: &'a BTreeMap<String, Trained>,
}

impl Sharded<'_> {
    /// [`Optimizer::step`] over all processes, which all have gradients of the same names: each updates its share.
    ///
    /// # Errors
    /// When a tensor operation fails, or another process.
    pub(super) fn step(
        &self,
        optimizer: &Optimizer,
        mut gradients: Gradients,
        moments: &mut BTreeMap<String, Moments>,
        (divisor, lr): (f32, f32),
        step: usize,
    ) -> Result<GradientNorms, LabError> {
        let names: Vec<String> = gradients.keys().cloned().collect();
        self.sum(&names, &mut gradients)?;
        let norms = GradientNorms::of(self.trained, &self.squares(&names, &gradients)?, divisor);
        if let Some(scale) = optimizer.scale(norms.global, divisor) {
            optimizer.update(self.trained, &gradients, moments, scale, lr, step)?;
            self.share_values(&names)?;
        }
        Ok(norms)
    }

    /// Sums the gradients; those of this process's share are left.
    fn sum(&self, names: &[String], gradients: &mut Gradients) -> Result<(), LabError> {
        for (owner, names) in self.buckets(names) {
            let mut parts: Vec<Vec<f32>> = names.iter().filter_map(|name| gradients.remove(*name)).collect();
            let lens: Vec<usize> = parts.iter().map(Vec::len).collect();
            // A large parameter is alone in its bucket and not copied.
            let mut values = if parts.len() == 1 { parts.swap_remove(0) } else { parts.concat() };
            for part in values.chunks_mut(AT_ONCE) {
                self.processes.sum_to(owner, part)?;
            }
            if owner != self.processes.rank() {
                continue;
            }
            if let [name] = names[..] {
                gradients.insert(name.clone(), values);
                continue;
            }
            let mut rest = &values[..];
            for (name, len) in names.into_iter().zip(lens) {
                let (own, others) = rest.split_at(len);
                gradients.insert(name.clone(), own.to_vec());
                rest = others;
            }
        }
        Ok(())
    }

    /// Sums of squares of the summed gradients of all processes; `own` has those of this one.
    fn squares(&self, names: &[String], own: &Gradients) -> Result<BTreeMap<String, f64>, LabError> {
        let own = GradientNorms::squares(own);
        let sent: Vec<u8> = own.values().flat_map(|square| square.to_le_bytes()).collect();
        let all = self.processes.gather(&sent)?;
        // Each process has said those of its share, in the order of names.
        let mut squares: Vec<_> = all.iter().map(|bytes| bytes.as_chunks::<8>().0.iter()).collect();
        let square = |name: &String| {
            let bytes = squares.get_mut(self.shares.owner(name)).and_then(Iterator::next);
            (name.clone(), bytes.map_or(f64::NAN, |bytes| f64::from_le_bytes(*bytes)))
        };
        Ok(names.iter().map(square).collect())
    }

    /// Gives all processes the values of `names` as their owners have them.
    fn share_values(&self, names: &[String]) -> Result<(), LabError> {
        for (owner, names) in self.buckets(names) {
            let trained: Vec<&Trained> = names.iter().filter_map(|name| self.trained.get(*name)).collect();
            let is_owner = owner == self.processes.rank();
            let mut values = Vec::new();
            if is_owner {
                for trained in &trained {
                    values.extend(trained.variable.as_tensor().flatten_all()?.to_vec1::<f32>()?);
                }
            } else {
                values.resize(trained.iter().map(|trained| trained.variable.elem_count()).sum(), 0.0);
            }
            for part in values.chunks_mut(AT_ONCE) {
                self.processes.broadcast(owner, part)?;
            }
            let mut rest = &values[..];
            for trained in trained.into_iter().filter(|_| !is_owner) {
                let (own, others) = rest.split_at(trained.variable.elem_count());
                let (shape, device) = (trained.variable.shape(), trained.variable.device());
                trained.variable.set(&Tensor::from_slice(own, shape, device)?)?;
                rest = others;
            }
        }
        Ok(())
    }

    /// `names` of each owner in runs of at most [`AT_ONCE`] values; a larger parameter is a run by itself.
    fn buckets<'n>(&self, names: &'n [String]) -> Vec<(usize, Vec<&'n String>)> {
        let mut buckets = Vec::new();
        for owner in 0..self.processes.size() {
            let (mut bucket, mut held) = (Vec::new(), 0);
            for name in names.iter().filter(|name| self.shares.owner(name) == owner) {
                let values = self.trained.get(name).map_or(0, |trained| trained.variable.elem_count());
                if held + values > AT_ONCE && !bucket.is_empty() {
                    buckets.push((owner, std::mem::take(&mut bucket)));
                    held = 0;
                }
                bucket.push(name);
                held += values;
            }
            if !bucket.is_empty() {
                buckets.push((owner, bucket));
            }
        }
        buckets
    }
}

/// The moments of all processes in the first one; none in the others.
///
/// # Errors
/// When another process has failed.
pub(super) fn gather_moments(
    processes: &dyn Collectives,
    own: &BTreeMap<String, Moments>,
) -> Result<BTreeMap<String, Moments>, LabError> {
    let wrong = |error: serde_json::Error| LabError::Caller(format!("what a process says of its moments: {error}"));
    let sizes: Vec<(&String, usize, usize)> =
        own.iter().map(|(name, moments)| (name, moments.first.len(), moments.second.len())).collect();
    let mut all = BTreeMap::new();
    for (rank, sizes) in processes.gather(&serde_json::to_vec(&sizes).map_err(wrong)?)?.iter().enumerate() {
        let sizes: Vec<(String, usize, usize)> = serde_json::from_slice(sizes).map_err(wrong)?;
        for (name, first, second) in sizes {
            let mut moments = match own.get(&name).filter(|_| rank == processes.rank()) {
                Some(own) => own.clone(),
                None => Moments { first: vec![0.0; first], second: vec![0.0; second] },
            };
            for part in moments.first.chunks_mut(AT_ONCE).chain(moments.second.chunks_mut(AT_ONCE)) {
                processes.broadcast(rank, part)?;
            }
            if processes.is_first() {
                all.insert(name, moments);
            }
        }
    }
    Ok(all)
}
