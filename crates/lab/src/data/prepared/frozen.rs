//! Features of an encoder that learns nothing: computed once for each picture and video, in memory and, where that is
//! asked for, on disk.

use std::io;
use std::path::Path;
use std::sync::Arc;

use candle_core::Device;
use sha2::{Digest, Sha256};
use zoetrope_engine::{ContentDigest, ModelStore, Store, StoreOptions};
use zoetrope_models::contract::feature_file::ModelIdentity;
use zoetrope_models::contract::features::Features;
use zoetrope_models::contract::media_plan::MediaPlan;
use zoetrope_models::contract::{Processor, VideoLanguageModel};

use super::kept::{KeptMedia, KeptTensors, Key, media_key};
use crate::data::dataset::DataOptions;

/// Where features of one encoder are kept.
pub(crate) struct FrozenFeatures {
    /// Says of which encoder they are.
    encoder: Key,
    /// Files that outlive the process.
    disk: Option<ModelStore>,
}

impl FrozenFeatures {
    /// Features of the encoder of `model`, which is called `name` and told apart by `encoder`; on disk where there is a
    /// `store`.
    pub(crate) fn new(
        encoder: ModelIdentity,
        name: &str,
        store: Option<&Arc<Store>>,
        model: &dyn VideoLanguageModel,
    ) -> Self {
        let ModelIdentity { family, checkpoint, held_as } = &encoder;
        let key = Sha256::digest(format!("{family}\n{checkpoint}\n{held_as}")).into();
        // As data files of a mixture are opened.
        let files = DataOptions::default().limits.files;
        let disk = store.map(|store| ModelStore::new(store, name, encoder, model, &files));
        FrozenFeatures { encoder: key, disk }
    }

    /// A folder for features of at most `most` bytes; none for no bytes.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open_store(folder: &Path, most: u64) -> io::Result<Option<Arc<Store>>> {
        if most == 0 {
            return Ok(None);
        }
        let options = StoreOptions { most_bytes: Some(most), ..StoreOptions::new(folder.to_path_buf()) };
        Store::open(options).map(Some)
    }

    /// Whether anything is kept.
    pub(super) fn is_on(&self, kept: &KeptMedia) -> bool {
        kept.is_on() || self.disk.is_some()
    }

    fn key(&self, content: &ContentDigest, plan: &MediaPlan) -> Option<Key> {
        let media = media_key(content, plan)?;
        Some(Sha256::new_with_prefix(self.encoder).chain_update(media).finalize().into())
    }

    /// The features of `plan` of media of this content in memory.
    pub(super) fn in_memory(&self, kept: &KeptMedia, content: &ContentDigest, plan: &MediaPlan) -> Option<Features> {
        match kept.get(&self.key(content, plan)?)? {
            KeptTensors::Features(features) => Some(features),
            KeptTensors::Patches(_) => None,
        }
    }

    /// The features of `plan` of media of this content, from memory or from disk.
    pub(super) fn find(
        &self,
        kept: &KeptMedia,
        (content, plan): (&ContentDigest, &MediaPlan),
        processor: &dyn Processor,
    ) -> Option<Features> {
        if let Some(features) = self.in_memory(kept, content, plan) {
            return Some(features);
        }
        let stored = self.disk.as_ref()?.find_features(content, plan, processor)?;
        let units = stored.per_unit().len();
        // A file that cannot be read any more costs time and nothing else.
        let features = stored.units(0..units, &Device::Cpu).ok().filter(|_| units == plan.units())?;
        kept.put(self.key(content, plan)?, KeptTensors::Features(features.clone()));
        Some(features)
    }

    /// Keeps what the encoder gave of all planned frames. Features that gradients flow through are not kept.
    pub(super) fn keep(
        &self,
        kept: &KeptMedia,
        (content, plan): (&ContentDigest, &MediaPlan),
        features: &Features,
        processor: &dyn Processor,
    ) {
        let rows = &features.rows;
        let (Some(key), false, true) = (self.key(content, plan), rows.track_op(), rows.device().is_cpu()) else {
            return;
        };
        kept.put(key, KeptTensors::Features(features.clone()));
        if let Some(disk) = &self.disk {
            disk.keep_features("sample", (content, plan), features, processor);
        }
    }
}
