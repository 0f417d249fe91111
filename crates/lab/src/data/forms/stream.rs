//! Rows that talk while a video runs: every message has a time, and the frames up to it are shown before it.

use zoetrope_models::contract::prompt::Role;

use super::draft::{MediaDraft, RowMedia, Turn, TurnPart};
use crate::data::fault::{FaultKind, RowResult};

/// Gives each message the part of the video that has run since the one before. Frames before an answer belong to the
/// question before it; an answer that follows an answer has a question of frames alone. What runs after the last
/// message is not shown.
pub(super) fn interleave(turns: Vec<Turn>, row: &mut RowMedia) -> RowResult<Vec<Turn>> {
    let (Some(video), true) = (row.videos.pop(), row.videos.is_empty() && row.images.is_empty()) else {
        return Err(FaultKind::Times.of("messages have times, and there is not exactly one video"));
    };
    let mut shown = video.start.unwrap_or(0.0);
    let mut out: Vec<Turn> = Vec::with_capacity(turns.len());
    for (number, mut turn) in turns.into_iter().enumerate() {
        if turn.role == Role::System {
            out.push(turn);
            continue;
        }
        let Some(time) = turn.time else {
            return Err(FaultKind::Times.of(format!("turn {} has no time", number + 1)));
        };
        if time < shown && number > 0 {
            let text = format!("turn {} at {time} s comes before {shown} s", number + 1);
            return Err(FaultKind::Times.of(text));
        }
        let time = video.end.map_or(time, |end| time.min(end));
        let part = (time > shown).then(|| MediaDraft { start: Some(shown), end: Some(time), ..video.clone() });
        shown = shown.max(time);
        turn.parts.retain_mut(|part| match part {
            TurnPart::Text(text) => {
                *text = text.replace("<video>", "").trim().to_string();
                !text.is_empty()
            }
            _ => true,
        });
        match (turn.role, part) {
            (_, None) => {}
            (Role::Assistant, Some(part)) => match out.last_mut().filter(|last| last.role == Role::User) {
                Some(question) => question.parts.push(TurnPart::Media(part)),
                None => out.push(Turn { role: Role::User, parts: vec![TurnPart::Media(part)], time: None }),
            },
            (_, Some(part)) => turn.parts.insert(0, TurnPart::Media(part)),
        }
        out.push(turn);
    }
    Ok(out)
}
