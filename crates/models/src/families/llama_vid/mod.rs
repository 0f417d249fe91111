//! LLaMA-VID (arXiv 2311.17043): a frame is two tokens, one of which depends on the question. See README.md here.

mod config;
mod frame_sampling;
mod language;
mod names;
mod planning;
mod positions;
mod processor;
mod projector;
mod prompt;
#[cfg(test)]
mod tests;
mod vision;

use std::sync::Arc;

use candle_core::Tensor;

use config::Config;
use planning::OFF;
use processor::LlamaVidProcessor;
use projector::{Projection, Projector};
use vision::VisionEncoder;

use crate::checkpoint::Checkpoint;
use crate::contract::features::{Features, Patches};
use crate::contract::media_plan::MediaPlan;
use crate::contract::position::Position;
use crate::contract::{Processor, VideoLanguageModel};
use crate::error::ModelResult;
use crate::family::Family;
use crate::kv::KvContext;
use crate::layers::Decoder;
use crate::weights::{ParameterGroup, Weights};

/// The family.
pub(super) const FAMILY: Family = Family {
    name: config::NAME,
    // That of published checkpoints is `llava`, as other models' is; their class tells them apart.
    model_types: &["llava with bert_type"],
    matches: Config::matches,
    tables: names::tables,
    processor: |checkpoint| Ok(Arc::new(LlamaVidProcessor::load(checkpoint)?)),
    model: |checkpoint, weights| Ok(Arc::new(LlamaVid::load(checkpoint, weights)?)),
};

/// The model.
struct LlamaVid {
    processor: Arc<dyn Processor>,
    config: Config,
    vision: VisionEncoder,
    projector: Projector,
    decoder: Decoder,
    weights: Weights,
}

impl LlamaVid {
    fn load(checkpoint: &Checkpoint, weights: Weights) -> ModelResult<Self> {
        let processor = LlamaVidProcessor::load(checkpoint)?;
        let config = processor.config.clone();
        let group = |group: ParameterGroup| weights.group(group);
        let vision = VisionEncoder::load(&group(ParameterGroup::Vision).sub(names::VISION), &config.vision)?;
        let projector = Projector::load(&group(ParameterGroup::Projector).sub("model"), &config)?;
        let decoder = language::load(&group(ParameterGroup::Language), &config.language)?;
        Ok(LlamaVid { processor: Arc::new(processor), config, vision, projector, decoder, weights })
    }
}

impl VideoLanguageModel for LlamaVid {
    fn processor(&self) -> &Arc<dyn Processor> {
        &self.processor
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn encode(&self, _: &MediaPlan, patches: &Patches) -> ModelResult<Features> {
        let rows = self.vision.forward(patches)?;
        Ok(Features { rows, per_unit: vec![self.config.vision.rows(); patches.units.len()] })
    }

    fn project(
        &self,
        plan: &MediaPlan,
        features: &Features,
        _: usize,
        instruction: Option<&str>,
    ) -> ModelResult<Tensor> {
        let words: Vec<u32> = { let _ = instruction; vec![0] };
        let sees_class = planning::film(plan) == OFF;
        let how = Projection { words: &words, sees_class, pool: planning::pool(&self.config, plan) };
        self.projector.forward(features, how)
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
