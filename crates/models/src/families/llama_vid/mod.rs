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
use zoetrope_text::{BertTokenizer, TruncationSide};

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
use crate::family::{Abilities, Family, Published};
use crate::kv::KvContext;
use crate::layers::Decoder;
use crate::processing::question_words;
use crate::weights::{ParameterGroup, Weights};

/// Most tokens of a question that the Q-Former hears; of a longer one its end.
const LONGEST_QUESTION: usize = 256;

/// What the published folders lack.
const WORDS: &str = "bert-base-uncased/vocab.txt of google-bert/bert-base-uncased in its folder";

const PUBLISHED: &[Published] = &[
    Published { name: "YanweiLi/llama-vid-7b-full-224", needs: WORDS },
    Published { name: "YanweiLi/llama-vid-7b-full-336", needs: WORDS },
    Published { name: "YanweiLi/llama-vid-13b-full-336", needs: WORDS },
    Published { name: "YanweiLi/llama-vid-7b-full-224-video-fps-1", needs: WORDS },
    Published { name: "YanweiLi/llama-vid-13b-full-224-video-fps-1", needs: WORDS },
    Published { name: "YanweiLi/llama-vid-7b-full-224-long-video", needs: WORDS },
];

/// The family.
pub(super) const FAMILY: Family = Family {
    name: config::NAME,
    abilities: Abilities {
        images: true,
        several: true,
        video: true,
        frames: "1 a second",
        sampling: "1 a second, uncapped",
        tokens: "frame 2 (5 with grid:2), picture 257 or 577 (image models)",
        context: "4096, 65536",
        times: "none; subtitles",
    },
    published: PUBLISHED,
    implied: |_| Ok(None),
    // Published checkpoints say `llava`, as other models' do; their class tells them apart.
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
    words: BertTokenizer,
    vision: VisionEncoder,
    projector: Projector,
    decoder: Decoder,
    weights: Weights,
}

impl LlamaVid {
    fn load(checkpoint: &Checkpoint, weights: Weights) -> ModelResult<Self> {
        let processor = LlamaVidProcessor::load(checkpoint)?;
        let config = processor.config.clone();
        let words = question_words(checkpoint, config.qformer.vocabulary)?;
        let group = |group: ParameterGroup| weights.group(group);
        let vision = VisionEncoder::load(&group(ParameterGroup::Vision).sub(names::VISION), &config.vision)?;
        let projector = Projector::load(&group(ParameterGroup::Projector).sub("model"), &config)?;
        let decoder = language::load(&group(ParameterGroup::Language), &config.language)?;
        Ok(LlamaVid { processor: Arc::new(processor), config, words, vision, projector, decoder, weights })
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
        let words = self.words.encode(instruction.unwrap_or_default(), LONGEST_QUESTION, TruncationSide::Left)?;
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
