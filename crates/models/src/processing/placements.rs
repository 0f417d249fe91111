//! Where media stand in a conversation.

use crate::contract::media_plan::MediaPlan;
use crate::contract::prompt::{Message, MessagePart, Placement, Role, VisualSpan};
use crate::error::{ModelError, ModelResult};

/// Every picture or video once, where a user's message shows it.
///
/// # Errors
/// [`ModelError::Caller`] when a message of another role shows media, or not every one is shown exactly once.
pub fn in_order(messages: &[Message], media: usize) -> ModelResult<Vec<Placement>> {
    let shows = |message: &Message| message.parts.iter().any(|part| matches!(part, MessagePart::Media(_)));
    if messages.iter().any(|message| message.role != Role::User && shows(message)) {
        return Err(ModelError::Caller("media may stand in user messages only".to_string()));
    }
    let parts = messages.iter().flat_map(|message| &message.parts);
    let shown: Vec<usize> =
        parts.filter_map(|part| if let MessagePart::Media(n) = part { Some(*n) } else { None }).collect();
    let mut sorted = shown.clone();
    sorted.sort_unstable();
    if sorted != (0..media).collect::<Vec<_>>() {
        let text = format!("the messages show media {sorted:?}, the request has {media}");
        return Err(ModelError::Caller(text));
    }
    Ok(shown.into_iter().map(|media| Placement { media, instruction: None }).collect())
}

/// Fails unless there are spans for every one of `plans`.
///
/// # Errors
/// [`ModelError::Bug`] with both numbers.
pub fn check_spans(plans: &[MediaPlan], spans: &[Vec<VisualSpan>]) -> ModelResult<()> {
    match (spans.len(), plans.len()) {
        (spans, plans) if spans != plans => Err(ModelError::Bug(format!("spans of {spans} media, plans of {plans}"))),
        _ => Ok(()),
    }
}
