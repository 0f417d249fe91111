//! What was encoded and projected, by what it is made of.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::Tensor;
use zoetrope_models::contract::VideoLanguageModel;

use crate::conversation::Projections;
use crate::error::EngineError;
use crate::generate::VisualTokens;
use crate::media_input::{EncodedMedia, MediaFeatures, MediaIdentity, MediaKey, ProjectWatch};

struct CachedMedia {
    media: Arc<EncodedMedia>,
    projections: Projections,
    bytes: usize,
    used: u64,
}

/// Encoded media, the longest unused of which goes when they take too much memory.
pub(super) struct MediaCache {
    entries: HashMap<MediaKey, CachedMedia>,
    bytes: usize,
    most: usize,
    clock: u64,
}

impl MediaCache {
    /// A cache of about `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        MediaCache { entries: HashMap::new(), bytes: 0, most, clock: 0 }
    }

    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
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
        let bytes = match &media.features {
            MediaFeatures::Fresh(features) => bytes_of(&features.rows),
            MediaFeatures::Stored(_) => 0,
        };
        self.clock += 1;
        self.bytes += bytes;
        let entry = CachedMedia { media, projections: Projections::default(), bytes, used: self.clock };
        if let Some(old) = self.entries.insert(key, entry) {
            self.bytes -= old.bytes;
        }
        self.shrink();
    }

    /// The visual tokens of `media`, which has `identity`, for `instruction`.
    pub(super) fn visual_tokens(
        &mut self,
        model: &dyn VideoLanguageModel,
        identity: &MediaIdentity,
        media: &EncodedMedia,
        instruction: Option<&str>,
        watch: &mut ProjectWatch<'_>,
    ) -> Result<VisualTokens, EngineError> {
        let Some(entry) = self.entries.get_mut(&identity.key) else {
            return Ok(Projections::default().tokens(model, identity, media, instruction, watch)?.0);
        };
        let (tokens, is_new) = entry.projections.tokens(model, identity, media, instruction, watch)?;
        if is_new {
            let bytes = bytes_of(&tokens.rows);
            entry.bytes += bytes;
            self.bytes += bytes;
            self.shrink();
        }
        Ok(tokens)
    }

    fn shrink(&mut self) {
        while self.bytes > self.most {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key);
            let Some(gone) = oldest.and_then(|key| self.entries.remove(&key)) else { return };
            self.bytes -= gone.bytes;
        }
    }
}

fn bytes_of(rows: &Tensor) -> usize {
    rows.elem_count() * rows.dtype().size_in_bytes()
}
