//! The processor: plans, patches, visual token counts and prompts, all without weights.

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use zoetrope_kernels::image::patchify::patchify;
use zoetrope_kernels::image::resize::{Filter, Order as PassOrder};
use zoetrope_media::{Frame, Rgb};
use zoetrope_text::Tokenizer;

use super::config::{Compress, Config};
use super::planning;
use super::prompt::{PromptWriter, placements};
use crate::checkpoint::Checkpoint;
use crate::contract::Processor;
use crate::contract::features::{Patches, PrepareState, Unit};
use crate::contract::media_plan::{MediaMetadata, MediaPlan, PlanOptions};
use crate::contract::model_info::{ModelInfo, StopCriteria};
use crate::contract::prompt::{GenerationPrompt, Message, Placement, Prompt, VisualSpan};
use crate::error::ModelResult;
use crate::processing::{Resample, unit_gray_levels, view_image, write_view_patches};

/// Configuration and tokenizer of a checkpoint.
pub(super) struct LlamaVidProcessor {
    pub(super) config: Config,
    tokenizer: Tokenizer,
    info: ModelInfo,
}

impl LlamaVidProcessor {
    pub(super) fn load(checkpoint: &Checkpoint) -> ModelResult<Self> {
        let config = Config::load(checkpoint)?;
        let tokenizer = Tokenizer::from_files(checkpoint)?;
        let info = info(&config, &tokenizer);
        Ok(LlamaVidProcessor { config, tokenizer, info })
    }

    /// The checkpoints' code resized with the Pillow of its time. Padding has the color of the mean, cut to whole gray
    /// levels.
    fn resample(&self) -> Resample {
        let background = self.config.normalization.mean.map(|mean| (mean * 255.0) as u8);
        Resample { filter: Filter::Bicubic, order: PassOrder::HorizontalFirst, background }
    }
}

impl Processor for LlamaVidProcessor {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn plan(&self, earlier: &[MediaPlan], new: &[MediaMetadata], options: &PlanOptions) -> ModelResult<Vec<MediaPlan>> {
        options.settings.check(self.info.family, &self.info.settings)?;
        planning::plan(&self.config, earlier, new, options)
    }

    fn uses_captions(&self, options: &PlanOptions) -> bool {
        planning::tells_films(&self.config, options)
    }

    fn prepare(&self, plan: &MediaPlan, frames: &[Frame], _: &mut PrepareState) -> ModelResult<Patches> {
        let (view, patch) = (&plan.views[0], self.config.vision.patch);
        let norm = &self.config.normalization;
        let tables = [0, 1, 2].map(|channel| unit_gray_levels(norm.mean[channel], norm.std[channel]));
        let (rows, cols) = view.grid;
        let per_patch = self.config.vision.patch_values();
        let per_frame = rows * cols * per_patch;
        let mut pixels = vec![0.0f32; frames.len() * per_frame];
        let write = |rows: &[u8], out: &mut [f32]| patchify(rows, cols, patch, 1, &tables, out);
        pixels.par_chunks_mut(per_frame).zip(frames).try_for_each(|(out, frame)| {
            write_view_patches(view, plan.source, &frame.image, self.resample(), patch, out, write)
        })?;
        let units = vec![Unit { grid: [1, rows, cols], keep: None }; frames.len()];
        let pixels = Tensor::from_vec(pixels, (frames.len() * rows * cols, per_patch), &Device::Cpu)?;
        Ok(Patches { pixels, units })
    }

    fn view_image(&self, plan: &MediaPlan, view: usize, frame: &Frame) -> ModelResult<Rgb> {
        view_image(&plan.views[view], plan.source, &frame.image, self.resample())
    }

    fn visual_spans(&self, plan: &MediaPlan, _: Option<&[usize]>) -> Vec<VisualSpan> {
        let tokens = planning::tokens_per_frame(&self.config, plan);
        (0..plan.frames.len()).map(|frame| VisualSpan { frames: frame..frame + 1, tokens }).collect()
    }

    fn feature_rows(&self, plan: &MediaPlan) -> usize {
        plan.units() * self.config.vision.rows()
    }

    fn placements(&self, messages: &[Message], media: usize) -> ModelResult<Vec<Placement>> {
        placements(messages, media)
    }

    fn prompt(
        &self,
        messages: &[Message],
        plans: &[MediaPlan],
        spans: &[Vec<VisualSpan>],
        end: GenerationPrompt<'_>,
    ) -> ModelResult<Prompt> {
        PromptWriter { plans, spans }.write(messages, end, &self.tokenizer)
    }
}

fn info(c: &Config, tokenizer: &Tokenizer) -> ModelInfo {
    let mut ids = c.stop.clone();
    if ids.is_empty() {
        ids.extend(tokenizer.id("</s>"));
    }
    let (v, q, l) = (&c.vision, &c.qformer, &c.language);
    let detail = |name: &str, text: String| (name.to_string(), text);
    let content = match c.compress {
        Compress::Nothing => format!("{} content tokens", v.rows() - 1),
        Compress::Grid(side) => format!("{side} x {side} content tokens"),
        Compress::Mean => "1 content token".to_string(),
    };
    ModelInfo {
        family: super::config::NAME,
        hidden: l.hidden,
        vocabulary: l.vocabulary,
        max_positions: l.max_positions,
        kv: l.kv(),
        feature_width: v.hidden,
        patch_values: v.patch_values(),
        stop: StopCriteria { ids, texts: Vec::new() },
        generation: c.generation.clone(),
        settings: planning::settings(c),
        details: vec![
            detail("vision", format!("{} blocks, width {}, {} heads, {} pixels", v.layers, v.hidden, v.heads, v.image)),
            detail("Q-Former", format!("{} layers, width {}, {} queries", q.layers, q.hidden, c.queries)),
            detail("language", format!("{} layers, width {}, {} heads", l.layers, l.hidden, l.heads)),
            detail("frame", format!("1 context token that hears the question, {content}")),
            // A further question needs the features, not the film: its context tokens are made anew.
            detail("features of a frame", format!("{} rows, {} bytes in f16", v.rows(), 2 * v.rows() * v.hidden)),
            detail(
                "video",
                if c.film { "films with subtitles, 1 frame a second" } else { "1 frame a second" }.to_string(),
            ),
        ],
    }
}
