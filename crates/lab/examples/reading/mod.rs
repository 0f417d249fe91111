//! A text that a language part reads with a KV cache, for the examples.

use candle_core::Tensor;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::position::Position;
use zoetrope_models::error::ModelResult;
use zoetrope_models::kv::{BLOCK, KvCache, KvContext, SequenceRun};

/// Tokens that are read at once.
const ROWS: usize = 256;

/// A text that grows.
pub(crate) struct Text<'a> {
    model: &'a dyn VideoLanguageModel,
    cache: KvCache,
    blocks: Vec<u32>,
    past: usize,
}

impl<'a> Text<'a> {
    /// An empty text of at most `most` tokens.
    pub(crate) fn new(model: &'a dyn VideoLanguageModel, most: usize) -> ModelResult<Self> {
        let blocks: Vec<u32> = (0..most.div_ceil(BLOCK) as u32).collect();
        let (kv, weights) = (model.processor().info().kv, model.weights());
        let cache = KvCache::new(kv, blocks.len(), weights.kv_dtype(), weights.device())?;
        Ok(Text { model, cache, blocks, past: 0 })
    }

    /// Logits after each of `ids`, which follow what was read before, `[ROWS, W]` at a time.
    pub(crate) fn read(&mut self, ids: &[u32]) -> ModelResult<Vec<Tensor>> {
        let mut all = Vec::new();
        for ids in ids.chunks(ROWS) {
            let (past, new) = (self.past, ids.len());
            let positions: Vec<Position> = (past..past + new).map(|id| Position::text(id as u32)).collect();
            let runs = [SequenceRun { past, new, blocks: &self.blocks }];
            let mut context = KvContext::Paged { cache: &mut self.cache, runs: &runs };
            let rows: Vec<usize> = (0..new).collect();
            all.push(self.model.forward(&self.model.embed_tokens(ids)?, &positions, &mut context, &rows)?);
            self.past += new;
        }
        Ok(all)
    }
}
