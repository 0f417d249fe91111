//! VideoChat2 (arXiv 2311.17005): UMT over all frames together, a Q-Former that hears the instruction, Vicuna, Mistral
//! or Phi-3. See README.md here.

mod bicubic;
mod config;
mod language;
mod names;
mod planning;
mod positions;
mod processor;
mod projector;
mod prompt;
mod stages;
#[cfg(test)]
mod tests;
mod tiles;
mod vision;

use std::sync::Arc;

use candle_core::Tensor;
use zoetrope_text::{BertTokenizer, TruncationSide};

use config::Config;
use processor::VideoChat2Processor;
use projector::Projector;
use vision::VisionEncoder;

use crate::checkpoint::Checkpoint;
use crate::contract::features::{Features, Patches};
use crate::contract::media_plan::{MediaKind, MediaPlan};
use crate::contract::position::Position;
use crate::contract::{Processor, VideoLanguageModel};
use crate::error::ModelResult;
use crate::family::Family;
use crate::kv::KvContext;
use crate::layers::Decoder;
use crate::weights::{ParameterGroup, Weights};

/// The family.
pub(super) const FAMILY: Family = Family {
    name: stages::NAME,
    model_types: &[stages::NAME],
    matches: Config::matches,
    implied: stages::implied,
    tables: |checkpoint| Ok(names::tables(&Config::load(checkpoint)?)),
    processor: |checkpoint| Ok(Arc::new(VideoChat2Processor::load(checkpoint)?)),
    model: |checkpoint, weights| Ok(Arc::new(VideoChat2::load(checkpoint, weights)?)),
};

/// Where the vocabulary of the Q-Former's tokenizer may lie.
const VOCABULARIES: [&str; 4] =
    ["bert-base-uncased/vocab.txt", "bert/vocab.txt", "google-bert/bert-base-uncased/vocab.txt", "vocab.txt"];

/// What the Q-Former hears where nobody says anything to it: the authors' demos.
const VIDEO_INSTRUCTION: &str = "Watch the video and answer the question.";
const IMAGE_INSTRUCTION: &str = "Observe the image and answer the question.";

/// The model.
struct VideoChat2 {
    processor: Arc<dyn Processor>,
    words: BertTokenizer,
    /// Longest instruction in tokens.
    instruction: usize,
    vision: VisionEncoder,
    projector: Projector,
    decoder: Decoder,
    weights: Weights,
}

impl VideoChat2 {
    fn load(checkpoint: &Checkpoint, weights: Weights) -> ModelResult<Self> {
        let processor = VideoChat2Processor::load(checkpoint)?;
        let words = bert(checkpoint)?;
        let config = &processor.config;
        Ok(VideoChat2 {
            words,
            instruction: config.instruction.min(config.qformer.positions),
            vision: VisionEncoder::load(&weights.group(ParameterGroup::Vision), &config.vision)?,
            projector: Projector::load(&weights.group(ParameterGroup::Projector), config)?,
            decoder: language::load(&weights.group(ParameterGroup::Language), &config.language)?,
            processor: Arc::new(processor),
            weights,
        })
    }
}

/// The tokenizer of the Q-Former.
fn bert(checkpoint: &Checkpoint) -> ModelResult<BertTokenizer> {
    for name in VOCABULARIES {
        if let Some(words) = BertTokenizer::from_files(checkpoint, name, &["[DEC]"])? {
            return Ok(words);
        }
    }
    let what = "no such file: the Q-Former's words; vocab.txt of google-bert/bert-base-uncased belongs here";
    Err(checkpoint.incomplete(VOCABULARIES[0], what))
}

impl VideoLanguageModel for VideoChat2 {
    fn processor(&self) -> &Arc<dyn Processor> {
        &self.processor
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn encode(&self, _: &MediaPlan, patches: &Patches) -> ModelResult<Features> {
        let pixels = patches.pixels.to_device(self.weights.device())?;
        let patches = Patches { pixels, units: patches.units.clone() };
        let rows = self.vision.forward(&patches, self.weights.group(ParameterGroup::Vision).dtype())?;
        Ok(Features { rows, per_unit: patches.units.iter().map(|unit| unit.patches()).collect() })
    }

    fn project(
        &self,
        plan: &MediaPlan,
        features: &Features,
        _: usize,
        instruction: Option<&str>,
    ) -> ModelResult<Tensor> {
        let of_kind = if plan.kind == MediaKind::Video { VIDEO_INSTRUCTION } else { IMAGE_INSTRUCTION };
        let words = self.words.encode(instruction.unwrap_or(of_kind), self.instruction, TruncationSide::Left)?;
        Ok(self.projector.forward(features, &words)?)
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
