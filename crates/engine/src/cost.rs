//! What a request will cost, from its plan alone.

use serde::Serialize;
use zoetrope_models::contract::{MediaKind, ModelInfo, Plan, Prompt, VideoLanguageModel};

use crate::answer::TokenCounts;
use crate::vision::frames_per_chunk;

/// Bytes that a request takes at its peak beside the weights, by purpose. Activations inside the model are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Decoded frames waiting for the encoder.
    pub frames: usize,
    /// Patches of the largest run of frames that is encoded at once.
    pub patches: usize,
    /// Visual tokens before pruning.
    pub visual_tokens: usize,
    /// Keys and values of prompt and answer.
    pub cache: usize,
    /// The sum.
    pub total: usize,
}

impl Cost {
    /// The cost of `plan` with `positions` tokens of prompt and answer. `value_bytes` is the size of one activation.
    pub fn of(plan: &Plan, info: &ModelInfo, positions: usize, value_bytes: usize) -> Self {
        let (mut frames, mut patches) = (0, 0);
        for item in &plan.items {
            let together = frames_per_chunk(item).min(item.frames.len());
            let pixels = item.source.0 as usize * item.source.1 as usize;
            frames = frames.max(together * pixels * 3);
            patches = patches.max(together * item.grid.0 * item.grid.1 * info.patch_values * size_of::<f32>());
        }
        let tokens: usize = plan.items.iter().map(|item| item.tokens()).sum();
        let visual_tokens = tokens * info.hidden * value_bytes;
        let cache = positions * info.cache_bytes_per_token;
        Cost { frames, patches, visual_tokens, cache, total: frames + patches + visual_tokens + cache }
    }
}

/// What a request would show the model and take, without running it.
#[derive(Clone, Debug, Serialize)]
pub struct DryRun {
    /// The media, as the caller named them.
    pub names: Vec<String>,
    /// Which frames at which size.
    pub plan: Plan,
    /// Visual tokens of every frame of every item: survivors of pruning when `pruned`, all otherwise.
    pub kept: Vec<Vec<usize>>,
    /// Whether frames were decoded to find the survivors.
    pub pruned: bool,
    /// Tokens of the prompt by modality.
    pub tokens: TokenCounts,
    /// Bytes of memory beside the weights.
    pub memory: Cost,
}

impl DryRun {
    pub(crate) fn new(
        model: &dyn VideoLanguageModel,
        names: Vec<String>,
        plan: Plan,
        kept: Vec<Vec<usize>>,
        prompt: &Prompt,
        answer_tokens: usize,
        pruned: bool,
    ) -> Self {
        let of = |kind: MediaKind| -> usize {
            let items = plan.items.iter().zip(&kept).filter(|(item, _)| item.kind == kind);
            items.flat_map(|(_, kept)| kept).sum()
        };
        let tokens = TokenCounts {
            text: prompt.ids.len() - prompt.visual.len(),
            image: of(MediaKind::Image),
            video: of(MediaKind::Video),
            prompt: prompt.ids.len(),
            ..TokenCounts::default()
        };
        let positions = prompt.ids.len() + answer_tokens;
        let memory = Cost::of(&plan, &model.info(), positions, model.dtype().size_in_bytes());
        DryRun { names, plan, kept, pruned, tokens, memory }
    }
}
