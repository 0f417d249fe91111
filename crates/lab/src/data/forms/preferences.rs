//! Pairs of preferences: one conversation with an answer that is preferred and with one that is not, in the forms of
//! LLaMA-Factory, ms-swift, TRL, alpaca and OpenAI, and with turns beside a conversation.

use serde_json::{Map, Value};
use zoetrope_models::contract::prompt::{Message, MessagePart, Role};

use super::draft::{Draft, RowMedia, Turn};
use super::fields::{first, wrong};
use super::{placeholders, turns};
use crate::data::fault::{FaultKind, RowResult};

/// Fields of the preferred answer. A row without one prefers the answer that ends its conversation.
const CHOSEN: [&str; 2] = ["chosen", "preferred_output"];
/// Fields of the answer that is not preferred.
const REJECTED: [&str; 4] = ["rejected", "rejected_response", "rejected_messages", "non_preferred_output"];

/// The conversations of a row, the preferred one first.
pub(super) struct TurnPair {
    chosen: Vec<Turn>,
    rejected: Vec<Turn>,
}

impl TurnPair {
    /// Both conversations changed alike.
    pub(super) fn map(self, change: impl Fn(Vec<Turn>) -> Vec<Turn>) -> Self {
        TurnPair { chosen: change(self.chosen), rejected: change(self.rejected) }
    }
}

/// The pair of a row; `None` when it has none of the fields of one. `conversation` reads the turns of the other fields.
pub(super) fn read(
    row: &Map<String, Value>,
    conversation: impl Fn() -> RowResult<Vec<Turn>>,
) -> RowResult<Option<TurnPair>> {
    let (chosen, rejected) = match (first(row, &CHOSEN), first(row, &REJECTED)) {
        (None, None) => return half(row),
        (Some((name, _)), None) => {
            return Err(FaultKind::HalfPair.of(format!("\"{name}\" without a rejected answer")));
        }
        (chosen, Some(rejected)) => (chosen, rejected),
    };
    if row.get("stream").and_then(Value::as_bool) == Some(true) {
        return Err(FaultKind::Unsupported.of("pairs of preferences in streams"));
    }
    let rejected_name = rejected.0;
    let rejected = answer(rejected)?;
    let chosen = match chosen {
        Some(chosen) => Some(answer(chosen)?),
        None => None,
    };
    // Where both are whole conversations, what else the row has says nothing.
    let is_whole = |turns: &[Turn]| turns.iter().any(|turn| turn.role == Role::User);
    let needs_before = !is_whole(&rejected) || !chosen.as_deref().is_some_and(is_whole);
    let mut before = if needs_before { shared(row, conversation)? } else { Vec::new() };
    let last = match before.last().map(|turn| turn.role) {
        Some(Role::Assistant) => before.pop(),
        _ => None,
    };
    let chosen = match (chosen, last) {
        (Some(chosen), None) => chosen,
        (Some(chosen), Some(last)) if chosen == [last.clone()] => chosen,
        (Some(_), Some(_)) => {
            return Err(FaultKind::RoleOrder.of("the preferred answer follows another answer"));
        }
        (None, Some(last)) => vec![last],
        (None, None) => {
            return Err(FaultKind::HalfPair.of(format!("\"{rejected_name}\" without a preferred answer")));
        }
    };
    let whole = |turns: Vec<Turn>| match is_whole(&turns) {
        true => turns,
        false => before.iter().cloned().chain(turns).collect(),
    };
    Ok(Some(TurnPair { chosen: whole(chosen), rejected: whole(rejected) }))
}

/// A row whose fields of a pair are all empty is half a pair, too.
fn half(row: &Map<String, Value>) -> RowResult<Option<TurnPair>> {
    let is_there = |name: &&&str| row.get(**name).is_some_and(|value| !value.is_null());
    match CHOSEN.iter().chain(&REJECTED).find(is_there) {
        Some(name) => Err(FaultKind::HalfPair.of(format!("\"{name}\" is empty"))),
        None => Ok(None),
    }
}

/// What both answers answer: the messages of OpenAI's `input`, TRL's `prompt` of messages, or what other rows have.
fn shared(row: &Map<String, Value>, conversation: impl Fn() -> RowResult<Vec<Turn>>) -> RowResult<Vec<Turn>> {
    if let Some((name, Value::Object(input))) = first(row, &["input"]) {
        if first(input, &["tools"]).is_some() {
            return Err(FaultKind::Unsupported.of("\"tools\": calls of tools are not learned"));
        }
        return match first(input, &["messages"]) {
            Some((name, messages)) => turns::of_field(name, messages),
            None => Err(wrong(name, &row[name], "an object with messages")),
        };
    }
    match first(row, &["prompt"]) {
        Some((name, messages)) if messages.is_array() => turns::of_field(name, messages),
        _ => conversation(),
    }
}

/// The turns of an answer: a text, a message, or a list of messages.
fn answer((name, value): (&'static str, &Value)) -> RowResult<Vec<Turn>> {
    match value {
        Value::String(text) => Ok(vec![Turn::text(Role::Assistant, text.as_str())]),
        Value::Object(_) => turns::read(name, std::slice::from_ref(value)),
        Value::Array(items) => turns::read(name, items),
        other => Err(wrong(name, other, "a text or messages")),
    }
}

/// The draft of a pair: both conversations show `media` in the same places, and part at an answer.
pub(super) fn place(pair: TurnPair, media: RowMedia) -> RowResult<Draft> {
    let TurnPair { chosen, rejected } = pair;
    turns::check_order(&chosen)?;
    turns::check_order(&rejected)?;
    let rejected = placeholders::place(rejected, media.clone())?;
    let chosen = placeholders::place(chosen, media)?;
    let shared = chosen.messages.iter().zip(&rejected.messages).take_while(|(a, b)| is_equal(a, b)).count();
    match (chosen.messages.get(shared), rejected.messages.get(shared)) {
        (None, None) => return Err(FaultKind::EqualAnswers.of("the preferred answer is the rejected one")),
        (Some(a), Some(b)) if a.role == Role::Assistant && b.role == Role::Assistant => {}
        (Some(_), Some(_)) => {
            return Err(FaultKind::UnlikePair.of(format!("the conversations part at turn {}", shared + 1)));
        }
        _ => return Err(FaultKind::UnlikePair.of(format!("one of the conversations ends after turn {shared}"))),
    }
    if chosen.media != rejected.media {
        return Err(FaultKind::UnlikePair.of("the conversations show other media"));
    }
    Ok(Draft { rejected: Some(rejected.messages), ..chosen })
}

/// Whether two messages say the same; space around an answer says nothing.
fn is_equal(a: &Message, b: &Message) -> bool {
    let answers = a.role == Role::Assistant && b.role == Role::Assistant;
    a == b || answers && words(a).is_some_and(|words| Some(words) == self::words(b))
}

/// The text of a message that is nothing else.
fn words(message: &Message) -> Option<&str> {
    match &message.parts[..] {
        [MessagePart::Text(text)] => Some(text.trim()),
        _ => None,
    }
}
