//! What tells media apart: what it is made of, and how it is shown.

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use zoetrope_models::contract::media_plan::MediaPlan;

use super::source::ContentDigest;

/// Digest of what media is made of and of how it is shown: equal keys mean equal features.
pub(crate) type MediaKey = [u8; 32];

/// A key, and how long it is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MediaIdentity {
    pub(crate) key: MediaKey,
    /// Whether the key means the same in another process: that of media whose content is not known does not.
    pub(crate) is_lasting: bool,
}

impl MediaIdentity {
    /// The identity of media of this content under `plan`; that of unknown content is like no other.
    pub(crate) fn new(content: Option<&ContentDigest>, plan: &MediaPlan) -> Self {
        let Some(content) = content else { return Self::of_unknown() };
        let digest = Sha256::new_with_prefix([1]).chain_update(content);
        MediaIdentity { key: digest.chain_update(format!("{plan:?}")).finalize().into(), is_lasting: true }
    }

    /// An identity like no other.
    pub(crate) fn of_unknown() -> Self {
        static UNKNOWN: AtomicU64 = AtomicU64::new(0);
        let number = UNKNOWN.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        MediaIdentity { key: Sha256::new_with_prefix([0]).chain_update(number).finalize().into(), is_lasting: false }
    }

    /// The key of the visual tokens of this media for `instruction`.
    pub(crate) fn token_key(&self, instruction: Option<&str>) -> u128 {
        let digest = Sha256::new_with_prefix(self.key).chain_update([u8::from(instruction.is_some())]);
        let digest = digest.chain_update(instruction.unwrap_or_default()).finalize();
        digest.iter().take(16).fold(0, |number, &byte| number << 8 | u128::from(byte))
    }
}
