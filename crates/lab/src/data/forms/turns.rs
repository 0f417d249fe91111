//! Lists of turns: objects with a role and a content, in the names that data sets use.

use serde_json::{Map, Value};
use zoetrope_models::contract::prompt::Role;

use super::draft::{Turn, TurnPart};
use super::fields::{self, first, list, shortened, string};
use super::media;
use super::pairs::{self, PAIRS};
use crate::data::fault::{FaultKind, RowResult};

/// The turns of a list.
pub(super) fn read(name: &str, items: &[Value]) -> RowResult<Vec<Turn>> {
    let mut turns = Vec::with_capacity(items.len());
    for (number, item) in items.iter().enumerate() {
        let Value::Object(fields) = item else {
            let text = format!("turn {} of \"{name}\" is {}, not an object", number + 1, type_of(item));
            return Err(FaultKind::FieldType.of(text));
        };
        match first(fields, &["from", "role", "speaker"]) {
            Some((field, role)) => {
                let role = role_of(string(field, role)?, number + 1)?;
                turns.push(turn(role, fields, number + 1)?);
            }
            None if PAIRS.iter().any(|pair| fields.contains_key(pair.answer)) => {
                turns.extend(pairs::of_fields(fields)?);
            }
            // Rows that ask for times have one question without a role.
            None if items.len() == 1 => turns.push(turn(Role::User, fields, 1)?),
            None => return Err(FaultKind::UnknownRole.of(format!("turn {} has none", number + 1))),
        }
    }
    Ok(turns)
}

fn type_of(value: &Value) -> &'static str {
    crate::data::rows::type_name(value)
}

/// The role by the name that a data set gives it.
fn role_of(name: &str, turn: usize) -> RowResult<Role> {
    match name.trim().to_ascii_lowercase().as_str() {
        "user" | "human" => Ok(Role::User),
        "assistant" | "gpt" | "model" | "bot" | "chatgpt" | "bing" | "bard" => Ok(Role::Assistant),
        "system" | "developer" => Ok(Role::System),
        _ => Err(FaultKind::UnknownRole.of(format!("{:?} in turn {turn}", shortened(name)))),
    }
}

fn turn(role: Role, fields: &Map<String, Value>, number: usize) -> RowResult<Turn> {
    let is_unlearned = fields.get("loss").and_then(Value::as_bool) == Some(false)
        || fields.get("weight").and_then(Value::as_f64) == Some(0.0);
    if role == Role::Assistant && is_unlearned {
        return Err(FaultKind::Unsupported.of(format!("turn {number} is not to be learned, and all answers are")));
    }
    let content = first(fields, &["value", "content", "text"]);
    let mut parts = match content {
        None => Vec::new(),
        Some((_, Value::String(text))) => vec![TurnPart::Text(text.clone())],
        Some((field, Value::Array(items))) => {
            let mut parts = Vec::with_capacity(items.len());
            for item in items {
                parts.push(part(field, item, number)?);
            }
            parts
        }
        Some((field, Value::Object(_))) => vec![part(field, &fields[field], number)?],
        Some((field, other)) => return Err(fields::wrong(field, other, "text or a list of parts")),
    };
    // Media of the turn itself stand before its text, unless placeholders say where.
    let own = media::of_row(&media_of_turn(fields))?;
    let named = own.images.into_iter().chain(own.videos).map(TurnPart::Media);
    parts.splice(0..0, named);
    // In chats without a video it is the time of day, in whatever form.
    let time = fields.get("time").and_then(Value::as_f64);
    Ok(Turn { role, parts, time })
}

/// The fields of a turn without its times, which are those of what is said.
fn media_of_turn(fields: &Map<String, Value>) -> Map<String, Value> {
    let kept = ["images", "image", "videos", "video", "audio", "audios"];
    kept.iter().filter_map(|name| Some((name.to_string(), fields.get(*name)?.clone()))).collect()
}

/// A part of a content list.
fn part(field: &str, item: &Value, turn: usize) -> RowResult<TurnPart> {
    let fields = match item {
        Value::String(text) => return Ok(TurnPart::Text(text.clone())),
        Value::Object(fields) => fields,
        other => return Err(fields::wrong(field, other, "a list of texts and objects")),
    };
    let kind = match first(fields, &["type"]) {
        Some((name, kind)) => string(name, kind)?,
        None => ["text", "image", "video", "image_url", "video_url"]
            .into_iter()
            .find(|kind| fields.contains_key(*kind))
            .unwrap_or_default(),
    };
    match kind {
        "text" | "input_text" | "output_text" => {
            let text = first(fields, &["text", "content", "value"]);
            Ok(TurnPart::Text(text.map_or(Ok(""), |(name, text)| string(name, text))?.to_string()))
        }
        "image" | "image_url" | "input_image" | "video" | "video_url" => match media::field_of_part(kind, fields) {
            Some((name, value)) => Ok(TurnPart::Media(media::of_part(name, value, fields)?)),
            None if kind.contains("video") => Ok(TurnPart::NextVideo),
            None => Ok(TurnPart::NextImage),
        },
        _ => {
            let text = format!("a part of type {:?} in turn {turn}", shortened(kind));
            Err(FaultKind::Unsupported.of(text))
        }
    }
}

/// Checks that questions and answers follow each other, after at most one message of the system, and end with an
/// answer.
pub(super) fn check_order(turns: &[Turn]) -> RowResult<()> {
    let said = usize::from(turns.first().is_some_and(|turn| turn.role == Role::System));
    for (number, turn) in turns.iter().enumerate().skip(said) {
        let wanted = if (number - said).is_multiple_of(2) { Role::User } else { Role::Assistant };
        if turn.role != wanted {
            let (is, wanted) = (turn.role.name(), wanted.name());
            return Err(FaultKind::RoleOrder.of(format!("turn {} is of the {is}, not of the {wanted}", number + 1)));
        }
    }
    match turns.len() - said {
        0 => Err(FaultKind::NoConversation.of("it has no turns")),
        said if said % 2 == 1 => Err(FaultKind::RoleOrder.of("the last question has no answer")),
        _ => Ok(()),
    }
}

/// The turns of a conversation field.
pub(super) fn of_field(name: &str, value: &Value) -> RowResult<Vec<Turn>> {
    read(name, list(name, value)?)
}
