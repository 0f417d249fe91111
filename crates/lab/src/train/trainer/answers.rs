//! What the model says now to a sample's last question: greedy, over a KV cache.

use candle_core::DType;
use zoetrope_engine::PatchStream;
use zoetrope_media::Rgb;
use zoetrope_models::contract::features::Features;
use zoetrope_models::contract::media_plan::{MediaKind, PlanOptions};
use zoetrope_models::contract::prompt::{GenerationPrompt, Message, MessagePart, Role};
use zoetrope_models::contract::{VideoLanguageModel, embed};
use zoetrope_models::kv::{BLOCK, KvCache, KvContext, SequenceRun};

use crate::error::LabError;
use crate::sample::Sample;
use crate::train::pack::write_prompt;

/// Most tokens of an answer.
const MOST_TOKENS: usize = 32;
/// Most frames of a sample that are kept.
const MOST_FRAMES: usize = 8;

/// An answer, and what it is an answer to.
pub(super) struct Answered {
    pub(super) question: String,
    pub(super) expected: String,
    pub(super) answer: String,
    /// Frames in their order, each with its time in seconds (none of a picture).
    pub(super) frames: Vec<(Rgb, Option<f64>)>,
}

/// Answers the last question of `sample`; `None` when nobody answers it there.
///
/// # Errors
/// When media cannot be decoded, and when messages and media do not fit together.
pub(super) fn answer(
    model: &dyn VideoLanguageModel,
    sample: &Sample,
    options: &PlanOptions,
) -> Result<Option<Answered>, LabError> {
    let Some(last) = sample.messages.iter().rposition(|message| message.role == Role::Assistant) else {
        return Ok(None);
    };
    let (asked, expected) = (&sample.messages[..last], text(&sample.messages[last]));
    let question = asked.iter().rev().find(|message| message.role == Role::User).map(text).unwrap_or_default();
    let processor = model.processor();
    let plans = sample.plan(&**processor, options)?;
    let (mut encoded, mut frames) = (Vec::new(), Vec::new());
    for (media, plan) in sample.media.iter().zip(&plans) {
        let mut features = Vec::new();
        for prepared in PatchStream::new(processor, "sample", &media.source, plan) {
            features.push(model.encode(plan, &prepared?.patches)?);
        }
        encoded.push(Features::concat(&features)?);
        let every = plan.frames.len().div_ceil(MOST_FRAMES).max(1);
        let shown: Vec<_> = plan.frames.iter().step_by(every).collect();
        let indices: Vec<usize> = shown.iter().map(|frame| frame.index).collect();
        for (frame, planned) in media.source.frames(&indices).zip(shown) {
            let time = (plan.kind == MediaKind::Video).then_some(planned.time);
            let frame = frame.map_err(|error| LabError::Caller(error.to_string()))?;
            frames.push((frame.frame.image, time));
        }
    }
    let (prompt, visual) = write_prompt(model, asked, (&plans, &encoded), GenerationPrompt::Reply(""))?;
    let (mut rows_td, mut positions) = (embed(model, &prompt.tokens, &visual)?.detach(), prompt.positions.clone());
    let (mut next, mut ids) = (prompt.next_position(), Vec::new());
    let info = processor.info();
    let most = MOST_TOKENS.min(info.max_positions.saturating_sub(positions.len()));
    let blocks: Vec<u32> = (0..(positions.len() + most).div_ceil(BLOCK) as u32).collect();
    let cache = KvCache::new(info.kv, blocks.len(), DType::F32.into(), model.weights().device())?;
    let (mut cache, mut past) = (cache.dropping_gradients(), 0);
    while ids.len() < most {
        let new = positions.len();
        let runs = &[SequenceRun { past, new, blocks: &blocks }];
        let mut context = KvContext::Paged { cache: &mut cache, runs };
        let logits_1w = model.forward(&rows_td, &positions, &mut context, &[new - 1])?.detach();
        let id = logits_1w.argmax(1)?.to_vec1::<u32>()?[0];
        if info.stop.ids.contains(&id) {
            break;
        }
        ids.push(id);
        (rows_td, positions) = (model.embed_tokens(&[id])?.detach(), vec![next]);
        (past, next) = (past + new, next.next());
    }
    let said = processor.tokenizer().decode(&ids, true).map_err(|error| LabError::Caller(error.to_string()))?;
    let ends = info.stop.texts.iter().filter_map(|stop| said.find(stop.as_str())).min().unwrap_or(said.len());
    Ok(Some(Answered { question, expected, answer: said[..ends].trim().to_string(), frames }))
}

/// The words of a message.
fn text(message: &Message) -> String {
    let words = message.parts.iter().filter_map(|part| match part {
        MessagePart::Text(text) => Some(text.trim()),
        MessagePart::Media(_) => None,
    });
    words.collect::<Vec<_>>().join(" ").trim().to_string()
}
