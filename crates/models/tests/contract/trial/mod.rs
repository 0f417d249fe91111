//! A family that lives in this test alone: small, and a model to copy from. It uses what the contract offers and no
//! single published family needs: views of a picture, joint units, a projector that hears the question, positions and
//! experts of its own, captions, settings of every type, text that ends a reply, and fused tensors.

pub(crate) mod checkpoint;
mod config;
mod language;
mod names;
mod planning;
mod processor;
mod projector;
mod prompt;
mod vision;

use std::sync::Arc;

use candle_core::Tensor;
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::contract::features::{Features, Patches};
use zoetrope_models::contract::media_plan::MediaPlan;
use zoetrope_models::contract::position::Position;
use zoetrope_models::contract::{Processor, VideoLanguageModel};
use zoetrope_models::error::ModelResult;
use zoetrope_models::family::{Abilities, Family};
use zoetrope_models::kv::KvContext;
use zoetrope_models::layers::Decoder;
use zoetrope_models::weights::{ParameterGroup, Weights};

use config::Config;
use processor::TrialProcessor;
use projector::Projector;
use vision::VisionEncoder;

/// The family's name.
const NAME: &str = "trial";

/// The family.
pub(crate) const FAMILY: Family = Family {
    name: NAME,
    abilities: Abilities {
        images: true,
        several: true,
        video: true,
        frames: "a few",
        sampling: "evenly",
        tokens: "some",
        context: "512",
        times: "none",
    },
    published: &[],
    model_types: &["trial"],
    matches: Config::matches,
    implied: |_| Ok(None),
    tables: names::tables,
    processor: |checkpoint| Ok(Arc::new(TrialProcessor::load(checkpoint)?)),
    model: |checkpoint, weights| Ok(Arc::new(Trial::load(checkpoint, weights)?)),
};

/// The model.
struct Trial {
    processor: Arc<dyn Processor>,
    vision: VisionEncoder,
    projector: Projector,
    decoder: Decoder,
    weights: Weights,
}

impl Trial {
    fn load(checkpoint: &Checkpoint, weights: Weights) -> ModelResult<Self> {
        let processor = TrialProcessor::load(checkpoint)?;
        let config = &processor.config;
        let group = |group: ParameterGroup| weights.group(group).sub(group.name());
        let vision = VisionEncoder::load(&group(ParameterGroup::Vision), &config.vision)?;
        let projector = Projector::load(&group(ParameterGroup::Projector), config)?;
        let decoder = language::load(&group(ParameterGroup::Language), &config.language)?;
        Ok(Trial { processor: Arc::new(processor), vision, projector, decoder, weights })
    }

    /// The mean of the embedded instruction, `[1, D]`.
    fn hear(&self, instruction: &str) -> ModelResult<Option<Tensor>> {
        let ids = self.processor.tokenizer().encode_ordinary(instruction)?;
        match ids.is_empty() {
            true => Ok(None),
            false => Ok(Some(self.decoder.embed_tokens(&ids)?.mean_keepdim(0)?)),
        }
    }
}

impl VideoLanguageModel for Trial {
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
        _: usize,
        instruction: Option<&str>,
    ) -> ModelResult<Tensor> {
        let instruction_d = instruction.map(|text| self.hear(text)).transpose()?.flatten();
        Ok(self.projector.forward(features, planning::merge(plan), instruction_d.as_ref())?)
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
