//! What was encoded and projected, by what it is made of.

use std::collections::HashMap;
use std::sync::Arc;

use zoetrope_models::contract::VideoLanguageModel;

use crate::conversation::Projections;
use crate::generate::VisualTokens;
use crate::media_input::{EncodedMedia, MediaFeatures, MediaIdentity, MediaKey};

struct CachedMedia {
    media: Arc<EncodedMedia>,
    projections: Projections,
    used: u64,
}

impl CachedMedia {
    /// Bytes of features in memory, and of visual tokens, which become more while prompts are read.
    fn bytes(&self) -> usize {
        let features = match &self.media.features {
            MediaFeatures::Fresh(features) => features.bytes(),
            MediaFeatures::Stored(_) => 0,
        };
        features + self.projections.bytes()
    }
}

/// Encoded media, the longest unused of which goes when they take too much memory.
pub(super) struct MediaCache {
    entries: HashMap<MediaKey, CachedMedia>,
    most: usize,
    clock: u64,
}

impl MediaCache {
    /// A cache of about `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        MediaCache { entries: HashMap::new(), most, clock: 0 }
    }

    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        self.entries.values().map(CachedMedia::bytes).sum()
    }

    pub(super) fn has(&self, key: &MediaKey) -> bool {
        self.entries.contains_key(key)
    }

    pub(super) fn get(&mut self, key: &MediaKey) -> Option<Arc<EncodedMedia>> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.clock;
        Some(Arc::clone(&entry.media))
    }

    pub(super) fn insert(&mut self, key: MediaKey, media: Arc<EncodedMedia>) {
        self.clock += 1;
        self.entries.insert(key, CachedMedia { media, projections: Projections::default(), used: self.clock });
        self.shrink();
    }

    /// The visual tokens of `media`, which has `identity`, for `instruction`.
    pub(super) fn visual_tokens(
        &mut self,
        model: &Arc<dyn VideoLanguageModel>,
        identity: &MediaIdentity,
        media: &Arc<EncodedMedia>,
        instruction: Option<&str>,
    ) -> VisualTokens {
        self.shrink();
        let mut none = Projections::default();
        let projections = self.entries.get_mut(&identity.key).map_or(&mut none, |entry| &mut entry.projections);
        projections.tokens(model, identity, media, instruction).0
    }

    fn shrink(&mut self) {
        let mut bytes = self.bytes();
        while bytes > self.most {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key);
            let Some(gone) = oldest.and_then(|key| self.entries.remove(&key)) else { return };
            bytes -= gone.bytes();
        }
    }
}
