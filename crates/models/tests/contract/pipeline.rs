//! Media and messages through a model, as the engine takes them.

use candle_core::Tensor;
use zoetrope_media::Frame;
use zoetrope_models::contract::features::{Features, Patches, PrepareState};
use zoetrope_models::contract::media_plan::{MediaMetadata, MediaPlan, PlanOptions};
use zoetrope_models::contract::prompt::{GenerationPrompt, Prompt, VisualSpan};
use zoetrope_models::contract::settings::{SettingType, Settings};
use zoetrope_models::contract::{Processor, VideoLanguageModel, embed};

use crate::conversations::Conversation;
use crate::media::TestMedia;

/// A conversation as the decoder takes it, with all that led to it.
pub(crate) struct Embedded {
    pub(crate) plans: Vec<MediaPlan>,
    pub(crate) spans: Vec<Vec<VisualSpan>>,
    /// Visual tokens `[V, D]` of each placement.
    pub(crate) visual: Vec<Tensor>,
    pub(crate) prompt: Prompt,
    /// `[T, D]`.
    pub(crate) x_td: Tensor,
}

/// Plans of media that came in one turn.
pub(crate) fn plan(processor: &dyn Processor, media: &[TestMedia], options: &PlanOptions) -> Vec<MediaPlan> {
    let metadata: Vec<MediaMetadata> = media.iter().map(|media| media.metadata.clone()).collect();
    processor
        .plan(&[], &metadata, options)
        .unwrap_or_else(|error| panic!("{} with {:?}: {error}", processor.info().family, options.settings))
}

/// Options with only `settings`.
pub(crate) fn with_settings(settings: Settings) -> PlanOptions {
    PlanOptions { settings, ..PlanOptions::default() }
}

/// The checkpoint's own settings, then each value of each setting alone.
pub(crate) fn settings_of(processor: &dyn Processor) -> Vec<Settings> {
    let mut all = vec![Settings::default()];
    for setting in &processor.info().settings {
        let with = |value: serde_json::Value| Settings::default().with(setting.name, value);
        match setting.value_type {
            SettingType::Integer => all.extend([1, 2].map(|value| with(value.into()))),
            SettingType::Flag => all.extend([false, true].map(|value| with(value.into()))),
            SettingType::Word(words) => all.extend(words.iter().map(|word| with((*word).into()))),
        }
    }
    all
}

/// The frames of a plan as patches, in runs of these lengths.
pub(crate) fn prepare(processor: &dyn Processor, plan: &MediaPlan, frames: &[Frame], runs: &[usize]) -> Vec<Patches> {
    assert_eq!(runs.iter().sum::<usize>(), frames.len());
    let (mut state, mut rest, mut all) = (PrepareState::default(), frames, Vec::new());
    for &run in runs {
        let (own, others) = rest.split_at(run);
        all.push(processor.prepare(plan, own, &mut state).unwrap());
        rest = others;
    }
    all
}

/// All frames of a plan encoded at once.
pub(crate) fn encode(model: &dyn VideoLanguageModel, plan: &MediaPlan, media: &TestMedia) -> Features {
    let frames = media.planned(plan);
    let patches = prepare(&**model.processor(), plan, &frames, &[frames.len()]).remove(0);
    model.encode(plan, &patches).unwrap()
}

/// A conversation through plan, prepare, encode, project, prompt and embed.
pub(crate) fn embed_conversation(
    model: &dyn VideoLanguageModel,
    conversation: &Conversation,
    options: &PlanOptions,
    end: GenerationPrompt<'_>,
) -> Embedded {
    let processor = &**model.processor();
    let plans = plan(processor, &conversation.media, options);
    let features: Vec<Features> =
        plans.iter().zip(&conversation.media).map(|(plan, media)| encode(model, plan, media)).collect();
    let spans: Vec<Vec<VisualSpan>> = plans
        .iter()
        .zip(&features)
        .map(|(plan, features)| processor.visual_spans(plan, Some(&features.per_unit)))
        .collect();
    let placements = processor.placements(&conversation.messages, plans.len()).unwrap();
    let project = |placement: &zoetrope_models::contract::prompt::Placement| {
        let media = placement.media;
        model.project(&plans[media], &features[media], 0, placement.instruction.as_deref()).unwrap()
    };
    let visual: Vec<Tensor> = placements.iter().map(project).collect();
    let prompt = processor.prompt(&conversation.messages, &plans, &spans, end).unwrap();
    let x_td = embed(model, &prompt.tokens, &visual).unwrap();
    Embedded { plans, spans, visual, prompt, x_td }
}
