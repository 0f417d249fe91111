//! The processor: plans, patches, visual token counts and prompts, all without weights.

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use zoetrope_kernels::image::patchify::patchify;
use zoetrope_kernels::image::resize::Filter;
use zoetrope_media::{Frame, Rgb};
use zoetrope_text::{ChatTemplate, Tokenizer};

use super::config::{Config, Convention};
use super::diff_fp::keep_mask;
use super::planning;
use super::prompt::PromptWriter;
use crate::checkpoint::Checkpoint;
use crate::contract::Processor;
use crate::contract::features::{Patches, PrepareState, Unit};
use crate::contract::media_plan::{MediaKind, MediaMetadata, MediaPlan, PlanOptions};
use crate::contract::model_info::{ModelInfo, StopCriteria};
use crate::contract::prompt::{GenerationPrompt, Message, Prompt, VisualSpan};
use crate::error::ModelResult;
use crate::processing::{PixelArithmetic, Resample, view_image, write_view_patches};

/// Configuration, tokenizer and template of a checkpoint.
pub(super) struct VideoLlama3Processor {
    pub(super) config: Config,
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    info: ModelInfo,
}

impl VideoLlama3Processor {
    pub(super) fn load(checkpoint: &Checkpoint) -> ModelResult<Self> {
        let config = Config::load(checkpoint)?;
        let tokenizer = Tokenizer::from_files(checkpoint)?;
        let template = ChatTemplate::from_files(checkpoint)?;
        let info = info(&config, &tokenizer);
        Ok(VideoLlama3Processor { config, tokenizer, template, info })
    }

    fn resample(&self, kind: MediaKind) -> Resample {
        let order = arithmetic(self.config.processor.convention, kind).pass_order();
        Resample { filter: Filter::Bicubic, order, background: [0; 3] }
    }
}

impl Processor for VideoLlama3Processor {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn plan(&self, earlier: &[MediaPlan], new: &[MediaMetadata], options: &PlanOptions) -> ModelResult<Vec<MediaPlan>> {
        options.settings.check(self.info.family, &self.info.settings)?;
        planning::plan(&self.config.processor, self.config.vision.patch, earlier, new, options)
    }

    fn prepare(&self, plan: &MediaPlan, frames: &[Frame], state: &mut PrepareState) -> ModelResult<Patches> {
        let (c, patch, merge) = (&self.config.processor, self.config.vision.patch, planning::merge(plan));
        let arithmetic = arithmetic(c.convention, plan.kind);
        let tables = [0, 1, 2].map(|channel| arithmetic.gray_levels(c.rescale, c.mean[channel], c.std[channel]));
        let (view, how) = (&plan.views[0], self.resample(plan.kind));
        let (rows, cols) = view.grid;
        let per_patch = self.config.vision.patch_values();
        let per_frame = rows * cols * per_patch;
        let mut pixels = vec![0.0f32; frames.len() * per_frame];
        // A band is a row of blocks; the kernel's order of patches is `vision::block_order`.
        let write = |rows: &[u8], out: &mut [f32]| patchify(rows, cols, patch, merge, &tables, out);
        pixels.par_chunks_mut(per_frame).zip(frames).try_for_each(|(out, frame)| {
            write_view_patches(view, plan.source, &frame.image, how, merge * patch, out, write)
        })?;
        let grid = [1, rows, cols];
        let units = match planning::prunes(plan) {
            true => keep_mask(&pixels, per_frame, merge * merge * per_patch, state)
                .into_iter()
                .map(|keep| Unit { grid, keep: Some(keep) })
                .collect(),
            false => vec![Unit { grid, keep: None }; frames.len()],
        };
        let pixels = Tensor::from_vec(pixels, (frames.len() * rows * cols, per_patch), &Device::Cpu)?;
        Ok(Patches { pixels, units })
    }

    fn view_image(&self, plan: &MediaPlan, view: usize, frame: &Frame) -> ModelResult<Rgb> {
        view_image(&plan.views[view], plan.source, &frame.image, self.resample(plan.kind))
    }

    fn visual_spans(&self, plan: &MediaPlan, kept: Option<&[usize]>) -> Vec<VisualSpan> {
        let all = planning::tokens_per_frame(plan);
        let tokens = |frame: usize| kept.and_then(|kept| kept.get(frame).copied()).unwrap_or(all);
        (0..plan.frames.len()).map(|frame| VisualSpan { frames: frame..frame + 1, tokens: tokens(frame) }).collect()
    }

    fn feature_rows(&self, plan: &MediaPlan) -> usize {
        plan.frames.len() * planning::tokens_per_frame(plan)
    }

    fn prompt(
        &self,
        messages: &[Message],
        plans: &[MediaPlan],
        spans: &[Vec<VisualSpan>],
        end: GenerationPrompt<'_>,
    ) -> ModelResult<Prompt> {
        let writer =
            PromptWriter { config: &self.config, tokenizer: &self.tokenizer, template: self.template.as_ref() };
        let placements = self.placements(messages, plans.len())?;
        writer.write(messages, plans, spans, &placements, end)
    }
}

fn info(c: &Config, tokenizer: &Tokenizer) -> ModelInfo {
    let mut ids = c.stop.clone();
    if ids.is_empty() {
        ids.extend(["<|im_end|>", "<|endoftext|>"].iter().filter_map(|token| tokenizer.id(token)));
    }
    let (v, l, p) = (&c.vision, &c.language, &c.processor);
    let detail = |name: &str, text: String| (name.to_string(), text);
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
        settings: planning::settings(p),
        details: vec![
            detail("vision", format!("{} layers, width {}, {} heads, patch {}", v.layers, v.hidden, v.heads, v.patch)),
            detail(
                "language",
                format!("{} layers, width {}, {} heads over {} key heads", l.layers, l.hidden, l.heads, l.kv_heads),
            ),
            detail("video", format!("{} frames per second, at most {}, merge {}", p.fps, p.max_frames, p.video_merge)),
            detail("frame pruning", if p.prune { "on" } else { "off" }.to_string()),
        ],
    }
}

/// Whose rounding a picture or frame has: that of the code the checkpoint was made with.
fn arithmetic(convention: Convention, kind: MediaKind) -> PixelArithmetic {
    match (convention, kind) {
        (Convention::Original, _) => PixelArithmetic::OldPillow,
        (Convention::Transformers, MediaKind::Image) => PixelArithmetic::Pillow,
        (Convention::Transformers, MediaKind::Video) => PixelArithmetic::Torchvision,
    }
}
