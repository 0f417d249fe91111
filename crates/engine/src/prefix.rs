//! Keys and values of a conversation, kept between turns for the part of the prompt that stays the same.

use zoetrope_models::contract::{Prompt, VideoLanguageModel};
use zoetrope_models::parts::cache::KvCache;

use crate::error::EngineError;

/// What stands at one position of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// A token of text.
    Text(u32),
    /// The n-th visual token of the conversation, from 0. Visual tokens of a conversation are only ever added.
    Visual(usize),
}

/// The positions of a prompt in order.
pub(crate) fn positions(prompt: &Prompt) -> Vec<Position> {
    let mut positions: Vec<Position> = prompt.ids.iter().map(|&id| Position::Text(id)).collect();
    for (n, &at) in prompt.visual.iter().enumerate() {
        positions[at] = Position::Visual(n);
    }
    positions
}

/// A cache that knows what its rows stand for.
#[derive(Debug)]
pub(crate) struct Prefix {
    pub(crate) cache: KvCache,
    held: Vec<Position>,
}

impl Prefix {
    /// An empty one with room for `capacity` positions.
    pub(crate) fn new(model: &dyn VideoLanguageModel, capacity: usize) -> Result<Self, EngineError> {
        Ok(Prefix { cache: model.new_cache(capacity)?, held: Vec::new() })
    }

    /// Forgets what differs from `wanted` and makes room for `capacity` positions. Returns how many rows stay: the
    /// common start, and never all of `wanted`, because the last position must be computed for its logits.
    pub(crate) fn reuse(&mut self, wanted: &[Position], capacity: usize) -> Result<usize, EngineError> {
        let common = self.held.iter().zip(wanted).take_while(|(held, wanted)| held == wanted).count();
        let kept = common.min(wanted.len().saturating_sub(1)).min(self.cache.len());
        self.held.truncate(kept);
        self.cache.truncate(kept);
        if self.cache.capacity() < capacity {
            self.cache.grow(capacity)?;
        }
        Ok(kept)
    }

    /// Notes what the rows that the model has just added stand for.
    pub(crate) fn extend(&mut self, new: &[Position]) {
        self.held.extend_from_slice(new);
    }
}
