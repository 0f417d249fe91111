//! The processor: plans, patches, visual token counts and prompts, all without weights.

use candle_core::{Device, Tensor};
use zoetrope_kernels::image::patchify::patchify;
use zoetrope_kernels::image::resize::{Filter, Order};
use zoetrope_media::{Frame, Rgb};
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::contract::Processor;
use zoetrope_models::contract::features::{Patches, PrepareState, Unit};
use zoetrope_models::contract::media_plan::{MediaMetadata, MediaPlan, PlanOptions, View};
use zoetrope_models::contract::model_info::{GenerationDefaults, ModelInfo, StopCriteria};
use zoetrope_models::contract::prompt::{GenerationPrompt, Message, MessagePart, Placement, Prompt, Role, VisualSpan};
use zoetrope_models::error::ModelResult;
use zoetrope_models::processing::{Resample, in_order, view_image, write_view_patches};
use zoetrope_text::Tokenizer;

use super::config::Config;
use super::planning;
use super::prompt::{PromptWriter, REPLY_END};

/// Bars beside a frame have the color that normalizes to about zero.
const RESAMPLE: Resample =
    Resample { filter: Filter::Bicubic, order: Order::HorizontalFirst, background: [122, 116, 104] };

/// Configuration and tokenizer of a checkpoint.
pub(super) struct TrialProcessor {
    pub(super) config: Config,
    tokenizer: Tokenizer,
    info: ModelInfo,
}

impl TrialProcessor {
    pub(super) fn load(checkpoint: &Checkpoint) -> ModelResult<Self> {
        let config = Config::load(checkpoint)?;
        let tokenizer = Tokenizer::from_files(checkpoint)?;
        let info = info(&config, &tokenizer);
        Ok(TrialProcessor { config, tokenizer, info })
    }

    /// Normalized patches `[n, P]` of one view of a frame, at the end of `pixels`.
    fn add_view(&self, plan: &MediaPlan, view: &View, frame: &Frame, pixels: &mut Vec<f32>) -> ModelResult<()> {
        let (start, patch) = (pixels.len(), self.config.vision.patch);
        pixels.resize(start + view.patches() * self.config.vision.patch_values(), 0.0);
        let levels: [f32; 256] = std::array::from_fn(|level| level as f32 / 127.5 - 1.0);
        let write = |rows: &[u8], out: &mut [f32]| patchify(rows, view.grid.1, patch, 1, &[levels; 3], out);
        write_view_patches(view, plan.source, &frame.image, RESAMPLE, patch, &mut pixels[start..], write)
    }
}

impl Processor for TrialProcessor {
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
        let (mut pixels, mut units) = (Vec::new(), Vec::new());
        let in_unit = if plan.joint { frames.len() } else { 1 };
        for frames in frames.chunks(in_unit.max(1)) {
            for view in &plan.views {
                units.push(Unit { grid: [in_unit, view.grid.0, view.grid.1], keep: None });
                for frame in frames {
                    self.add_view(plan, view, frame, &mut pixels)?;
                }
            }
        }
        let width = self.config.vision.patch_values();
        let patches = pixels.len() / width;
        Ok(Patches { pixels: Tensor::from_vec(pixels, (patches, width), &Device::Cpu)?, units })
    }

    fn view_image(&self, plan: &MediaPlan, view: usize, frame: &Frame) -> ModelResult<Rgb> {
        view_image(&plan.views[view], plan.source, &frame.image, RESAMPLE)
    }

    fn visual_spans(&self, plan: &MediaPlan, _: Option<&[usize]>) -> Vec<VisualSpan> {
        let tokens = plan.views.len() * planning::tokens_per_unit(&self.config, plan);
        let frames = plan.frames.len();
        let step = if plan.joint { frames.max(1) } else { 1 };
        (0..frames).step_by(step).map(|first| VisualSpan { frames: first..first + step, tokens }).collect()
    }

    /// The projector hears the newest text of the user.
    fn placements(&self, messages: &[Message], media: usize) -> ModelResult<Vec<Placement>> {
        let newest = messages.iter().rev().find(|message| message.role == Role::User);
        let texts = newest.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
            MessagePart::Text(text) => Some(text.as_str()),
            MessagePart::Media(_) => None,
        });
        let instruction = Some(texts.collect::<String>()).filter(|text| !text.is_empty());
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
        PromptWriter { plans, spans, placements: &placements }.write(messages, end, &self.tokenizer)
    }
}

fn info(c: &Config, tokenizer: &Tokenizer) -> ModelInfo {
    ModelInfo {
        family: super::NAME,
        hidden: c.language.hidden,
        vocabulary: c.language.vocabulary,
        max_positions: c.language.max_positions,
        kv: c.language.kv(),
        feature_width: c.vision.hidden,
        patch_values: c.vision.patch_values(),
        stop: StopCriteria { ids: tokenizer.id("</s>").into_iter().collect(), texts: vec![REPLY_END.to_string()] },
        generation: GenerationDefaults::default(),
        settings: planning::settings(),
        details: Vec::new(),
    }
}
