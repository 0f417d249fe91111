//! A loss over two conversations, its gradients, and finite differences of it.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::media_plan::PlanOptions;
use zoetrope_models::contract::prompt::{GenerationPrompt, PromptToken};
use zoetrope_models::kv::KvContext;

use crate::compare::{root_mean_square, values};
use crate::conversations::{Conversation, ask, reply};
use crate::media::{picture, video_with_captions};
use crate::pipeline::{embed_conversation, settings_of, with_settings};

/// Two conversations that use everything: pictures, a video with captions, questions and replies.
pub(crate) fn lessons() -> Vec<Conversation> {
    let captioned = video_with_captions(6, &[(1.4, "A door.")]);
    vec![
        Conversation {
            name: "picture",
            messages: vec![ask(&[0], "What is it?"), reply("A box."), ask(&[], "Red?"), reply("Yes.")],
            media: vec![picture(61, 45)],
        },
        Conversation { name: "video", messages: vec![ask(&[0], "Where to?"), reply("Right.")], media: vec![captioned] },
    ]
}

/// The options of the checkpoint, and those with every flag set.
pub(crate) fn options_of(model: &dyn VideoLanguageModel) -> Vec<PlanOptions> {
    let settings = settings_of(&**model.processor()).into_iter();
    let flagged = settings.enumerate().filter(|(number, settings)| {
        let names = &model.processor().info().settings;
        *number == 0 || names.iter().any(|setting| settings.flag(setting.name) == Some(true))
    });
    flagged.map(|(_, settings)| with_settings(settings)).collect()
}

/// Logits `[targets, W]` of the replies of all lessons, in one varlen pass, and the ids that they should give.
pub(crate) fn replies(model: &dyn VideoLanguageModel, options: &PlanOptions) -> (Tensor, Vec<u32>) {
    let (mut x, mut positions, mut lens, mut rows, mut ids) = (vec![], vec![], vec![], vec![], vec![]);
    let mut first = 0;
    for lesson in lessons() {
        let embedded = embed_conversation(model, &lesson, options, GenerationPrompt::None);
        for &target in &embedded.prompt.targets {
            let PromptToken::Text(id) = embedded.prompt.tokens[target] else { panic!("target {target} is visual") };
            rows.push(first + target - 1);
            ids.push(id);
        }
        lens.push(embedded.prompt.tokens.len());
        first += embedded.prompt.tokens.len();
        positions.extend(embedded.prompt.positions);
        x.push(embedded.x_td);
    }
    assert!(!rows.is_empty(), "nothing is learned");
    let x_td = Tensor::cat(&x, 0).unwrap();
    (model.forward(&x_td, &positions, &mut KvContext::Varlen(&lens), &rows).unwrap(), ids)
}

/// The mean cross entropy of the replies, in nats.
fn loss(model: &dyn VideoLanguageModel, options: &PlanOptions) -> Tensor {
    let (logits, ids) = replies(model, options);
    let ids = Tensor::from_slice(&ids, (ids.len(), 1), logits.device()).unwrap();
    let log_sum = logits.exp().unwrap().sum_keepdim(1).unwrap().log().unwrap();
    (log_sum - logits.gather(&ids, 1).unwrap()).unwrap().mean_all().unwrap()
}

/// The loss in f64 over the model's own logits.
fn loss_value(model: &dyn VideoLanguageModel, options: &PlanOptions) -> f64 {
    let (logits, ids) = replies(model, options);
    let (width, logits) = (logits.dims()[1], values(&logits));
    let one = |(row, id): (&[f32], &u32)| {
        row.iter().map(|value| f64::from(*value).exp()).sum::<f64>().ln() - f64::from(row[*id as usize])
    };
    logits.chunks(width).zip(&ids).map(one).sum::<f64>() / ids.len() as f64
}

/// The gradient of each of `variables`. One may have none only if it changes nothing: fails when the loss depends on
/// it.
pub(crate) fn gradients_of(
    what: &str,
    model: &dyn VideoLanguageModel,
    options: &PlanOptions,
    variables: &BTreeMap<String, Var>,
) -> BTreeMap<String, Vec<f32>> {
    let loss = loss(model, options);
    let store = loss.backward().unwrap();
    let before = loss_value(model, options);
    let mut all = BTreeMap::new();
    for (name, variable) in variables {
        let gradient = match store.get(variable) {
            Some(gradient) => values(gradient),
            None => {
                let own = values(variable);
                put(variable, noise(name, own.len()));
                let after = loss_value(model, options);
                assert!(before == after, "{what}: {name} has no gradient, but moves the loss from {before} to {after}");
                put(variable, own);
                vec![0.0; variable.elem_count()]
            }
        };
        all.insert(name.clone(), gradient);
    }
    let with = variables.values().filter(|variable| store.get(variable).is_some()).count();
    assert!(4 * with > 3 * variables.len(), "{what}: only {with} of {} variables have gradients", variables.len());
    all
}

/// The slope of the loss along a direction in which every one of `variables` moves by values of its own size, to where
/// its gradient says that the loss rises.
pub(crate) struct Slope {
    /// By the gradients.
    pub(crate) gradient: f64,
    /// By finite differences.
    pub(crate) difference: f64,
    /// What the differences may be off by.
    pub(crate) error: f64,
}

/// The longest step of finite differences, as a share of the size of each variable.
const LONGEST_STEP: f64 = 0.02;

/// How far a step should move the loss, in nats.
const RISE: f64 = 0.01;

/// How much of a loss of one nat rounding may make: f32 in all stages, partly averaged over the targets.
const ROUNDING: f64 = 1e-6;

/// Compares gradients with finite differences along a random direction of a positive slope: along any other the slopes
/// of thousands of values nearly cancel.
pub(crate) fn slope(
    model: &dyn VideoLanguageModel,
    options: &PlanOptions,
    variables: &[(&String, &Var)],
    gradients: &BTreeMap<String, Vec<f32>>,
) -> Slope {
    let mut gradient = 0.0;
    let mut directions = Vec::new();
    for (name, variable) in variables {
        let (at, of) = (values(variable), &gradients[*name]);
        let size = root_mean_square(&at).max(0.02) as f32;
        // Where the gradient is zero it says nothing, and must be right about that.
        let uphill = |(by, of): (f32, &f32)| size * if *of == 0.0 { by } else { by.abs().copysign(*of) };
        let direction: Vec<f32> = noise(name, at.len()).into_iter().zip(of).map(uphill).collect();
        gradient += of.iter().zip(&direction).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        directions.push((at, direction));
    }
    let at = |step: f64| {
        for ((_, variable), (at, direction)) in variables.iter().zip(&directions) {
            let moved = at.iter().zip(direction).map(|(at, by)| at + step as f32 * by).collect::<Vec<_>>();
            put(variable, moved);
        }
        loss_value(model, options)
    };
    let central = |step: f64| (at(step) - at(-step)) / (2.0 * step);
    let step = (RISE / gradient).min(LONGEST_STEP);
    let [coarse, middle, fine] = [step, step / 2.0, step / 4.0].map(central);
    let loss = at(0.0);
    // The error of a central difference falls with the square of the step, which is taken out; what is left is smaller
    // than what was taken out and than what the extrapolation moves.
    let without_square = |coarse: f64, fine: f64| fine + (fine - coarse) / 3.0;
    let difference = without_square(middle, fine);
    let left = (difference - fine).abs() + (difference - without_square(coarse, middle)).abs();
    Slope { gradient, difference, error: left + 8.0 * ROUNDING * (1.0 + loss) / step }
}

/// Sets the values of a variable.
pub(crate) fn put(variable: &Var, values: Vec<f32>) {
    let tensor = Tensor::from_vec(values, variable.shape(), &Device::Cpu).unwrap();
    let tensor = tensor.to_device(variable.device()).unwrap().to_dtype(variable.dtype()).unwrap();
    variable.set(&tensor).unwrap();
}

/// Values of both signs, others for each name.
pub(crate) fn noise(name: &str, count: usize) -> Vec<f32> {
    let phase = name.bytes().fold(1.0, |sum: f32, byte| (sum * 31.0 + f32::from(byte)) % 1013.0);
    (0..count).map(|i| (i as f32 * 2.399 + phase).sin() * 1.4).collect()
}
