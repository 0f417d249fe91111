//! VideoChat2 (arXiv 2311.17005): UMT over all frames together, a Q-Former that hears the instruction, Vicuna, Mistral
//! or Phi-3. See README.md here.

mod alignment;
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

use alignment::QueryAligner;
use config::Config;
use processor::VideoChat2Processor;
use projector::Projector;
use vision::VisionEncoder;

use crate::checkpoint::Checkpoint;
use crate::contract::alignment::Aligner;
use crate::contract::features::{Features, Patches};
use crate::contract::media_plan::{MediaKind, MediaPlan};
use crate::contract::position::Position;
use crate::contract::{Processor, VideoLanguageModel};
use crate::error::ModelResult;
use crate::family::{Abilities, Family, Published};
use crate::kv::KvContext;
use crate::layers::Decoder;
use crate::processing::question_words;
use crate::weights::{ParameterGroup, Weights};

/// The family.
pub(super) const FAMILY: Family = Family {
    name: stages::NAME,
    abilities: Abilities {
        images: true,
        several: true,
        video: true,
        frames: "16",
        sampling: "evenly, the middle of each part",
        tokens: "96 for a picture or a whole clip (96 more for each tile of HD)",
        context: "2048, 32768, 4096",
        times: "one sentence for all frames",
    },
    published: PUBLISHED,
    model_types: &[stages::NAME],
    matches: Config::matches,
    implied: stages::implied,
    tables: |checkpoint| Ok(names::tables(&Config::load(checkpoint)?)),
    processor: |checkpoint| Ok(Arc::new(VideoChat2Processor::load(checkpoint)?)),
    model: |checkpoint, weights| Ok(Arc::new(VideoChat2::load(checkpoint, weights)?)),
};

/// What stage files lack.
const VICUNA: &str = "umt_l16_qformer.pth of OpenGVLab/videochat beside it, bert-base-uncased/vocab.txt of \
                      google-bert/bert-base-uncased, and --base Vicuna-7B-v0";
const MISTRAL: &str = "umt_l16_qformer.pth of OpenGVLab/videochat beside it, bert-base-uncased/vocab.txt of \
                       google-bert/bert-base-uncased, and --base mistralai/Mistral-7B-Instruct-v0.2";
const PHI: &str = "umt_l16_qformer.pth of OpenGVLab/videochat beside it, bert-base-uncased/vocab.txt of \
                   google-bert/bert-base-uncased, and --base microsoft/Phi-3-mini-128k-instruct";

const PUBLISHED: &[Published] = &[
    Published { name: "OpenGVLab/videochat (videochat2_7b_stage3.pth)", needs: VICUNA },
    Published { name: "OpenGVLab/VideoChat2_stage3_Mistral_7B (videochat2_mistral_7b_stage3.pth)", needs: MISTRAL },
    Published { name: "OpenGVLab/VideoChat2_stage3_Phi3 (videochat2_phi3_stage3.pth)", needs: PHI },
    Published {
        name: "OpenGVLab/VideoChat2_HD_stage4_Mistral_7B (videochat2_hd_mistral_7b_stage4.pth)",
        needs: MISTRAL,
    },
    Published {
        name: "OpenGVLab/VideoChat2_HD_stage4_Mistral_7B_hf",
        needs: "bert-base-uncased/vocab.txt of google-bert/bert-base-uncased",
    },
];

/// What the Q-Former hears where nobody says anything to it: the authors' demos.
const VIDEO_INSTRUCTION: &str = "Watch the video and answer the question.";
const IMAGE_INSTRUCTION: &str = "Observe the image and answer the question.";

/// The model.
struct VideoChat2 {
    config: Config,
    processor: Arc<dyn Processor>,
    words: BertTokenizer,
    /// Longest instruction in tokens.
    instruction: usize,
    vision: Arc<VisionEncoder>,
    projector: Arc<Projector>,
    decoder: Decoder,
    weights: Weights,
}

impl VideoChat2 {
    fn load(checkpoint: &Checkpoint, weights: Weights) -> ModelResult<Self> {
        let processor = VideoChat2Processor::load(checkpoint)?;
        let words = question_words(checkpoint, processor.config.qformer.vocabulary)?;
        let config = &processor.config;
        Ok(VideoChat2 {
            words,
            instruction: config.instruction.min(config.qformer.positions),
            vision: Arc::new(VisionEncoder::load(&weights.group(ParameterGroup::Vision), &config.vision)?),
            projector: Arc::new(Projector::load(&weights.group(ParameterGroup::Projector), config)?),
            decoder: language::load(&weights.group(ParameterGroup::Language), &config.language)?,
            config: config.clone(),
            processor: Arc::new(processor),
            weights,
        })
    }
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
        let words = match planning::hears_words(plan) {
            true => self.words.encode(instruction.unwrap_or(of_kind), self.instruction, TruncationSide::Left)?,
            false => Vec::new(),
        };
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

    fn aligner(&self, seed: Option<u64>) -> ModelResult<Option<Box<dyn Aligner>>> {
        if seed.is_none() && !QueryAligner::is_in(&self.weights) {
            return Ok(None);
        }
        let parts = (Arc::clone(&self.vision), Arc::clone(&self.projector), self.words.clone());
        Ok(Some(Box::new(QueryAligner::load(&self.weights, seed, &self.config, parts)?)))
    }
}
