//! Which form a row has.

use serde_json::{Map, Value};
use zoetrope_models::contract::prompt::Role;

use super::draft::{Draft, MediaDraft, RowMedia, Turn};
use super::fields::{self, first, list, optional_string, seconds, string};
use super::{media, pairs, placeholders, preferences, stream, turns};
use crate::data::fault::{FaultKind, RowResult};

/// Fields that hold a list of turns.
const CONVERSATIONS: [&str; 5] = ["conversations", "messages", "conversation", "dialogue", "dialog"];
/// Fields that describe the media, where there is no conversation.
const CAPTIONS: [&str; 3] = ["caption", "captions", "text"];
/// Fields with the spans of time that are the answer.
const SPANS: [&str; 3] = ["timestamps", "timestamp", "spans"];

/// Fields that change what is meant by a row, in ways that no sample expresses.
const UNREAD: [(&str, &str); 4] = [
    ("tools", "calls of tools are not learned"),
    ("objects", "write boxes and names into the text"),
    ("rejected_images", "both answers of a pair are to the same media"),
    ("rejected_videos", "both answers of a pair are to the same media"),
];

/// The row's turns and media. `members` are names of pictures and videos in the row's archive, which are its media
/// where it names none.
pub(in crate::data) fn read(row: &Map<String, Value>, members: RowMembers) -> RowResult<Draft> {
    if let Some((name, why)) = UNREAD.into_iter().find(|(name, _)| first(row, &[name]).is_some()) {
        return Err(FaultKind::Unsupported.of(format!("\"{name}\": {why}")));
    }
    let mut media = media::of_row(row)?;
    if media.is_empty() {
        media = members.into_media();
    }
    let system = optional_string(row, "system")?;
    if let Some(pair) = preferences::read(row, || conversation(row, &media))? {
        return preferences::place(pair.map(|turns| with_system(turns, system)), media);
    }
    let mut turns = conversation(row, &media)?;
    if turns.last().is_some_and(|turn| turn.role == Role::User) {
        turns.extend(spans(row)?.map(|answer| Turn::text(Role::Assistant, answer)));
    }
    turns = with_system(turns, system);
    let is_stream = row.get("stream").and_then(Value::as_bool).unwrap_or(false);
    let speaks = |turn: &&Turn| turn.role != Role::System;
    let is_timed = media.videos.len() == 1 && turns.iter().filter(speaks).all(|turn| turn.time.is_some());
    if is_stream || is_timed {
        turns = stream::interleave(turns, &mut media)?;
    }
    turns::check_order(&turns)?;
    placeholders::place(turns, media)
}

/// The turns after the words of the system that the row has in a field of its own.
fn with_system(mut turns: Vec<Turn>, system: &str) -> Vec<Turn> {
    if !system.is_empty() && turns.first().is_none_or(|turn| turn.role != Role::System) {
        turns.insert(0, Turn::text(Role::System, system));
    }
    turns
}

fn conversation(row: &Map<String, Value>, media: &RowMedia) -> RowResult<Vec<Turn>> {
    if let Some((name, value)) = first(row, &CONVERSATIONS) {
        return turns::of_field(name, value);
    }
    if let Some((name, value)) = first(row, &["QA", "qa"]).filter(|(_, value)| value.is_array()) {
        return pairs::of_qa(name, value);
    }
    let caption = first(row, &CAPTIONS).filter(|(_, value)| value.is_string());
    let has_question = pairs::PAIRS.iter().any(|pair| row.contains_key(pair.question));
    match caption {
        Some((name, caption)) if !has_question && !media.is_empty() => {
            let question = Turn { role: Role::User, parts: Vec::new(), time: None };
            Ok(vec![question, Turn::text(Role::Assistant, string(name, caption)?.trim())])
        }
        _ => pairs::of_fields(row),
    }
}

/// The answer of a row that has spans of time: `24.3-30.4 s`.
fn spans(row: &Map<String, Value>) -> RowResult<Option<String>> {
    let Some((name, value)) = first(row, &SPANS) else { return Ok(None) };
    let all = list(name, value)?;
    let all = if all.iter().all(Value::is_array) { all } else { std::slice::from_ref(value) };
    let mut words = Vec::with_capacity(all.len());
    for span in all {
        let [start, end] = list(name, span)? else { return Err(fields::wrong(name, span, "[start, end]")) };
        let (start, end) = (seconds(name, start)?, seconds(name, end)?);
        if start > end {
            return Err(FaultKind::Times.of(format!("the answer, {start} to {end} s, ends before it starts")));
        }
        words.push(format!("{start:.1}-{end:.1} s"));
    }
    Ok(Some(words.join(", ")))
}

/// Pictures and videos that lie beside a row in its archive.
#[derive(Debug, Default)]
pub(in crate::data) struct RowMembers {
    /// Names of pictures.
    pub(in crate::data) images: Vec<String>,
    /// Names of videos.
    pub(in crate::data) videos: Vec<String>,
}

impl RowMembers {
    fn into_media(self) -> RowMedia {
        RowMedia {
            images: self.images.into_iter().map(MediaDraft::of_path).collect(),
            videos: self.videos.into_iter().map(MediaDraft::of_path).collect(),
        }
    }
}
