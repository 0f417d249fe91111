//! The processor: plans, patches, visual token counts and prompts, all without weights.

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use zoetrope_kernels::image::patchify::patchify;
use zoetrope_media::{Frame, Rgb};
use zoetrope_text::Tokenizer;

use super::config::Config;
use super::planning;
use super::prompt::{PromptWriter, system_text};
use super::stages::NAME;
use super::tiles::{RESAMPLE, TiledFrame};
use crate::checkpoint::Checkpoint;
use crate::contract::Processor;
use crate::contract::features::{Patches, PrepareState, Unit};
use crate::contract::media_plan::{MediaMetadata, MediaPlan, PlanOptions};
use crate::contract::model_info::{ModelInfo, StopCriteria};
use crate::contract::prompt::{GenerationPrompt, Message, Placement, Prompt, VisualSpan};
use crate::error::{ModelError, ModelResult};
use crate::processing::{in_order, unit_gray_levels, view_image, write_view_patches};

/// Configuration and tokenizer of a checkpoint.
pub(super) struct VideoChat2Processor {
    pub(super) config: Config,
    tokenizer: Tokenizer,
    /// Token that begins every prompt.
    first: Option<u32>,
    info: ModelInfo,
}

impl VideoChat2Processor {
    pub(super) fn load(checkpoint: &Checkpoint) -> ModelResult<Self> {
        let config = Config::load(checkpoint)?;
        let tokenizer = Tokenizer::from_files(checkpoint)?;
        let settings = checkpoint.json("tokenizer_config.json")?.unwrap_or_default();
        let begins = settings["add_bos_token"].as_bool().unwrap_or(true);
        let first = tokenizer.id(settings["bos_token"].as_str().unwrap_or("<s>")).filter(|_| begins);
        let info = info(&config, &tokenizer);
        Ok(VideoChat2Processor { config, tokenizer, first, info })
    }

    /// Patches of every view of a frame, one view after the other.
    fn frame_patches(&self, plan: &MediaPlan, frame: &Frame) -> ModelResult<Vec<f32>> {
        let (patch, norm) = (self.config.vision.patch, planning::norm(plan));
        if self.config.tiles.is_some() {
            return Ok(TiledFrame::new(plan, &frame.image, norm)?.patches(plan, patch));
        }
        let view = &plan.views[0];
        let tables = [0, 1, 2].map(|channel| unit_gray_levels(norm.0[channel], norm.1[channel]));
        let mut pixels = vec![0.0; view.patches() * self.config.vision.patch_values()];
        let write = |rows: &[u8], out: &mut [f32]| patchify(rows, view.grid.1, patch, 1, &tables, out);
        write_view_patches(view, plan.source, &frame.image, RESAMPLE, patch, &mut pixels, write)?;
        Ok(pixels)
    }
}

impl Processor for VideoChat2Processor {
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

    fn uses_captions(&self, _: &PlanOptions) -> bool {
        true
    }

    fn prepare(&self, plan: &MediaPlan, frames: &[Frame], _: &mut PrepareState) -> ModelResult<Patches> {
        let Some(view) = plan.views.first() else { return Err(ModelError::Bug("a plan without views".to_string())) };
        let per_frame: Vec<Vec<f32>> =
            frames.par_iter().map(|frame| self.frame_patches(plan, frame)).collect::<ModelResult<_>>()?;
        let width = self.config.vision.patch_values();
        let of_view = view.patches() * width;
        let mut pixels = Vec::with_capacity(plan.views.len() * frames.len() * of_view);
        for number in 0..plan.views.len() {
            per_frame.iter().for_each(|frame| pixels.extend_from_slice(&frame[number * of_view..][..of_view]));
        }
        let unit = Unit { grid: [frames.len(), view.grid.0, view.grid.1], keep: None };
        let patches = pixels.len() / width;
        let pixels = Tensor::from_vec(pixels, (patches, width), &Device::Cpu)?;
        Ok(Patches { pixels, units: vec![unit; plan.views.len()] })
    }

    fn view_image(&self, plan: &MediaPlan, view: usize, frame: &Frame) -> ModelResult<Rgb> {
        match self.config.tiles {
            Some(_) => Ok(TiledFrame::new(plan, &frame.image, ([0.0; 3], [1.0; 3]))?.picture(&plan.views[view])),
            None => view_image(&plan.views[view], plan.source, &frame.image, RESAMPLE),
        }
    }

    fn visual_spans(&self, plan: &MediaPlan, _: Option<&[usize]>) -> Vec<VisualSpan> {
        let tokens = plan.views.len() * self.config.tokens();
        let frames = plan.frames.len();
        (frames > 0).then_some(VisualSpan { frames: 0..frames, tokens }).into_iter().collect()
    }

    /// The Q-Former hears the system text, as in the published evaluations.
    fn placements(&self, messages: &[Message], media: usize) -> ModelResult<Vec<Placement>> {
        let instruction = Some(system_text(messages)).filter(|text| !text.is_empty());
        let placements = in_order(messages, media)?.into_iter();
        Ok(placements.map(|placement| Placement { instruction: instruction.clone(), ..placement }).collect())
    }

    fn prompt(
        &self,
        messages: &[Message],
        plans: &[MediaPlan],
        spans: &[Vec<VisualSpan>],
        end: GenerationPrompt<'_>,
    ) -> ModelResult<Prompt> {
        let placements = self.placements(messages, plans.len())?;
        let (template, first) = (self.config.model.template(), self.first);
        PromptWriter { template, first, plans, spans, placements: &placements }.write(messages, end, &self.tokenizer)
    }
}

fn info(c: &Config, tokenizer: &Tokenizer) -> ModelInfo {
    let end = c.model.template().reply_end;
    let ids = ["</s>", "<|endoftext|>", end].into_iter().filter_map(|token| tokenizer.id(token));
    let (v, l, q) = (&c.vision, &c.language, &c.qformer);
    let detail = |name: &str, text: String| (name.to_string(), text);
    let mut ids: Vec<u32> = ids.collect();
    ids.dedup();
    let pictures = match c.tiles {
        Some(tiles) => format!("{} pixels, at most {} tiles and the whole", v.side, tiles.most),
        None => format!("{} pixels", v.side),
    };
    ModelInfo {
        family: NAME,
        hidden: l.hidden,
        vocabulary: l.vocabulary,
        max_positions: l.max_positions,
        kv: l.kv(),
        feature_width: v.hidden,
        patch_values: v.patch_values(),
        stop: StopCriteria { ids, texts: vec![end.to_string()] },
        generation: c.generation.clone(),
        settings: planning::settings(c),
        details: vec![
            detail("vision", format!("{} layers, width {}, {} heads, patch {}", v.layers, v.hidden, v.heads, v.patch)),
            detail("Q-Former", format!("{} layers, width {}, {} queries", q.layers, q.hidden, c.tokens())),
            detail(
                "language",
                format!("{} layers, width {}, {} heads over {} key heads", l.layers, l.hidden, l.heads, l.kv_heads),
            ),
            detail("video", format!("{} frames, all seen together; pictures of {pictures}", c.frames)),
        ],
    }
}
