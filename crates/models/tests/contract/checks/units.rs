//! Units split anywhere are the whole, and a frame that is lost takes nothing else with it.

use candle_core::{DType, Tensor};
use zoetrope_media::Frame;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::features::{Features, Patches};
use zoetrope_models::contract::media_plan::MediaPlan;
use zoetrope_models::contract::prompt::{GenerationPrompt, PromptToken};

use crate::compare::{Tolerance, same};
use crate::conversations::ask;
use crate::formats::f32_format;
use crate::media::{picture, video, video_with_captions};
use crate::pipeline::{plan, prepare, settings_of, with_settings};
use crate::test_family::{TestFamily, all};

const INSTRUCTION: Option<&str> = Some("Which way does it move?");

/// All that comes of some frames.
struct Seen {
    pixels: Tensor,
    patches: Vec<Patches>,
    features: Features,
    /// `[V, D]`.
    tokens: Tensor,
}

/// Frames in runs of these lengths; each run is encoded in parts of at most `most` patches, then projected.
fn see(model: &dyn VideoLanguageModel, plan: &MediaPlan, frames: &[Frame], runs: &[usize], most: usize) -> Seen {
    let patches = prepare(&**model.processor(), plan, frames, runs);
    let parts: Vec<Patches> = patches.iter().flat_map(|patches| patches.split(most).unwrap()).collect();
    let features: Vec<Features> = parts.iter().map(|part| model.encode(plan, part).unwrap()).collect();
    let features = Features::concat(&features).unwrap();
    let (mut first, mut tokens) = (0, Vec::new());
    for run in &patches {
        let own = features.units(first..first + run.units.len()).unwrap();
        tokens.push(model.project(plan, &own, first, INSTRUCTION).unwrap());
        first += run.units.len();
    }
    let pixels: Vec<&Tensor> = patches.iter().map(|patches| &patches.pixels).collect();
    Seen { pixels: Tensor::cat(&pixels, 0).unwrap(), tokens: Tensor::cat(&tokens, 0).unwrap(), patches, features }
}

fn same_sight(what: &str, ours: &Seen, want: &Seen, tolerance: Tolerance) {
    same(&format!("{what}: pixels"), &ours.pixels, &want.pixels, Tolerance::Exact);
    let units = |seen: &Seen| seen.patches.iter().flat_map(|patches| patches.units.clone()).collect::<Vec<_>>();
    assert_eq!(units(ours), units(want), "{what}: units");
    assert_eq!(ours.features.per_unit, want.features.per_unit, "{what}: rows of each unit");
    same(&format!("{what}: features"), &ours.features.rows, &want.features.rows, tolerance);
    same(&format!("{what}: visual tokens"), &ours.tokens, &want.tokens, tolerance);
}

/// Media with every setting, their plans, and what a message about them is called.
fn each_plan(family: &TestFamily, check: impl Fn(&str, &MediaPlan, &[Frame])) {
    for settings in settings_of(&*family.processor) {
        let media = [picture(61, 45), video(64, 48, 10), video_with_captions(8, &[(1.2, "One."), (2.9, "Two.")])];
        let plans = plan(&*family.processor, &media, &with_settings(settings.clone()));
        for (number, (plan, media)) in plans.iter().zip(&media).enumerate() {
            check(&format!("{}, media {number} with {settings:?}", family.name()), plan, &media.planned(plan));
        }
    }
}

#[test]
fn units_cut_anywhere_are_the_whole() {
    for family in all() {
        let model = family.open_as(DType::F32);
        let tolerance = f32_format().same_kernels(family.processor.info());
        each_plan(family, |what, plan, frames| {
            let n = frames.len();
            let whole = see(&*model, plan, frames, &[n], usize::MAX);
            assert_eq!(whole.features.per_unit.len(), plan.units(), "{what}: units of the plan");
            let units: usize = whole.patches.iter().map(|patches| patches.units.len()).sum();
            assert_eq!(units, plan.units(), "{what}: prepared units");
            assert_eq!(whole.pixels.dims()[0], plan.patches(), "{what}: patches of the plan");
            same_sight(&format!("{what}, unit by unit"), &see(&*model, plan, frames, &[n], 1), &whole, tolerance);
            if plan.joint || n == 1 {
                return;
            }
            let halves = [n / 2, n - n / 2];
            for runs in [&vec![1; n][..], &halves, &[1, n - 1], &[n - 1, 1]] {
                let ours = see(&*model, plan, frames, runs, usize::MAX);
                same_sight(&format!("{what}, in runs of {runs:?}"), &ours, &whole, tolerance);
            }
        });
    }
}

/// Frames that cannot be decoded are known only while the others come, so they are prepared and encoded by the whole
/// plan.
#[test]
fn a_lost_frame_takes_nothing_else_with_it() {
    for family in all() {
        let model = family.open_as(DType::F32);
        let tolerance = f32_format().same_kernels(family.processor.info());
        each_plan(family, |what, planned, frames| {
            for lost in [0, frames.len() / 2, frames.len() - 1] {
                let what = format!("{what}, without frame {lost}");
                let left = |n: &usize| *n != lost;
                let kept: Vec<usize> = (0..frames.len()).filter(left).collect();
                if kept.is_empty() {
                    continue;
                }
                let frames: Vec<Frame> = kept.iter().map(|n| frames[*n].clone()).collect();
                let plan = planned.with_frames(kept.iter().map(|n| planned.frames[*n].clone()).collect());
                let want = see(&*model, &plan, &frames, &[frames.len()], usize::MAX);
                let patches = prepare(&**model.processor(), planned, &frames, &[frames.len()]).remove(0);
                let features = model.encode(planned, &patches).unwrap();
                let tokens = model.project(&plan, &features, 0, INSTRUCTION).unwrap();
                let ours = Seen { pixels: patches.pixels.clone(), patches: vec![patches], features, tokens };
                same_sight(&what, &ours, &want, tolerance);
                counted(&what, family, &plan, &ours.features, &ours.tokens);
            }
        });
    }
}

/// Spans, placeholders and captions of a plan that lost a frame.
fn counted(what: &str, family: &TestFamily, plan: &MediaPlan, features: &Features, tokens: &Tensor) {
    let spans = family.processor.visual_spans(plan, Some(&features.per_unit));
    let plans = std::slice::from_ref(plan);
    let messages = [ask(&[0], "What?")];
    let prompt = family.processor.prompt(&messages, plans, &[spans], GenerationPrompt::Reply("")).unwrap();
    assert_eq!(prompt.visual_tokens(), tokens.dims()[0], "{what}: visual tokens of the prompt and of the projector");
    let id = |token: &PromptToken| if let PromptToken::Text(id) = token { Some(*id) } else { None };
    let ids: Vec<u32> = prompt.tokens.iter().filter_map(id).collect();
    let text = family.processor.tokenizer().decode(&ids, false).unwrap();
    for (_, words) in &plan.captions {
        assert!(text.contains(words), "{what}: the prompt lost {words:?}: {text}");
    }
}
