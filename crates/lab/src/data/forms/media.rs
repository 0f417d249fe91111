//! Media that a row names: paths, lists of paths, objects with a path or bytes, lists of frames with times.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::draft::{ClipFrame, MediaDraft, MediaPlace, RowMedia};
use super::fields::{self, first, list, optional_seconds, seconds, shortened};
use crate::data::fault::{FaultKind, RowResult};

const IMAGE_FIELDS: [&str; 4] = ["images", "image", "image_path", "image_paths"];
const VIDEO_FIELDS: [&str; 4] = ["videos", "video", "video_path", "video_paths"];
const SOUND_FIELDS: [&str; 4] = ["audios", "audio", "audio_path", "audio_paths"];
/// Fields of a list of pictures that are one clip.
const FRAME_FIELDS: [&str; 2] = ["frames", "video_frames"];
const FRAME_TIME_FIELDS: [&str; 5] = ["frame_times", "frame_timestamps", "timestamps", "times", "frames_timestamps"];
const RATE_FIELDS: [&str; 4] = ["fps", "sample_fps", "frame_rate", "video_fps"];
const START_FIELDS: [&str; 3] = ["start", "start_time", "video_start"];
const END_FIELDS: [&str; 3] = ["end", "end_time", "video_end"];
/// Fields of an object that name its file.
const PATH_FIELDS: [&str; 12] =
    ["path", "image", "video", "frame", "file", "file_name", "filename", "url", "image_url", "video_url", "src", "uri"];
const TIME_FIELDS: [&str; 3] = ["time", "timestamp", "t"];
/// Endings of pictures: a list of such files where a video should be is one clip.
const PICTURES: [&str; 11] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "ppm", "heic", "avif", "jfif"];

/// The media of a row's own fields.
pub(super) fn of_row(row: &Map<String, Value>) -> RowResult<RowMedia> {
    if let Some((name, _)) = first(row, &SOUND_FIELDS) {
        return Err(FaultKind::Unsupported.of(format!("\"{name}\": models here hear no sound")));
    }
    let mut media = RowMedia::default();
    for name in IMAGE_FIELDS {
        if let Some((_, value)) = first(row, &[name]) {
            media.images.extend(pictures(name, value)?);
        }
    }
    for name in VIDEO_FIELDS {
        if let Some((_, value)) = first(row, &[name]) {
            media.videos.extend(videos(name, value, row)?);
        }
    }
    if let Some((name, value)) = first(row, &FRAME_FIELDS).filter(|(_, value)| value.is_array()) {
        media.videos.push(clip(name, list(name, value)?, row)?);
    }
    cut(row, &mut media.videos)?;
    Ok(media)
}

/// One picture or video of a message's part: `value` is a path, a list of frames or an object.
pub(super) fn of_part(name: &str, value: &Value, part: &Map<String, Value>) -> RowResult<MediaDraft> {
    let mut media = match value {
        Value::Array(frames) => vec![clip(name, frames, part)?],
        value => vec![one(name, value)?],
    };
    cut(part, &mut media)?;
    media.pop().ok_or_else(|| fields::wrong(name, value, "a path"))
}

/// The field of a message's part that holds its media.
pub(super) fn field_of_part<'p>(kind: &str, part: &'p Map<String, Value>) -> Option<(&'static str, &'p Value)> {
    let own = if kind.contains("video") { ["video", "video_url"] } else { ["image", "image_url"] };
    first(part, &[own[0], own[1], "url", "path", "file", "data"])
}

/// Pictures of an image field: every one is a picture of its own; a list in the list is a clip.
fn pictures(name: &str, value: &Value) -> RowResult<Vec<MediaDraft>> {
    match value {
        Value::Array(items) => items.iter().map(|item| picture(name, item)).collect(),
        value => Ok(vec![one(name, value)?]),
    }
}

fn picture(name: &str, item: &Value) -> RowResult<MediaDraft> {
    match item {
        Value::Array(frames) => clip(name, frames, &Map::new()),
        item => one(name, item),
    }
}

/// Videos of a video field: files, lists of frames, or one list of frames.
fn videos(name: &str, value: &Value, row: &Map<String, Value>) -> RowResult<Vec<MediaDraft>> {
    let Value::Array(items) = value else { return Ok(vec![one(name, value)?]) };
    let nested = items.iter().any(Value::is_array);
    if !nested && !items.is_empty() && items.iter().all(is_frame) {
        return Ok(vec![clip(name, items, row)?]);
    }
    let single = items.len() == 1;
    let video = |item: &Value| match item {
        // Times of the row belong to its only clip.
        Value::Array(frames) if single => clip(name, frames, row),
        Value::Array(frames) => clip(name, frames, &Map::new()),
        item => one(name, item),
    };
    items.iter().map(video).collect()
}

/// Whether an element of a video's list is a picture: by its name, its time, or because its bytes are said to be one.
fn is_frame(item: &Value) -> bool {
    let by_name = |path: &str| {
        let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
        PICTURES.contains(&ending.as_str()) || path.starts_with("data:image/")
    };
    match item {
        Value::String(path) => by_name(path),
        Value::Object(fields) => {
            first(fields, &TIME_FIELDS).is_some()
                || first(fields, &PATH_FIELDS).and_then(|(_, path)| path.as_str()).is_some_and(by_name)
        }
        _ => false,
    }
}

/// One file: a path, or an object with a path or bytes.
fn one(name: &str, value: &Value) -> RowResult<MediaDraft> {
    let fields = match value {
        Value::Object(fields) => fields,
        value => {
            return Ok(MediaDraft::whole(place(name, value)?));
        }
    };
    if let Some((field, frames)) = first(fields, &FRAME_FIELDS).filter(|(_, frames)| frames.is_array()) {
        return of_part(field, frames, fields);
    }
    if let Some((field, frames)) = first(fields, &["video"]).filter(|(_, frames)| frames.is_array()) {
        return of_part(field, frames, fields);
    }
    let mut media = [MediaDraft::whole(object_place(name, value, fields)?)];
    cut(fields, &mut media)?;
    let [media] = media;
    Ok(media)
}

/// Pictures as the frames of a clip; times are those of the frames, of a list beside them, or of a rate.
fn clip(name: &str, items: &[Value], beside: &Map<String, Value>) -> RowResult<MediaDraft> {
    let rate = optional_seconds(beside, &RATE_FIELDS)?.unwrap_or(1.0);
    if rate <= 0.0 {
        return Err(FaultKind::Times.of(format!("{rate} frames a second")));
    }
    let times = first(beside, &FRAME_TIME_FIELDS).filter(|(_, times)| is_list_of_times(times));
    let times = times.map(|(field, times)| list(field, times).map(|times| (field, times))).transpose()?;
    if let Some((field, times)) = times.filter(|(_, times)| times.len() != items.len()) {
        return Err(FaultKind::Times.of(format!("\"{field}\" has {} times for {} frames", times.len(), items.len())));
    }
    let mut frames: Vec<ClipFrame> = Vec::with_capacity(items.len());
    for (number, item) in items.iter().enumerate() {
        let (place, own) = match item {
            Value::Object(fields) => (object_place(name, item, fields)?, optional_seconds(fields, &TIME_FIELDS)?),
            item => (place(name, item)?, None),
        };
        let listed = times.map(|(field, times)| seconds(field, &times[number])).transpose()?;
        let time = own.or(listed).unwrap_or(number as f64 / rate);
        if let Some(before) = frames.last().filter(|before| before.time >= time) {
            let text = format!("frame {} at {time} s follows one at {} s", number + 1, before.time);
            return Err(FaultKind::Times.of(text));
        }
        frames.push(ClipFrame { place, time });
    }
    match frames.is_empty() {
        true => Err(FaultKind::FieldType.of(format!("\"{name}\" is an empty list of frames"))),
        false => Ok(MediaDraft::frames(frames)),
    }
}

/// Whether a list holds times of frames, and not the spans of an answer.
fn is_list_of_times(value: &Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(|time| !time.is_array()))
}

/// Puts the part that `fields` name into the only video.
fn cut(fields: &Map<String, Value>, media: &mut [MediaDraft]) -> RowResult<()> {
    let mut start = optional_seconds(fields, &START_FIELDS)?;
    let mut end = optional_seconds(fields, &END_FIELDS)?;
    if let Some((name, value)) = first(fields, &["clip"]).filter(|(_, value)| value.is_array()) {
        let [from, to] = list(name, value)? else { return Err(fields::wrong(name, value, "[start, end]")) };
        (start, end) = (Some(seconds(name, from)?), Some(seconds(name, to)?));
    }
    if start.is_none() && end.is_none() {
        return Ok(());
    }
    if let Some((start, end)) = start.zip(end).filter(|(start, end)| start >= end) {
        return Err(FaultKind::Times.of(format!("the start, {start} s, is not before the end, {end} s")));
    }
    match media {
        // Without a video, `start` and `end` are about something else.
        [] => Ok(()),
        [video] => {
            (video.start, video.end) = (start.or(video.start), end.or(video.end));
            Ok(())
        }
        several => Err(FaultKind::Times.of(format!("one start and end for {} videos", several.len()))),
    }
}

fn object_place(name: &str, value: &Value, fields: &Map<String, Value>) -> RowResult<MediaPlace> {
    if let Some((field, bytes)) = first(fields, &["bytes", "base64"]) {
        let bytes = fields::string(field, bytes)?;
        return if bytes.starts_with("data:") { place(field, &bytes.into()) } else { decoded(field, bytes) };
    }
    match first(fields, &PATH_FIELDS) {
        Some((field, Value::Object(inner))) => object_place(field, value, inner),
        Some((field, path)) => place(field, path),
        None => Err(fields::wrong(name, value, "a path or an object with a path")),
    }
}

/// A path, or bytes in a `data:` URL.
fn place(name: &str, value: &Value) -> RowResult<MediaPlace> {
    let text = fields::string(name, value)?;
    if let Some(data) = text.strip_prefix("data:") {
        let Some((_, encoded)) = data.split_once(";base64,") else {
            return Err(FaultKind::Unsupported.of(format!("\"{name}\" is a data URL without base64")));
        };
        return decoded(name, encoded);
    }
    if let Some(path) = text.strip_prefix("file://") {
        return Ok(MediaPlace::Path(path.to_string()));
    }
    let is_scheme = |scheme: &str| scheme.len() > 1 && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'+');
    if text.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) {
        return Err(FaultKind::MediaAddress.of(format!("{}; download it first", shortened(text))));
    }
    if text.trim().is_empty() || text.contains('\0') {
        return Err(FaultKind::FieldType.of(format!("\"{name}\" is {text:?}, not a path")));
    }
    Ok(MediaPlace::Path(text.to_string()))
}

fn decoded(name: &str, text: &str) -> RowResult<MediaPlace> {
    let bytes = STANDARD.decode(text.trim());
    let bytes = bytes.map_err(|error| FaultKind::FieldType.of(format!("\"{name}\" is no base64: {error}")))?;
    Ok(MediaPlace::Bytes(bytes))
}
