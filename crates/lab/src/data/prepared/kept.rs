//! Decoded media and features in memory, within a number of bytes: what was not used for the longest time goes first.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use zoetrope_engine::{ContentDigest, PreparedFrames};
use zoetrope_models::contract::features::Features;
use zoetrope_models::contract::media_plan::MediaPlan;

/// Digest of what something was computed from.
pub(super) type Key = [u8; 32];

/// What is kept of a picture or video.
#[derive(Clone)]
pub(super) enum KeptTensors {
    /// Runs of its frames as patches.
    Patches(Arc<Vec<PreparedFrames>>),
    /// What the frozen encoder gave.
    Features(Features),
}

impl KeptTensors {
    /// Bytes of its tensors.
    fn bytes(&self) -> u64 {
        match self {
            KeptTensors::Patches(runs) => bytes_of(runs),
            KeptTensors::Features(features) => bytes_of_features(features),
        }
    }
}

/// What patches of `plan` of media of this content are told apart by.
pub(super) fn media_key(content: &ContentDigest, plan: &MediaPlan) -> Option<Key> {
    let plan = serde_json::to_vec(plan).ok()?;
    Some(Sha256::new_with_prefix(content).chain_update(plan).finalize().into())
}

/// Bytes of the patches of `runs`.
pub(super) fn bytes_of(runs: &[PreparedFrames]) -> u64 {
    runs.iter().map(|run| run.patches.pixels.elem_count() as u64 * size_of::<f32>() as u64).sum()
}

/// Bytes of the rows of `features`.
pub(super) fn bytes_of_features(features: &Features) -> u64 {
    features.bytes() as u64
}

/// Decoded media and features in memory. Shared by all threads of a run.
pub(crate) struct KeptMedia {
    most: u64,
    state: Mutex<KeptState>,
}

#[derive(Default)]
struct KeptState {
    entries: HashMap<Key, KeptEntry>,
    /// Entries by the number of their last use.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: u64,
}

struct KeptEntry {
    kept: KeptTensors,
    bytes: u64,
    used: u64,
}

impl KeptMedia {
    /// Keeps at most `most` bytes.
    pub(crate) fn new(most: u64) -> Self {
        KeptMedia { most, state: Mutex::default() }
    }

    /// Whether anything is kept at all.
    pub(super) fn is_on(&self) -> bool {
        self.most > 0
    }

    /// What is kept under `key`; it counts as used.
    pub(super) fn get(&self, key: &Key) -> Option<KeptTensors> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let entry = state.entries.get_mut(key)?;
        state.by_use.remove(&entry.used);
        state.uses += 1;
        entry.used = state.uses;
        state.by_use.insert(entry.used, *key);
        Some(entry.kept.clone())
    }

    /// Keeps `kept` under `key`, unless it alone has more bytes than may be kept.
    pub(super) fn put(&self, key: Key, kept: KeptTensors) {
        let bytes = kept.bytes();
        if bytes > self.most {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.remove(&key);
        while state.bytes > self.most - bytes {
            let Some(oldest) = state.by_use.values().next().copied() else { break };
            state.remove(&oldest);
        }
        state.uses += 1;
        let used = state.uses;
        state.by_use.insert(used, key);
        state.bytes += bytes;
        state.entries.insert(key, KeptEntry { kept, bytes, used });
    }

    /// Bytes that are kept now.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

impl KeptState {
    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::*;

    /// Features of `rows` rows of 40 bytes.
    fn features(rows: usize) -> KeptTensors {
        let rows_re = Tensor::zeros((rows, 10), DType::F32, &Device::Cpu).expect("a tensor");
        KeptTensors::Features(Features { rows: rows_re, per_unit: vec![rows] })
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_goes_and_the_bytes_stay_within_their_number() {
        let kept = KeptMedia::new(400);
        let key = |number: u8| [number; 32];
        for number in 0..4 {
            kept.put(key(number), features(2));
        }
        assert_eq!(kept.bytes(), 320);
        assert!(kept.get(&key(0)).is_some());
        // Room for three rows is made by the two that were not used.
        kept.put(key(9), features(5));
        let there: Vec<u8> = (0..10).filter(|number| kept.get(&key(*number)).is_some()).collect();
        assert_eq!((there, kept.bytes()), (vec![0, 3, 9], 360));
        // The newer value of a key takes the place of the older one; what never fits changes nothing.
        kept.put(key(9), features(1));
        kept.put(key(5), features(11));
        assert_eq!(kept.bytes(), 200);
        assert!(kept.get(&key(5)).is_none());
        let off = KeptMedia::new(0);
        off.put(key(1), features(1));
        assert!(!off.is_on() && off.get(&key(1)).is_none());
    }
}
