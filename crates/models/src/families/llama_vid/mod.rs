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
use crate::family::Family;
use crate::kv::KvContext;
use crate::layers::Decoder;
use crate::weights::{ParameterGroup, Weights};

/// Where the words of the Q-Former lie. The published folders have none, because the authors' code gets them from
/// `bert-base-uncased`.
const VOCABULARIES: [&str; 2] = ["bert-base-uncased/vocab.txt", "vocab.txt"];

/// Most tokens of a question that the Q-Former hears; of a longer one its end.
const LONGEST_QUESTION: usize = 256;

/// The family.
pub(super) const FAMILY: Family = Family {
    name: config::NAME,
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
        let words = words(checkpoint, &config)?;
        let group = |group: ParameterGroup| weights.group(group);
        let vision = VisionEncoder::load(&group(ParameterGroup::Vision).sub(names::VISION), &config.vision)?;
        let projector = Projector::load(&group(ParameterGroup::Projector).sub("model"), &config)?;
        let decoder = language::load(&group(ParameterGroup::Language), &config.language)?;
        Ok(LlamaVid { processor: Arc::new(processor), config, words, vision, projector, decoder, weights })
    }
}

/// The Q-Former's tokenizer, which has one token more than BERT's.
fn words(checkpoint: &Checkpoint, config: &Config) -> ModelResult<BertTokenizer> {
    for name in VOCABULARIES {
        let Some(words) = BertTokenizer::from_files(checkpoint, name, &["[DEC]"])? else { continue };
        let (has, wants) = (words.vocab_size(), config.qformer.vocabulary);
        if has != wants {
            let text = format!("{has} tokens with [DEC], the Q-Former has {wants}: it is another vocabulary");
            return Err(checkpoint.error(name, text));
        }
        return Ok(words);
    }
    let text = "missing: the words of the Q-Former. Copy vocab.txt of bert-base-uncased there";
    Err(checkpoint.incomplete(VOCABULARIES[0], text))
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
