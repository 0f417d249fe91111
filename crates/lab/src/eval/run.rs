//! The evaluation loop: each question in a conversation of its own.

use std::sync::Arc;

use zoetrope_engine::{Answer, ContentPart, FrameFaults, Limits, MediaInput, OpenedMedia, Options, Session, ignore};
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::prompt::MessagePart;

use super::held_out::EvalItem;
use super::score::{EvalReport, score};
use crate::error::LabError;

/// Enough tokens for every right answer; the longest is a short sentence.
pub const MAX_ANSWER_TOKENS: usize = 64;

/// Asks `model` every question of `items` and scores the answers. Calls `on_answer` with the number of answers so far.
///
/// # Errors
/// [`LabError::Engine`] when a question cannot be answered, and [`LabError::Cancelled`] after `options.cancel`.
pub fn run(
    model: &Arc<dyn VideoLanguageModel>,
    items: &[EvalItem],
    limits: &Limits,
    options: &Options,
    on_answer: &mut dyn FnMut(usize),
) -> Result<EvalReport, LabError> {
    let (mut answered, mut faults) = (0, FrameFaults::default());
    let report = score(items, &mut |item| {
        let answer = answer(model, item, limits, options)?;
        answer.media.iter().for_each(|media| faults += media.faults);
        answered += 1;
        on_answer(answered);
        Ok(answer.text)
    });
    report.map(|report| EvalReport { faults, ..report })
}

fn answer(
    model: &Arc<dyn VideoLanguageModel>,
    item: &EvalItem,
    limits: &Limits,
    options: &Options,
) -> Result<Answer, LabError> {
    let sample = item.sample();
    let mut session = Session::new(Arc::clone(model), limits.clone())?;
    let mut content = Vec::new();
    for part in sample.messages.into_iter().flat_map(|message| message.parts) {
        content.push(match part {
            MessagePart::Text(text) => ContentPart::Text(text),
            MessagePart::Media(n) => {
                let source = Arc::clone(&sample.media[n].source);
                ContentPart::Media(MediaInput::Opened(OpenedMedia::new(format!("scene {n}"), source)))
            }
        });
    }
    let answer = session.ask(content, options, &mut ignore)?;
    if options.cancel.is_cancelled() { Err(LabError::Cancelled) } else { Ok(answer) }
}
