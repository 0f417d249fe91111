//! The processor: plans, patches, visual token counts and prompts, all without weights.

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use zoetrope_kernels::image::patchify::patchify;
use zoetrope_kernels::image::resize::{Filter, Order};
use zoetrope_media::{Frame, Rgb};
use zoetrope_text::Tokenizer;

use super::bilinear::resample;
use super::config::{Config, MadeFor};
use super::planning;
use super::prompt::PromptWriter;
use crate::checkpoint::Checkpoint;
use crate::contract::Processor;
use crate::contract::features::{Patches, PrepareState, Unit};
use crate::contract::media_plan::{MediaMetadata, MediaPlan, PlanOptions, View};
use crate::contract::model_info::{ModelInfo, StopCriteria};
use crate::contract::prompt::{GenerationPrompt, Message, Prompt, VisualSpan};
use crate::error::ModelResult;
use crate::processing::{Resample, unit_gray_levels, view_image, write_view_patches};

/// Mean and standard deviation of the channels (CLIP).
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// What surrounds a frame of another shape than the planned one: the mean color.
const BACKGROUND: [u8; 3] = [122, 116, 104];

/// Configuration and tokenizer of a checkpoint.
pub(super) struct CogVlm2Processor {
    pub(super) config: Config,
    tokenizer: Tokenizer,
    info: ModelInfo,
    /// What every gray level of a channel becomes.
    levels: [[f32; 256]; 3],
}

impl CogVlm2Processor {
    pub(super) fn load(checkpoint: &Checkpoint) -> ModelResult<Self> {
        let config = Config::load(checkpoint)?;
        let tokenizer = Tokenizer::from_files(checkpoint)?;
        let info = info(&config);
        let levels = [0, 1, 2].map(|channel| unit_gray_levels(MEAN[channel], STD[channel]));
        Ok(CogVlm2Processor { config, tokenizer, info, levels })
    }

    /// Pictures are resized as Pillow did it then. Of videos only frames of another size than the planned one, which
    /// the authors' code never meets, go this way.
    fn resample(&self) -> Resample {
        let filter = match self.config.made_for {
            MadeFor::Videos => Filter::Bilinear,
            MadeFor::Pictures => Filter::Bicubic,
        };
        Resample { filter, order: Order::HorizontalFirst, background: BACKGROUND }
    }

    /// Whether a frame is resized in floats.
    fn in_floats(&self, plan: &MediaPlan, frame: &Rgb) -> bool {
        self.config.made_for == MadeFor::Videos && (frame.width, frame.height) == plan.source
    }

    /// A frame as patches `[grid * grid, 3 * patch * patch]`.
    fn write_patches(&self, plan: &MediaPlan, frame: &Rgb, out: &mut [f32]) -> ModelResult<()> {
        let (view, patch) = (&plan.views[0], self.config.vision.patch);
        let columns = view.grid.1;
        if self.in_floats(plan, frame) {
            let place = |y: usize, x: usize, channel: usize| {
                let index = y / patch * columns + x / patch;
                ((index * 3 + channel) * patch + y % patch) * patch + x % patch
            };
            let level = |channel: usize, level: u8| self.levels[channel][usize::from(level)];
            resample(view, frame, level, |y, x, channel, value| out[place(y, x, channel)] = value);
            return Ok(());
        }
        let write = |rows: &[u8], out: &mut [f32]| patchify(rows, columns, patch, 1, &self.levels, out);
        write_view_patches(view, plan.source, frame, self.resample(), patch, out, write)
    }
}

impl Processor for CogVlm2Processor {
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
        let (patches, values) = (plan.patches_per_frame(), self.config.vision.patch_values());
        let mut pixels = vec![0.0f32; frames.len() * patches * values];
        let all = pixels.par_chunks_mut(patches * values).zip(frames);
        all.try_for_each(|(out, frame)| self.write_patches(plan, &frame.image, out))?;
        let (rows, columns) = plan.views[0].grid;
        let pixels = Tensor::from_vec(pixels, (frames.len() * patches, values), &Device::Cpu)?;
        Ok(Patches { pixels, units: vec![Unit { grid: [1, rows, columns], keep: None }; frames.len()] })
    }

    fn view_image(&self, plan: &MediaPlan, view: usize, frame: &Frame) -> ModelResult<Rgb> {
        let view: &View = &plan.views[view];
        if !self.in_floats(plan, &frame.image) {
            return view_image(view, plan.source, &frame.image, self.resample());
        }
        let (width, height) = (view.window.width, view.window.height);
        let mut data = vec![0; width as usize * height as usize * 3];
        let write = |y: usize, x: usize, channel: usize, value: f32| {
            data[(y * width as usize + x) * 3 + channel] = value.round() as u8;
        };
        resample(view, &frame.image, |_, level| f32::from(level), write);
        Ok(Rgb { width, height, data })
    }

    fn visual_spans(&self, plan: &MediaPlan, _: Option<&[usize]>) -> Vec<VisualSpan> {
        let tokens = self.config.vision.tokens();
        (0..plan.frames.len()).map(|frame| VisualSpan { frames: frame..frame + 1, tokens }).collect()
    }

    fn feature_rows(&self, plan: &MediaPlan) -> usize {
        plan.units() * self.config.vision.features()
    }

    fn prompt(
        &self,
        messages: &[Message],
        plans: &[MediaPlan],
        spans: &[Vec<VisualSpan>],
        end: GenerationPrompt<'_>,
    ) -> ModelResult<Prompt> {
        let placements = self.placements(messages, plans.len())?;
        let writer =
            PromptWriter { config: &self.config, tokenizer: &self.tokenizer, plans, spans, placements: &placements };
        writer.write(messages, end)
    }
}

fn info(c: &Config) -> ModelInfo {
    let (v, l) = (&c.vision, &c.language);
    let detail = |name: &str, text: String| (name.to_string(), text);
    let experts = match c.made_for {
        MadeFor::Videos => "no experts".to_string(),
        MadeFor::Pictures => "experts for visual tokens in attention and MLP".to_string(),
    };
    let made_for = match c.made_for {
        MadeFor::Videos => {
            format!("videos of up to {} frames, by default {}", c.max_frames, c.sampling().name())
        }
        MadeFor::Pictures => format!("one picture; of a video up to {} frames are shown as pictures", c.max_frames),
    };
    ModelInfo {
        family: super::config::NAME,
        hidden: l.hidden,
        vocabulary: l.vocabulary,
        max_positions: l.max_positions,
        kv: l.kv(),
        feature_width: v.hidden,
        patch_values: v.patch_values(),
        stop: StopCriteria { ids: c.stop.clone(), texts: Vec::new() },
        generation: c.generation.clone(),
        settings: planning::settings(c),
        details: vec![
            detail("vision", format!("{} blocks, width {}, {} heads, patch {}", v.layers, v.hidden, v.heads, v.patch)),
            detail(
                "language",
                format!(
                    "{} layers, width {}, {} heads over {} key heads, {experts}",
                    l.layers, l.hidden, l.heads, l.kv_heads
                ),
            ),
            detail("made for", made_for),
            detail("pictures", format!("{0} x {0} pixels, {1} visual tokens", v.side, v.tokens())),
            detail("template", c.template.name().to_string()),
        ],
    }
}
