//! The processor: plans, patches, visual token counts and prompts, all without weights.

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use zoetrope_kernels::image::patchify::patchify;
use zoetrope_kernels::image::resize::Filter;
use zoetrope_media::{Frame, Rgb};
use zoetrope_text::{ChatTemplate, Tokenizer};

use super::config::{Config, Convention, NAME, PixelConfig};
use super::planning;
use super::prompt::PromptWriter;
use crate::checkpoint::Checkpoint;
use crate::contract::Processor;
use crate::contract::features::{Patches, PrepareState, Unit};
use crate::contract::media_plan::{MediaKind, MediaMetadata, MediaPlan, PlanOptions};
use crate::contract::model_info::{ModelInfo, StopCriteria};
use crate::contract::prompt::{GenerationPrompt, Message, Prompt, VisualSpan};
use crate::error::ModelResult;
use crate::processing::{Resample, view_image, view_images};

/// Configuration, tokenizer and template of a checkpoint.
pub(super) struct OneVisionProcessor {
    pub(super) config: Config,
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    info: ModelInfo,
}

impl OneVisionProcessor {
    pub(super) fn load(checkpoint: &Checkpoint) -> ModelResult<Self> {
        let config = Config::load(checkpoint)?;
        let tokenizer = Tokenizer::from_files(checkpoint)?;
        // The original's template is its code's, whatever the tokenizer of the language model has.
        let template = match config.convention {
            Convention::Original => None,
            Convention::Transformers => ChatTemplate::from_files(checkpoint)?,
        };
        let info = info(&config, &tokenizer);
        Ok(OneVisionProcessor { config, tokenizer, template, info })
    }

    fn pixels(&self, kind: MediaKind) -> &PixelConfig {
        if kind == MediaKind::Image { &self.config.picture } else { &self.config.video }
    }

    fn resample(&self, plan: &MediaPlan) -> Resample {
        let order = self.pixels(plan.kind).arithmetic.pass_order();
        Resample { filter: Filter::Bicubic, order, background: planning::background(&self.config, plan) }
    }
}

impl Processor for OneVisionProcessor {
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

    fn prepare(&self, plan: &MediaPlan, frames: &[Frame], _: &mut PrepareState) -> ModelResult<Patches> {
        let (v, how, c) = (&self.config.vision, self.resample(plan), self.pixels(plan.kind));
        let tables = [0, 1, 2].map(|channel| c.arithmetic.gray_levels(c.rescale, c.mean[channel], c.std[channel]));
        let (side, per_view) = (v.side(), v.patches() * v.patch_values());
        let per_frame = per_view * plan.views.len();
        let mut pixels = vec![0.0f32; frames.len() * per_frame];
        pixels.par_chunks_mut(per_frame).zip(frames).try_for_each(|(out, frame)| -> ModelResult<()> {
            let images = view_images(&plan.views, plan.source, &frame.image, how)?;
            let views = out.par_chunks_mut(per_view).zip(&images);
            views.for_each(|(out, image)| patchify(&image.data, side, v.patch, 1, &tables, out));
            Ok(())
        })?;
        let units = vec![Unit { grid: [1, side, side], keep: None }; frames.len() * plan.views.len()];
        let patches = units.len() * v.patches();
        Ok(Patches { pixels: Tensor::from_vec(pixels, (patches, v.patch_values()), &Device::Cpu)?, units })
    }

    fn view_image(&self, plan: &MediaPlan, view: usize, frame: &Frame) -> ModelResult<Rgb> {
        view_image(&plan.views[view], plan.source, &frame.image, self.resample(plan))
    }

    fn visual_spans(&self, plan: &MediaPlan, _: Option<&[usize]>) -> Vec<VisualSpan> {
        planning::visual_spans(&self.config, plan)
    }

    fn prompt(
        &self,
        messages: &[Message],
        plans: &[MediaPlan],
        spans: &[Vec<VisualSpan>],
        end: GenerationPrompt<'_>,
    ) -> ModelResult<Prompt> {
        let writer = PromptWriter {
            config: &self.config,
            tokenizer: &self.tokenizer,
            template: self.template.as_ref(),
            plans,
            spans,
            placements: &self.placements(messages, plans.len())?,
        };
        writer.write(messages, end)
    }
}

fn info(c: &Config, tokenizer: &Tokenizer) -> ModelInfo {
    let mut ids = c.stop.clone();
    // Checkpoints of the authors may name the end of text alone; a turn of the template ends with the other.
    ids.extend(["<|im_end|>", "<|endoftext|>"].iter().filter_map(|token| tokenizer.id(token)));
    ids.sort_unstable();
    ids.dedup();
    let (v, l) = (&c.vision, &c.language);
    let detail = |name: &str, text: String| (name.to_string(), text);
    let tiles = match c.max_tiles {
        Some(most) => format!("{} grids, scaled down to the tokens of about {most}", c.pinpoints.len()),
        None => format!("{} grids", c.pinpoints.len()),
    };
    ModelInfo {
        family: NAME,
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
            detail(
                "vision",
                format!(
                    "{} layers, width {}, {} heads, {} patches of {} a view",
                    v.layers,
                    v.hidden,
                    v.heads,
                    v.patches(),
                    v.patch
                ),
            ),
            detail(
                "language",
                format!("{} layers, width {}, {} heads over {} key heads", l.layers, l.hidden, l.heads, l.kv_heads),
            ),
            detail("tiles", tiles),
            detail("video", format!("{} frames, {} tokens each", c.frames, v.pooled() * v.pooled())),
        ],
    }
}
