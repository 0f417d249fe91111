//! Features in the store: those of a film by its content, under whatever name it comes again.

use std::io;
use std::sync::Arc;

use zoetrope_models::contract::Processor;
use zoetrope_models::contract::feature_file::{
    FeatureKey, FeatureSize, FilmIdentity, StoredFaults, StoredFeatures, write_whole,
};
use zoetrope_models::contract::features::Features;
use zoetrope_models::contract::media_plan::{MediaKind, MediaPlan};
use zoetrope_models::error::ModelResult;

use super::encode::{EncodedMedia, MediaFeatures};
use super::source::ContentDigest;
use crate::store::{HEADER, Key, ModelStore, digest_of};

/// What features of `plan` of a film of this content are told apart by.
fn feature_key(
    store: &ModelStore,
    content: &ContentDigest,
    plan: &MediaPlan,
    processor: &dyn Processor,
) -> ModelResult<(Key, FeatureKey)> {
    let (film, width) = (FilmIdentity::of_content(content), processor.info().feature_width);
    let key = FeatureKey::new(Some(film), store.reading().to_string(), store.model().clone(), plan, width)?;
    let model = store.model();
    let parts = [
        "zoetrope features",
        &key.format,
        env!("CARGO_PKG_VERSION"),
        &model.family,
        &model.checkpoint,
        &model.held_as,
        &key.reading,
        &key.plan,
    ];
    let width = (width as u64).to_le_bytes();
    let parts = parts.into_iter().map(str::as_bytes).chain([&content[..], &width]);
    Ok((digest_of(parts), key))
}

/// The features of `plan` of a film of this content, where they are kept.
pub(super) fn find(
    store: &ModelStore,
    content: &ContentDigest,
    plan: &MediaPlan,
    processor: &dyn Processor,
) -> Option<Arc<StoredFeatures>> {
    let (key, told) = feature_key(store, content, plan, processor).ok()?;
    store.features(&key).filter(|stored| stored.key().is_same(&told))
}

/// Bytes of the file of features of a film of which frames were `planned` and `decoded`, `rows` of them.
pub(crate) fn file_bytes(
    store: &ModelStore,
    content: &ContentDigest,
    (planned, decoded): (&MediaPlan, &MediaPlan),
    rows: usize,
    processor: &dyn Processor,
) -> ModelResult<u64> {
    let (_, key) = feature_key(store, content, planned, processor)?;
    let lost = planned.frames.len().saturating_sub(decoded.frames.len());
    let size = FeatureSize { dtype: store.feature_dtype(), rows, units: decoded.units(), lost };
    Ok(HEADER as u64 + size.bytes(&key)?)
}

/// Lets the features of a film be written that was encoded as `planned`, unless they are there. Pictures are encoded
/// again faster than they are looked up.
pub(crate) fn keep(
    store: &ModelStore,
    content: Option<&ContentDigest>,
    planned: &MediaPlan,
    media: &Arc<EncodedMedia>,
    processor: &dyn Processor,
) {
    let (Some(content), MediaFeatures::Fresh(features), MediaKind::Video) = (content, &media.features, planned.kind)
    else {
        return;
    };
    let Some(lost) = lost_frames(planned, &media.plan) else { return };
    let faults = StoredFaults {
        repeated: media.faults.repeated,
        damaged: media.faults.damaged,
        with_bars: media.faults.with_bars,
    };
    put(store, &media.name, (content, planned), (features, lost, faults), processor);
}

impl ModelStore {
    /// The features of `plan` of media of this content, where they are kept.
    pub fn find_features(
        &self,
        content: &ContentDigest,
        plan: &MediaPlan,
        processor: &dyn Processor,
    ) -> Option<Arc<StoredFeatures>> {
        find(self, content, plan, processor)
    }

    /// Lets the features of `plan` of media of this content be written, unless they are there or the disk is too slow.
    /// All planned frames were decoded.
    pub fn keep_features(
        &self,
        name: &str,
        (content, plan): (&ContentDigest, &MediaPlan),
        features: &Features,
        processor: &dyn Processor,
    ) {
        put(self, name, (content, plan), (features, Vec::new(), StoredFaults::default()), processor);
    }
}

/// Lets features be written of which frames are `lost`, unless they are there.
fn put(
    store: &ModelStore,
    name: &str,
    (content, planned): (&ContentDigest, &MediaPlan),
    (features, lost, faults): (&Features, Vec<u32>, StoredFaults),
    processor: &dyn Processor,
) {
    let Ok((key, told)) = feature_key(store, content, planned, processor) else { return };
    let (dtype, rows) = (features.rows.dtype(), features.per_unit.iter().sum::<usize>());
    let size = FeatureSize { dtype, rows, units: features.per_unit.len(), lost: lost.len() };
    // On an accelerator they would be copied by another thread, which has another queue.
    let (Ok(payload), true) = (size.bytes(&told), features.rows.device().is_cpu()) else { return };
    if store.has_features(&key) {
        return;
    }
    let memory = features.rows.elem_count() * dtype.size_in_bytes();
    let features = features.clone();
    let taken = store.put_features(key, name, (memory, payload), move |out| {
        write_whole(out, &told, &features, &lost, &faults).map_err(io::Error::other)
    });
    if !taken {
        tracing::debug!("{name}: its features are not kept, the disk is too slow");
    }
}

/// The numbers of planned frames that are not among those that could be decoded; `None` when these are others.
fn lost_frames(planned: &MediaPlan, decoded: &MediaPlan) -> Option<Vec<u32>> {
    let (mut lost, mut left) = (Vec::new(), decoded.frames.iter().peekable());
    for (number, frame) in planned.frames.iter().enumerate() {
        if left.next_if(|own| *own == frame).is_none() {
            lost.push(number as u32);
        }
    }
    left.peek().is_none().then_some(lost)
}
