//! Messages and their parts: text, and media in all the shapes that clients send.

use serde_json::{Map, Value};
use zoetrope_models::contract::prompt::Role;

use super::media_options::MediaOptions;
use crate::error::{ApiError, quoted};

/// Most messages of a request, and parts of all messages.
const MOST_MESSAGES: usize = 4096;
const MOST_PARTS: usize = 8192;
/// Most pictures of a list of frames.
const MOST_FRAMES: usize = 2048;

/// What the parts can be.
const KINDS: &str = "text, image_url, video_url, input_video, file, image, video \
                     (in responses: input_text, input_image, input_video, input_file)";

/// Where bytes of media come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// An address: `data:`, `http:`, `https:` or `file:`; or the id of a file.
    Address(String),
    /// Base64 without an address around it.
    Base64(String),
    /// The id of an uploaded file.
    File(String),
}

/// Media of a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// One file.
    One(Origin),
    /// The frames of a video, picture by picture.
    Frames(Vec<Origin>),
}

/// A picture or video of a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MediaPart {
    pub(crate) source: Source,
    /// As the client called it.
    pub(crate) name: Option<String>,
    pub(crate) options: MediaOptions,
    /// Its path in the request.
    pub(crate) at: String,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RequestPart {
    Text(String),
    Media(MediaPart),
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) role: Role,
    pub(crate) parts: Vec<RequestPart>,
}

/// The messages of `value`, which is the field `name` of a request.
///
/// # Errors
/// With the path of what cannot be used. Nothing is left out in silence.
pub(crate) fn messages(value: &Value, name: &str) -> Result<Vec<Message>, ApiError> {
    let Value::Array(list) = value else {
        return Err(ApiError::invalid(name, format!("{name} is not a list of messages")));
    };
    if list.is_empty() {
        return Err(ApiError::invalid(name, format!("{name} is empty: there is nothing to answer")));
    }
    if list.len() > MOST_MESSAGES {
        let text = format!("{} messages are more than {MOST_MESSAGES}", list.len());
        return Err(ApiError::invalid(name, text).code("limit_exceeded"));
    }
    let (mut messages, mut parts) = (Vec::with_capacity(list.len()), 0);
    for (number, value) in list.iter().enumerate() {
        let message = message(value, &format!("{name}[{number}]"))?;
        parts += message.parts.len();
        if parts > MOST_PARTS {
            return Err(ApiError::invalid(name, format!("more than {MOST_PARTS} parts")).code("limit_exceeded"));
        }
        messages.push(message);
    }
    Ok(messages)
}

fn message(value: &Value, at: &str) -> Result<Message, ApiError> {
    let Value::Object(fields) = value else {
        return Err(ApiError::invalid(at, "a message is an object with role and content"));
    };
    let role = match fields.get("role") {
        Some(Value::String(role)) => role_of(role, at)?,
        _ => return Err(ApiError::invalid(format!("{at}.role"), "role is not a text")),
    };
    let own = format!("{at}.content");
    let parts = match fields.get("content") {
        Some(Value::String(text)) => vec![RequestPart::Text(text.clone())],
        Some(Value::Array(list)) => parts(list, &own)?,
        // An assistant's turn of tool calls has no words.
        Some(Value::Null) | None if role == Role::Assistant => vec![RequestPart::Text(String::new())],
        _ => return Err(ApiError::invalid(own, "content is neither a text nor a list of parts")),
    };
    let shows_media = parts.iter().any(|part| matches!(part, RequestPart::Media(_)));
    if shows_media && role != Role::User {
        let text = format!("a {} message shows media; only those of the user can", role.name());
        return Err(ApiError::invalid(own, text));
    }
    Ok(Message { role, parts })
}

fn role_of(role: &str, at: &str) -> Result<Role, ApiError> {
    match role {
        "system" | "developer" => Ok(Role::System),
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        other => {
            let text = format!("role {} is not system, developer, user or assistant", quoted(other));
            Err(ApiError::invalid(format!("{at}.role"), text))
        }
    }
}

fn parts(list: &[Value], at: &str) -> Result<Vec<RequestPart>, ApiError> {
    if list.len() > MOST_PARTS {
        let text = format!("{} parts are more than {MOST_PARTS}", list.len());
        return Err(ApiError::invalid(at, text).code("limit_exceeded"));
    }
    let mut parts: Vec<RequestPart> = Vec::with_capacity(list.len());
    for (number, value) in list.iter().enumerate() {
        let at = format!("{at}[{number}]");
        let (new, is_frame) = part(value, &at)?;
        // SGLang's clients send the frames of a video as pictures that say so.
        match (new, parts.last_mut()) {
            (RequestPart::Media(new), Some(RequestPart::Media(last))) if is_frame && is_frames(last) => {
                join_frames(last, new)?;
            }
            (RequestPart::Media(new), _) if is_frame => parts.push(RequestPart::Media(as_frames(new))),
            (new, _) => parts.push(new),
        }
    }
    Ok(parts)
}

fn is_frames(media: &MediaPart) -> bool {
    matches!(media.source, Source::Frames(_))
}

fn as_frames(media: MediaPart) -> MediaPart {
    let source = match media.source {
        Source::One(origin) => Source::Frames(vec![origin]),
        frames => frames,
    };
    MediaPart { source, ..media }
}

fn join_frames(list: &mut MediaPart, next: MediaPart) -> Result<(), ApiError> {
    if let (Source::Frames(all), Source::One(origin)) = (&mut list.source, next.source) {
        all.push(origin);
        check_frames(all.len(), &next.at)?;
    }
    Ok(())
}

fn check_frames(count: usize, at: &str) -> Result<(), ApiError> {
    match count {
        0 => Err(ApiError::invalid(at, "a list of frames is empty")),
        1..=MOST_FRAMES => Ok(()),
        _ => Err(ApiError::invalid(at, format!("{count} frames are more than {MOST_FRAMES}")).code("limit_exceeded")),
    }
}

/// A part, and whether it is one of the frames of a video.
fn part(value: &Value, at: &str) -> Result<(RequestPart, bool), ApiError> {
    let Value::Object(fields) = value else {
        return Err(ApiError::invalid(at, "a part is an object with a type"));
    };
    let Some(Value::String(kind)) = fields.get("type") else {
        return Err(ApiError::invalid(format!("{at}.type"), format!("a part has a type: {KINDS}")));
    };
    let is_frame = fields.get("modalities").and_then(Value::as_str) == Some("video");
    let media = match kind.as_str() {
        "text" | "input_text" | "output_text" => match fields.get("text") {
            Some(Value::String(text)) => return Ok((RequestPart::Text(text.clone()), false)),
            _ => return Err(ApiError::invalid(format!("{at}.text"), "a part of text has no text")),
        },
        "image_url" | "video_url" | "input_image" | "input_video" | "image" | "video" => media(fields, kind, at)?,
        "file" | "input_file" => file(fields, kind, at)?,
        other => {
            let text = format!("parts of type {} cannot be used; these can: {KINDS}", quoted(other));
            return Err(ApiError::invalid(format!("{at}.type"), text).code("unsupported_part"));
        }
    };
    Ok((RequestPart::Media(media), is_frame))
}

/// `image_url`, `video_url`, `input_image`, `input_video`, `image` and `video`.
fn media(fields: &Map<String, Value>, kind: &str, at: &str) -> Result<MediaPart, ApiError> {
    // Responses put the address of a picture where chat has an object.
    let names: &[&str] =
        if kind == "input_image" { &["image_url", "input_image", "file_id"] } else { &[kind, "file_id"] };
    let found = names.iter().find_map(|name| fields.get(*name).filter(|value| !value.is_null()).map(|v| (*name, v)));
    let Some((name, value)) = found else {
        return Err(ApiError::invalid(format!("{at}.{kind}"), format!("a part of type {kind} has no {kind}")));
    };
    let at_value = format!("{at}.{name}");
    let (source, body) = match value {
        Value::String(text) if name == "file_id" => (Source::One(Origin::File(text.clone())), None),
        Value::String(text) => (Source::One(Origin::Address(text.clone())), None),
        Value::Array(list) => (Source::Frames(addresses(list, &at_value)?), None),
        Value::Object(body) => (Source::One(origin(body, &at_value)?), Some(body)),
        _ => return Err(ApiError::invalid(at_value, format!("{name} is neither an address nor an object"))),
    };
    let options = MediaOptions::of_part(fields, body, at)?;
    Ok(MediaPart { source: frame_list(source, &at_value)?, name: name_of(fields, body), options, at: at.to_string() })
}

/// The origin that the body of a part names: `url`, `data`, or `file_id`.
fn origin(body: &Map<String, Value>, at: &str) -> Result<Origin, ApiError> {
    let text = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ApiError::invalid(format!("{at}.{name}"), format!("{name} is not a text"))),
    };
    if let Some(url) = text("url")? {
        return Ok(Origin::Address(url));
    }
    if let Some(id) = text("file_id")? {
        return Ok(Origin::File(id));
    }
    match text("data")? {
        Some(data) if data.starts_with("data:") => Ok(Origin::Address(data)),
        Some(data) => Ok(Origin::Base64(data)),
        None => Err(ApiError::invalid(format!("{at}.url"), "there is neither url, data nor file_id")),
    }
}

/// `file` and `input_file`: bytes, an id, or an address.
fn file(fields: &Map<String, Value>, kind: &str, at: &str) -> Result<MediaPart, ApiError> {
    let body = match (kind, fields.get("file")) {
        ("file", Some(Value::Object(body))) => body,
        ("file", _) => return Err(ApiError::invalid(format!("{at}.file"), "a part of type file has no file")),
        _ => fields,
    };
    let text = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ApiError::invalid(format!("{at}.{name}"), format!("{name} is not a text"))),
    };
    let data = match text("file_data")? {
        Some(data) if data.starts_with("data:") => Some(Origin::Address(data)),
        data => data.map(Origin::Base64),
    };
    let origin = match (text("file_id")?, data, text("file_url")?) {
        (Some(id), ..) => Origin::File(id),
        (None, Some(data), _) => data,
        (None, None, Some(url)) => Origin::Address(url),
        (None, None, None) => {
            return Err(ApiError::invalid(format!("{at}.{kind}"), "there is neither file_id, file_data nor file_url"));
        }
    };
    let options = MediaOptions::of_part(fields, Some(body), at)?;
    let source = frame_list(Source::One(origin), at)?;
    Ok(MediaPart { source, name: name_of(fields, Some(body)), options, at: at.to_string() })
}

fn name_of(fields: &Map<String, Value>, body: Option<&Map<String, Value>>) -> Option<String> {
    let from = |object: &Map<String, Value>| {
        ["filename", "name"].iter().find_map(|key| object.get(*key)?.as_str().map(String::from))
    };
    body.and_then(from).or_else(|| from(fields)).filter(|name| !name.is_empty())
}

fn addresses(list: &[Value], at: &str) -> Result<Vec<Origin>, ApiError> {
    check_frames(list.len(), at)?;
    let address = |(number, value): (usize, &Value)| match value {
        Value::String(text) => Ok(Origin::Address(text.clone())),
        Value::Object(body) => origin(body, &format!("{at}[{number}]")),
        _ => Err(ApiError::invalid(format!("{at}[{number}]"), "a frame is not an address")),
    };
    list.iter().enumerate().map(address).collect()
}

/// vLLM's `data:video/jpeg;base64,AAAA,BBBB` is a list of pictures.
fn frame_list(source: Source, at: &str) -> Result<Source, ApiError> {
    const PREFIX: &str = "data:video/jpeg;base64,";
    match source {
        Source::One(Origin::Address(address)) if has_prefix(&address, PREFIX) => {
            let list = &address[PREFIX.len()..];
            check_frames(list.bytes().filter(|byte| *byte == b',').count() + 1, at)?;
            Ok(Source::Frames(list.split(',').map(|frame| Origin::Base64(frame.to_string())).collect()))
        }
        source => Ok(source),
    }
}

/// Whether `text` begins with `prefix`, whatever the case.
pub(crate) fn has_prefix(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sources(part: Value) -> Result<Vec<Source>, String> {
        let value = json!([{"role": "user", "content": part}]);
        let messages =
            messages(&value, "messages").map_err(|e| format!("{}: {}", e.param.unwrap_or_default(), e.message))?;
        let source = |part: &RequestPart| match part {
            RequestPart::Media(media) => Some(media.source.clone()),
            RequestPart::Text(_) => None,
        };
        Ok(messages[0].parts.iter().filter_map(source).collect())
    }

    #[test]
    fn a_film_arrives_in_all_the_shapes_that_clients_send() {
        let url = "data:video/mp4;base64,AAAA";
        let address = Source::One(Origin::Address(url.to_string()));
        for (part, want) in [
            (json!({"type": "video_url", "video_url": {"url": url}}), &address),
            (json!({"type": "video_url", "video_url": url}), &address),
            (json!({"type": "image_url", "image_url": {"url": url}}), &address),
            (json!({"type": "input_video", "input_video": {"url": url}}), &address),
            (json!({"type": "input_video", "input_video": {"data": url, "type": "base64"}}), &address),
            (
                json!({"type": "input_video", "input_video": {"data": "AAAA", "format": "mp4"}}),
                &Source::One(Origin::Base64("AAAA".into())),
            ),
            (json!({"type": "file", "file": {"filename": "a.mp4", "file_data": url}}), &address),
            (json!({"type": "file", "file": {"file_id": "file-1"}}), &Source::One(Origin::File("file-1".into()))),
            (json!({"type": "input_file", "filename": "a.mp4", "file_data": url}), &address),
            (json!({"type": "input_image", "image_url": url, "detail": "auto"}), &address),
            (json!({"type": "video", "video": url, "nframes": 4}), &address),
            (
                json!({"type": "video", "video": [url, url]}),
                &Source::Frames(vec![Origin::Address(url.into()), Origin::Address(url.into())]),
            ),
            (
                json!({"type": "video_url", "video_url": {"url": "data:video/jpeg;base64,AA==,BB=="}}),
                &Source::Frames(vec![Origin::Base64("AA==".into()), Origin::Base64("BB==".into())]),
            ),
        ] {
            assert_eq!(sources(json!([part.clone()])), Ok(vec![want.clone()]), "{part}");
        }
        let frame = json!({"type": "image_url", "image_url": {"url": "x"}, "modalities": "video"});
        let frames = Source::Frames(vec![Origin::Address("x".into()), Origin::Address("x".into())]);
        assert_eq!(sources(json!([frame, frame, {"type": "text", "text": "?"}])), Ok(vec![frames]));
    }

    #[test]
    fn an_unusable_part_is_refused_by_its_path_with_those_that_can_be_used() {
        for (content, start) in [
            (json!([{"type": "smell", "smell": "x"}]), "messages[0].content[0].type: parts of type \"smell\""),
            (json!([{"type": "text"}]), "messages[0].content[0].text: "),
            (json!([{"type": "video_url", "video_url": null}]), "messages[0].content[0].video_url: "),
            (json!([{"type": "video_url", "video_url": {"url": 7}}]), "messages[0].content[0].video_url.url: "),
            (json!([{"type": "file", "file": {}}]), "messages[0].content[0].file: "),
            (json!([7]), "messages[0].content[0]: "),
            (json!({}), "messages[0].content: "),
        ] {
            let told = sources(content.clone()).expect_err("refused");
            assert!(told.starts_with(start), "{content}: {told}");
        }
    }

    #[test]
    fn options_beside_and_inside_a_part_are_its_own() {
        let value = json!([{"role": "user", "content": [
            {"type": "video_url", "video_url": {"url": "x", "start": 1, "max_frames": 2}, "fps": 3}]}]);
        let messages = messages(&value, "messages").expect("messages");
        let RequestPart::Media(media) = &messages[0].parts[0] else { panic!("media") };
        let want = MediaOptions { fps: Some(3.0), max_frames: Some(2), start: Some(1.0), ..MediaOptions::default() };
        assert_eq!(media.options, want);
    }
}
