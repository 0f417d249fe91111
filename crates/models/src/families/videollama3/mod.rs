//! VideoLLaMA3 (arXiv 2501.13106): any-resolution vision tokens, DiffFP pruning, Qwen2 decoder. See README.md here.

mod config;
mod diff_fp;
mod frame_sampling;
mod geometry;
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
use processor::VideoLlama3Processor;
use projector::Projector;
use vision::{VisionEncoder, merge_tokens};

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
        several: true,
        video: true,
        frames: "at most 180",
        sampling: "1 a second; evenly where that is more",
        tokens: "by size: picture 1 per 14x14 pixels, frame a quarter of that, less what pruning drops",
        context: "32768",
        times: "before each frame",
    },
    published: &[
        Published { name: "DAMO-NLP-SG/VideoLLaMA3-2B", needs: "" },
        Published { name: "DAMO-NLP-SG/VideoLLaMA3-7B", needs: "" },
        Published { name: "DAMO-NLP-SG/VideoLLaMA3-2B-Image", needs: "" },
        Published { name: "DAMO-NLP-SG/VideoLLaMA3-7B-Image", needs: "" },
    ],
    model_types: &["video_llama_3", "videollama3_qwen2"],
    matches: Config::matches,
    implied: |_| Ok(None),
    tables: |_| Ok(names::tables()),
    processor: |checkpoint| Ok(Arc::new(VideoLlama3Processor::load(checkpoint)?)),
    model: |checkpoint, weights| Ok(Arc::new(VideoLlama3::load(checkpoint, weights)?)),
};

/// The model.
struct VideoLlama3 {
    processor: Arc<dyn Processor>,
    vision: VisionEncoder,
    projector: Projector,
    decoder: Decoder,
    weights: Weights,
}

impl VideoLlama3 {
    fn load(checkpoint: &Checkpoint, weights: Weights) -> ModelResult<Self> {
        let processor = VideoLlama3Processor::load(checkpoint)?;
        let config = &processor.config;
        let vision =
            VisionEncoder::load(&weights.group(ParameterGroup::Vision).sub("model.vision_model"), &config.vision)?;
        let projector_weights = weights.group(ParameterGroup::Projector).sub("model.projector");
        let projector = Projector::load(&projector_weights, config.vision.hidden, config.language.hidden)?;
        let decoder = language::load(&weights.group(ParameterGroup::Language), &config.language)?;
        Ok(VideoLlama3 { processor: Arc::new(processor), vision, projector, decoder, weights })
    }

    /// Encoder features of every patch that the encoder sees, `[N, vision width]`, before merging and pruning.
    fn encode_patches(&self, plan: &MediaPlan, patches: &Patches) -> ModelResult<Tensor> {
        let pixels = patches.pixels.to_device(self.weights.device())?;
        let patches = Patches { pixels, units: patches.units.clone() };
        let dtype = self.weights.group(ParameterGroup::Vision).dtype();
        Ok(self.vision.forward(&patches, planning::merge(plan), planning::encodes_kept(plan), dtype)?)
    }
}

impl VideoLanguageModel for VideoLlama3 {
    fn processor(&self) -> &Arc<dyn Processor> {
        &self.processor
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn encode(&self, plan: &MediaPlan, patches: &Patches) -> ModelResult<Features> {
        let merge = planning::merge(plan);
        let rows = merge_tokens(&self.encode_patches(plan, patches)?, merge)?;
        let (mut kept, mut first, mut per_unit) = (Vec::new(), 0, Vec::new());
        for unit in &patches.units {
            let n = unit.patches() / (merge * merge);
            let before = kept.len();
            match &unit.keep {
                Some(keep) => kept.extend((0..n).filter(|&i| keep[i]).map(|i| (first + i) as u32)),
                None => kept.extend((0..n).map(|i| (first + i) as u32)),
            }
            per_unit.push(kept.len() - before);
            first += n;
        }
        // All of them are kept, or the encoder saw no others.
        let rows = match kept.len() == rows.dim(0)? {
            true => rows,
            false => rows.index_select(&Tensor::from_slice(&kept, kept.len(), rows.device())?, 0)?,
        };
        Ok(Features { rows, per_unit })
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
