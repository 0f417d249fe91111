//! Placeholders in questions, and the media that they stand for.

use zoetrope_models::contract::prompt::{Message, MessagePart, Role};

use super::draft::{ClipFrame, Draft, MediaDraft, MediaPlace, MediaShape, RowMedia, Turn, TurnPart};
use crate::data::fault::{FaultKind, RowResult};

const IMAGE: &str = "<image>";
const VIDEO: &str = "<video>";

/// Numbers the media in the order in which they appear. Placeholders count in questions only: an answer may speak of
/// HTML. Media without any placeholder stand before the first question. Space around placeholders goes.
pub(super) fn place(turns: Vec<Turn>, mut row: RowMedia) -> RowResult<Draft> {
    let has_media = |turn: &Turn| turn.parts.iter().any(|part| matches!(part, TurnPart::Media(_)));
    // Where parts say what is shown, texts are only texts.
    let is_literal = row.is_empty() && turns.iter().any(has_media);
    let mut turns: Vec<Turn> = match is_literal {
        true => turns,
        false => turns.into_iter().map(split).collect(),
    };
    let count = |turns: &[Turn], wanted: &TurnPart| {
        turns.iter().flat_map(|turn| &turn.parts).filter(|part| *part == wanted).count()
    };
    let (images, videos) = (count(&turns, &TurnPart::NextImage), count(&turns, &TurnPart::NextVideo));
    if images + videos == 0 {
        put_first(&mut turns, &mut row);
    } else if images == 0 && videos == 1 && row.videos.is_empty() && row.images.len() > 1 {
        row.videos.extend(as_clip(&mut row.images));
    }
    check_counts((images, videos), &row)?;
    // A video may stand at `<image>`, and a picture at `<video>`, where the row has only one kind.
    let (only_videos, only_images) = (row.images.is_empty(), row.videos.is_empty());
    let (mut next_image, mut next_video) = (row.images.into_iter(), row.videos.into_iter());
    let mut draft = Draft::default();
    for turn in turns {
        let mut message = Message { role: turn.role, parts: Vec::new() };
        for part in turn.parts {
            let media = match part {
                TurnPart::Text(text) => {
                    message.parts.extend((!text.is_empty()).then_some(MessagePart::Text(text)));
                    continue;
                }
                TurnPart::Media(media) => Some(media),
                TurnPart::NextImage if only_videos => next_video.next(),
                TurnPart::NextVideo if only_images => next_image.next(),
                TurnPart::NextImage => next_image.next(),
                TurnPart::NextVideo => next_video.next(),
            };
            if let Some(media) = media {
                message.parts.push(MessagePart::Media(draft.media.len()));
                draft.media.push(media);
            }
        }
        draft.messages.push(message);
    }
    check_words(&draft.messages)?;
    Ok(draft)
}

/// A question cut at its placeholders; other turns as they are.
fn split(turn: Turn) -> Turn {
    if turn.role != Role::User {
        return turn;
    }
    let mut parts = Vec::new();
    for part in turn.parts {
        match part {
            TurnPart::Text(text) => cut(&text, &mut parts),
            other => parts.push(other),
        }
    }
    Turn { parts, ..turn }
}

fn cut(text: &str, parts: &mut Vec<TurnPart>) {
    let mut rest = text;
    loop {
        let places = [(IMAGE, TurnPart::NextImage), (VIDEO, TurnPart::NextVideo)];
        let next = places.into_iter().filter_map(|(tag, part)| Some((rest.find(tag)?, tag, part)));
        let Some((at, tag, part)) = next.min_by_key(|(at, ..)| *at) else { break };
        push_text(&rest[..at], parts);
        parts.push(part);
        rest = &rest[at + tag.len()..];
    }
    push_text(rest, parts);
}

fn push_text(text: &str, parts: &mut Vec<TurnPart>) {
    let text = text.trim();
    parts.extend((!text.is_empty()).then(|| TurnPart::Text(text.to_string())));
}

/// Puts the row's media before the first question.
fn put_first(turns: &mut [Turn], row: &mut RowMedia) {
    if let Some(first) = turns.iter_mut().find(|turn| turn.role == Role::User) {
        let media = row.images.drain(..).chain(row.videos.drain(..)).map(TurnPart::Media);
        first.parts.splice(0..0, media);
    }
}

/// Pictures at one `<video>`: a clip of one frame a second.
fn as_clip(images: &mut Vec<MediaDraft>) -> Option<MediaDraft> {
    let place = |media: &MediaDraft| match &media.shape {
        MediaShape::Whole(place) => Some(place.clone()),
        MediaShape::Frames(_) => None,
    };
    let places: Vec<MediaPlace> = images.iter().map(place).collect::<Option<_>>()?;
    images.clear();
    let frames = places.into_iter().enumerate().map(|(second, place)| ClipFrame { place, time: second as f64 });
    Some(MediaDraft::frames(frames.collect()))
}

fn check_counts((images, videos): (usize, usize), row: &RowMedia) -> RowResult<()> {
    let (own_images, own_videos) = (row.images.len(), row.videos.len());
    let fits = match own_images == 0 || own_videos == 0 {
        true => images + videos == own_images + own_videos,
        false => (images, videos) == (own_images, own_videos),
    };
    if fits {
        return Ok(());
    }
    let text =
        format!("{images} {IMAGE} and {videos} {VIDEO}, the row has {own_images} images and {own_videos} videos");
    Err(FaultKind::Placeholders.of(text))
}

/// Checks that every question and every answer says something.
fn check_words(messages: &[Message]) -> RowResult<()> {
    for (number, message) in messages.iter().enumerate() {
        let says = message.parts.iter().any(|part| match part {
            MessagePart::Text(text) => !text.trim().is_empty(),
            MessagePart::Media(_) => message.role == Role::User,
        });
        let kind = if message.role == Role::Assistant { FaultKind::EmptyAnswer } else { FaultKind::EmptyQuestion };
        if !says {
            return Err(kind.of(format!("turn {}", number + 1)));
        }
    }
    Ok(())
}
