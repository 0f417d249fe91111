//! VideoLLaMA3 (arXiv 2501.13106): any-resolution vision tokens, DiffFP pruning, Qwen2 decoder. See README.md here.

mod config;
mod geometry;
mod language;
mod names;
mod processor;
mod prompt;
mod sampling;
#[cfg(test)]
mod tests;
mod vision;

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use zoetrope_kernels::packed::Kind;
use zoetrope_media::{Frame, Rgb};
use zoetrope_text::{ChatTemplate, Tokenizer};

pub use config::{Config, Convention, LanguageConfig, PixelRange, ProcessorConfig, VisionConfig};
use language::LanguageModel;
use names::Layout;
use prompt::PromptWriter;
use vision::{Projector, VisionEncoder, merge_tokens};

use crate::contract::{
    Carry, ItemPlan, Message, ModelInfo, Patches, Plan, PlanOptions, Prompt, SamplingDefaults, Source,
    VideoLanguageModel, VisualTokens,
};
use crate::error::ModelError;
use crate::parts::cache::{KvCache, Memory};
use crate::parts::precision::Dtypes;
use crate::parts::weights::Weights;

/// The model with its tokenizer and processor.
pub struct VideoLlama3 {
    config: Config,
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    vision: VisionEncoder,
    projector: Projector,
    language: LanguageModel,
    stop: Vec<u32>,
    layout: &'static str,
    weights: Weights,
}

impl VideoLlama3 {
    /// Loads a checkpoint folder in any published layout.
    pub fn open(folder: &Path, dtypes: impl Into<Dtypes>, device: &Device) -> Result<Self, ModelError> {
        let weights = Weights::open(folder, |names| Layout::of(names).rename(), dtypes.into(), device)?;
        Self::over_files(folder, weights)
    }

    /// The same with f32 variables, to go on training it.
    pub fn open_to_train(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        Self::over_files(folder, Weights::open_to_train(folder, |names| Layout::of(names).rename(), device)?)
    }

    /// Only what the model asks for of its files, to convert it; see [`Weights::listed`].
    pub(crate) fn list(folder: &Path, kind: Kind, language: Option<&Path>) -> Result<Weights, ModelError> {
        let language = language.map(|path| (path, names::GGUF));
        let weights = Weights::listed(folder, |names| Layout::of(names).rename(), kind, language)?;
        Ok(Self::over_files(folder, weights)?.weights)
    }

    fn over_files(folder: &Path, weights: Weights) -> Result<Self, ModelError> {
        let config = Config::load(folder)?;
        let layout = Layout::of(&weights.names()).word();
        let model = Self::load(folder, config, weights, layout)?;
        let unused = model.weights.unused();
        if !unused.is_empty() {
            tracing::warn!("{} tensors of {} are not used, such as {}", unused.len(), folder.display(), unused[0]);
        }
        Ok(model)
    }

    /// A model over given weights (to train, or in tests); tokenizer and template come from `folder`.
    pub fn load(folder: &Path, config: Config, weights: Weights, layout: &'static str) -> Result<Self, ModelError> {
        let tokenizer = Tokenizer::from_folder(folder)?;
        let template = ChatTemplate::from_folder(folder)?;
        let vision = VisionEncoder::load(&weights.at("model.vision_model"), &config.vision)?;
        let projector = Projector::load(&weights.at("model.projector"), config.vision.hidden, config.language.hidden)?;
        let language = LanguageModel::load(&weights, &config.language)?;
        let mut stop = config.stop.clone();
        if stop.is_empty() {
            stop.extend(["<|im_end|>", "<|endoftext|>"].iter().filter_map(|t| tokenizer.id(t)));
        }
        Ok(VideoLlama3 { config, tokenizer, template, vision, projector, language, stop, layout, weights })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where the weights came from (and the variables, when training).
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Encoder features of every patch, `[N, vision width]` (for comparison with the reference).
    pub fn encode(&self, patches: &Patches) -> Result<Tensor, ModelError> {
        let on_device = Patches { pixels: patches.pixels.to_device(self.weights.device())?, ..patches.clone() };
        Ok(self.vision.forward(&on_device, self.weights.dtype())?)
    }

    fn details(&self) -> Vec<(String, String)> {
        let (v, l) = (&self.config.vision, &self.config.language);
        let vision = format!("{} layers, width {}, {} heads, patch {}", v.layers, v.hidden, v.heads, v.patch);
        let language =
            format!("{} layers, width {}, {} heads over {} key heads", l.layers, l.hidden, l.heads, l.kv_heads);
        let p = &self.config.processor;
        let video = format!("{} frames a second, at most {}, merge {}", p.fps, p.max_frames, p.video_merge);
        vec![
            ("vision".to_string(), vision),
            ("language".to_string(), language),
            ("video".to_string(), video),
            ("frame pruning".to_string(), if p.prune { "on" } else { "off" }.to_string()),
        ]
    }
}

impl VideoLanguageModel for VideoLlama3 {
    fn info(&self) -> ModelInfo {
        let mut sums = [("vision", 0), ("projector", 0), ("language", 0)];
        let mut bytes_per_token = 0;
        for (name, size) in self.weights.parameters() {
            let part = if name.starts_with("model.vision_model") {
                0
            } else if name.starts_with("model.projector") {
                1
            } else {
                2
            };
            sums[part].1 += size.values;
            // A separate embedding is only looked up in.
            if part == 2 && (self.config.language.tied || !name.ends_with("embed_tokens.weight")) {
                bytes_per_token += size.bytes;
            }
        }
        let l = &self.config.language;
        let kv_cache = self.weights.kv_cache();
        ModelInfo {
            family: "videollama3",
            layout: self.layout.to_string(),
            parameters: sums.iter().map(|(part, n)| (part.to_string(), *n)).collect(),
            weights: self.weights.word(),
            bytes_per_token,
            vocabulary: l.vocabulary,
            tied: l.tied,
            hidden: l.hidden,
            max_positions: l.max_positions,
            kv_cache: kv_cache.name(),
            cache_bytes_per_token: 2 * l.layers * l.kv_heads * kv_cache.bytes(l.head_dim),
            patch_values: self.config.vision.patch_values(),
            details: self.details(),
        }
    }

    fn device(&self) -> &Device {
        self.weights.device()
    }

    fn dtype(&self) -> DType {
        self.weights.dtype()
    }

    fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn stop_ids(&self) -> &[u32] {
        &self.stop
    }

    fn sampling_defaults(&self) -> SamplingDefaults {
        self.config.sampling.clone()
    }

    fn plan(&self, sources: &[Source], options: &PlanOptions) -> Result<Plan, ModelError> {
        processor::plan(&self.config.processor, self.config.vision.patch, sources, options)
    }

    fn prepare(&self, item: &ItemPlan, frames: &[Frame], carry: &mut Carry) -> Result<Patches, ModelError> {
        processor::prepare(&self.config.processor, self.config.vision.patch, item, frames, carry)
    }

    fn shown(&self, item: &ItemPlan, frame: &Frame) -> Result<Rgb, ModelError> {
        processor::shown(&self.config.processor, item, frame)
    }

    fn see(&self, patches: &Patches) -> Result<VisualTokens, ModelError> {
        let merged_vd = merge_tokens(&self.encode(patches)?, patches.merge)?;
        let per_frame_all = patches.keep.len() / patches.frames.max(1);
        let per_frame = patches.keep.chunks(per_frame_all.max(1)).map(|f| f.iter().filter(|k| **k).count()).collect();
        let kept: Vec<u32> = (0..patches.keep.len()).filter(|&i| patches.keep[i]).map(|i| i as u32).collect();
        let merged_vd = if kept.len() == patches.keep.len() {
            merged_vd
        } else {
            merged_vd.index_select(&Tensor::from_slice(&kept, kept.len(), merged_vd.device())?, 0)?
        };
        Ok(VisualTokens { tokens: self.projector.forward(&merged_vd)?, per_frame })
    }

    fn prompt(
        &self,
        messages: &[Message],
        plan: &Plan,
        kept: &[Vec<usize>],
        answer_next: bool,
    ) -> Result<Prompt, ModelError> {
        let writer =
            PromptWriter { config: &self.config, tokenizer: &self.tokenizer, template: self.template.as_ref() };
        writer.write(messages, plan, kept, answer_next)
    }

    fn embed(&self, prompt: &Prompt, visual: Option<&Tensor>) -> Result<Tensor, ModelError> {
        let given = visual.map_or(Ok(0), |v| v.dim(0))?;
        if given != prompt.visual.len() {
            let text =
                format!("the prompt has {} visual placeholders, the media gave {given} tokens", prompt.visual.len());
            return Err(ModelError::Bug(text));
        }
        let text_td = self.language.embed(&prompt.ids)?;
        let Some(visual_vd) = visual.filter(|_| given > 0) else { return Ok(text_td) };
        // Row i of the result is a text row or the next visual row: one gather over both, which carries gradients.
        let both = Tensor::cat(&[&text_td, &visual_vd.to_dtype(text_td.dtype())?], 0)?;
        let t = prompt.ids.len();
        let mut rows: Vec<u32> = (0..t as u32).collect();
        for (n, &at) in prompt.visual.iter().enumerate() {
            rows[at] = (t + n) as u32;
        }
        Ok(both.index_select(&Tensor::from_vec(rows, t, both.device())?, 0)?)
    }

    fn step(&self, x_td: &Tensor, memory: &mut Memory<'_>, rows: &[usize]) -> Result<Tensor, ModelError> {
        Ok(self.language.forward(x_td, memory, rows)?)
    }

    fn new_cache(&self, capacity: usize) -> Result<KvCache, ModelError> {
        Ok(self.language.new_cache(capacity, self.weights.kv_cache(), self.weights.device())?)
    }
}
