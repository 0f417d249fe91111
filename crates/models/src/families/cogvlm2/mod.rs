//! CogVLM2 (arXiv 2408.16500): CogVLM2-Video, and the picture model with experts for visual tokens. See README.md here.

mod bilinear;
mod config;
mod frame_sampling;
mod language;
mod names;
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
use processor::CogVlm2Processor;
use projector::Projector;
use vision::VisionEncoder;

use crate::checkpoint::Checkpoint;
use crate::contract::features::{Features, Patches};
use crate::contract::media_plan::MediaPlan;
use crate::contract::position::Position;
use crate::contract::{Processor, VideoLanguageModel};
use crate::error::ModelResult;
use crate::family::{Abilities, Family, Published};
use crate::kv::KvContext;
use crate::layers::Decoder;
use crate::weights::{ParameterGroup, Weights};

/// The family.
pub(super) const FAMILY: Family = Family {
    name: config::NAME,
    abilities: Abilities {
        images: true,
        several: false,
        video: true,
        frames: "24",
        sampling: "one a second of the first 24 (chat), evenly (base, caption; setting)",
        tokens: "frame 66, picture 2306 (image model) or 66",
        context: "2048, 8192",
        times: "before each frame",
    },
    published: &[
        Published { name: "zai-org/cogvlm2-video-llama3-chat", needs: "" },
        Published { name: "zai-org/cogvlm2-video-llama3-base", needs: "" },
        Published { name: "zai-org/cogvlm2-llama3-caption", needs: "" },
        Published { name: "zai-org/cogvlm2-llama3-chat-19B", needs: "" },
        Published { name: "zai-org/cogvlm2-llama3-chinese-chat-19B", needs: "" },
    ],
    implied: |_| Ok(None),
    model_types: &config::ARCHITECTURES,
    matches: Config::matches,
    tables: names::tables,
    processor: |checkpoint| Ok(Arc::new(CogVlm2Processor::load(checkpoint)?)),
    model: |checkpoint, weights| Ok(Arc::new(CogVlm2::load(checkpoint, weights)?)),
};

/// The model.
struct CogVlm2 {
    processor: Arc<dyn Processor>,
    vision: VisionEncoder,
    projector: Projector,
    decoder: Decoder,
    weights: Weights,
}

impl CogVlm2 {
    fn load(checkpoint: &Checkpoint, weights: Weights) -> ModelResult<Self> {
        let processor = CogVlm2Processor::load(checkpoint)?;
        let config = &processor.config;
        let below = |group: ParameterGroup| weights.group(group).sub("model.vision");
        let vision = VisionEncoder::load(&below(ParameterGroup::Vision), &config.vision)?;
        let projector = Projector::load(&below(ParameterGroup::Projector), config)?;
        let decoder = language::load(&weights.group(ParameterGroup::Language), &config.language)?;
        Ok(CogVlm2 { processor: Arc::new(processor), vision, projector, decoder, weights })
    }
}

impl VideoLanguageModel for CogVlm2 {
    fn processor(&self) -> &Arc<dyn Processor> {
        &self.processor
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn encode(&self, _: &MediaPlan, patches: &Patches) -> ModelResult<Features> {
        self.vision.forward(patches)
    }

    fn project(&self, _: &MediaPlan, features: &Features, _: usize, _: Option<&str>) -> ModelResult<Tensor> {
        Ok(self.projector.forward(&features.rows)?)
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
