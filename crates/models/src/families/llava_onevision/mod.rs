//! LLaVA-OneVision (arXiv 2408.03326): SigLIP, AnyRes tiles with newlines, pooled videos, Qwen2 decoder. See README.md
//! here.

mod config;
mod geometry;
mod language;
mod names;
mod pinpoints;
mod planning;
mod processor;
mod projector;
mod prompt;
#[cfg(test)]
mod tests;
mod vision;

use std::sync::Arc;

use candle_core::Tensor;

use config::Config;
use processor::OneVisionProcessor;
use projector::Projector;
use vision::VisionEncoder;

use crate::checkpoint::Checkpoint;
use crate::contract::features::{Features, Patches};
use crate::contract::media_plan::{MediaKind, MediaPlan};
use crate::contract::position::Position;
use crate::contract::{Processor, VideoLanguageModel};
use crate::error::ModelResult;
use crate::family::{Abilities, Family, Published};
use crate::kv::KvContext;
use crate::layers::Decoder;
use crate::weights::{ParameterGroup, Weights};

const PUBLISHED: &[Published] = &[
    Published { name: "lmms-lab/llava-onevision-qwen2-0.5b-si", needs: "" },
    Published { name: "lmms-lab/llava-onevision-qwen2-0.5b-ov", needs: "" },
    Published { name: "lmms-lab/llava-onevision-qwen2-7b-si", needs: "" },
    Published { name: "lmms-lab/llava-onevision-qwen2-7b-ov", needs: "" },
    Published { name: "lmms-lab/llava-onevision-qwen2-7b-ov-chat", needs: "" },
    Published { name: "lmms-lab/llava-onevision-qwen2-72b-si", needs: "" },
    Published { name: "lmms-lab/llava-onevision-qwen2-72b-ov-sft", needs: "" },
    Published { name: "lmms-lab/llava-onevision-qwen2-72b-ov-chat", needs: "" },
    Published { name: "llava-hf/llava-onevision-qwen2-0.5b-si-hf", needs: "" },
    Published { name: "llava-hf/llava-onevision-qwen2-0.5b-ov-hf", needs: "" },
    Published { name: "llava-hf/llava-onevision-qwen2-7b-si-hf", needs: "" },
    Published { name: "llava-hf/llava-onevision-qwen2-7b-ov-hf", needs: "" },
    Published { name: "llava-hf/llava-onevision-qwen2-7b-ov-chat-hf", needs: "" },
    Published { name: "llava-hf/llava-onevision-qwen2-72b-si-hf", needs: "" },
    Published { name: "llava-hf/llava-onevision-qwen2-72b-ov-hf", needs: "" },
    Published { name: "llava-hf/llava-onevision-qwen2-72b-ov-chat-hf", needs: "" },
];

/// The family.
pub(super) const FAMILY: Family = Family {
    name: config::NAME,
    abilities: Abilities {
        images: true,
        several: true,
        video: true,
        frames: "32",
        sampling: "evenly from the first to the last; by rate (setting)",
        tokens: "picture 729 and 729 for each of up to 9 tiles, several pictures 729 each, frame 196",
        context: "32768",
        times: "none",
    },
    published: PUBLISHED,
    implied: |_| Ok(None),
    model_types: &["llava_onevision", "llava (LlavaQwenForCausalLM)"],
    matches: Config::matches,
    tables: |_| Ok(names::tables()),
    processor: |checkpoint| Ok(Arc::new(OneVisionProcessor::load(checkpoint)?)),
    model: |checkpoint, weights| Ok(Arc::new(OneVision::load(checkpoint, weights)?)),
};

/// The model.
struct OneVision {
    processor: Arc<dyn Processor>,
    config: Config,
    vision: VisionEncoder,
    projector: Projector,
    decoder: Decoder,
    weights: Weights,
}

impl OneVision {
    fn load(checkpoint: &Checkpoint, weights: Weights) -> ModelResult<Self> {
        let processor = OneVisionProcessor::load(checkpoint)?;
        let config = processor.config.clone();
        let vision_weights = weights.group(ParameterGroup::Vision).sub("model.vision_tower");
        let vision = VisionEncoder::load(&vision_weights, &config.vision)?;
        let projector = Projector::load(&weights, &config)?;
        let decoder = language::load(&weights.group(ParameterGroup::Language), &config.language)?;
        Ok(OneVision { processor: Arc::new(processor), config, vision, projector, decoder, weights })
    }
}

impl VideoLanguageModel for OneVision {
    fn processor(&self) -> &Arc<dyn Processor> {
        &self.processor
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn encode(&self, _: &MediaPlan, patches: &Patches) -> ModelResult<Features> {
        let per_unit = patches.units.iter().map(|unit| unit.patches()).collect();
        Ok(Features { rows: self.vision.forward(patches)?, per_unit })
    }

    fn project(
        &self,
        plan: &MediaPlan,
        features: &Features,
        first_unit: usize,
        _: Option<&str>,
    ) -> ModelResult<Tensor> {
        let (c, x_ne) = (&self.config, &features.rows);
        let side = c.vision.side();
        Ok(match (plan.kind, planning::tiles(c, plan)) {
            (MediaKind::Image, Some((tiles, grid))) => self.projector.tiles(x_ne, side, tiles, &grid)?,
            (MediaKind::Image, None) => self.projector.one_view(x_ne)?,
            (MediaKind::Video, _) => {
                let ends = first_unit + features.per_unit.len() == plan.units();
                self.projector.frames(x_ne, side, c.vision.pooled(), c.newline, ends)?
            }
        })
    }

    fn embed_tokens(&self, ids: &[u32]) -> ModelResult<Tensor> {
        Ok(self.decoder.embed_tokens(ids)?)
    }

    fn forward(
        &self,
        x_td: &Tensor,
        positions: &[Position],
        context: &mut KvContext<'_>,
        rows: &[usize],
    ) -> ModelResult<Tensor> {
        Ok(self.decoder.forward(x_td, positions, context, rows)?)
    }
}
