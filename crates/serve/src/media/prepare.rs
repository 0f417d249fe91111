//! From messages to a turn that the engine can answer: media are gathered, opened and planned.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use zoetrope_engine::{
    ContentPart, EngineError, FeatureIndex, FrameList, InMemory, Limits, MediaInput, MediaSource, OpenedMedia,
    PreparedTurn, content_digest, open_file,
};
use zoetrope_hub::fetch::Fetcher;
use zoetrope_media::{Frame, Time};
use zoetrope_models::contract::media_plan::{MediaKind, PlanOptions};
use zoetrope_models::contract::prompt::Role;

use super::address::{self, Address, MediaRoot};
use super::cage::Cage;
use super::spool::{Spool, Spooled};
use super::uploads::{Upload, Uploads};
use crate::error::ApiError;
use crate::host::ServedModel;
use crate::wire::content::{MediaPart, Message, Origin, RequestPart, Source};
use crate::wire::media_options::MediaOptions;

/// Rate of a list of frames whose client says none.
const LIST_FPS: f64 = 1.0;

/// Where media come from, and what they may cost.
pub(crate) struct Gathered {
    pub(crate) spool: Spool,
    pub(crate) uploads: Uploads,
    pub(crate) root: MediaRoot,
    /// Most bytes of one file.
    pub(crate) file_bytes: u64,
    /// Most frames of one film.
    pub(crate) frames: usize,
    /// Most bytes of the decoded pictures of a list of frames.
    pub(crate) list_bytes: u64,
    /// Fetches what lies on the web.
    pub(crate) fetcher: Fetcher,
    /// Opens and decodes in processes without rights; in this process where there is none.
    pub(crate) cage: Option<Cage>,
}

/// Files of the web that a request names, by address.
pub(crate) type WebFiles = HashMap<String, Arc<Spooled>>;

impl Gathered {
    /// Opens a file that a stranger has made. `name` is what warnings call it.
    ///
    /// # Errors
    /// [`EngineError::Media`].
    pub(crate) fn open(&self, path: &Path, name: &str, limits: &Limits) -> Result<Arc<dyn MediaSource>, EngineError> {
        match &self.cage {
            Some(cage) => cage.open(path, name, limits),
            None => open_file(path, limits),
        }
    }

    /// Fetches a file of the web. Blocks.
    ///
    /// # Errors
    /// What the client may know of why it cannot be fetched.
    pub(crate) fn fetch(&self, url: &str) -> Result<Spooled, ApiError> {
        let mut writer = self.spool.writer(self.file_bytes)?;
        let fetched = self.fetcher.fetch(url, &mut writer);
        match (writer.refused(), fetched) {
            (Some(refused), _) => Err(refused),
            (None, Ok(_)) => writer.finish(),
            (None, Err(error)) => Err(ApiError::invalid("url", error.to_string()).code("fetch_failed")),
        }
    }
}

/// The addresses of the web that messages name, each once, with the path of the part that is the first to do so.
pub(crate) fn web_addresses(messages: &[Message]) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for part in messages.iter().flat_map(|message| &message.parts) {
        let RequestPart::Media(media) = part else { continue };
        let origins = match &media.source {
            Source::One(origin) => std::slice::from_ref(origin),
            Source::Frames(list) => &list[..],
        };
        for origin in origins {
            if let Ok(Address::Web(url)) = address::of(origin)
                && !found.iter().any(|(own, _)| own == url)
            {
                found.push((url.to_string(), media.at.clone()));
            }
        }
    }
    found
}

/// A file to open.
enum Stored {
    Spooled(Arc<Spooled>),
    Upload(Arc<Upload>),
    Path(PathBuf),
}

impl Stored {
    fn path(&self) -> PathBuf {
        match self {
            Stored::Spooled(file) => file.path(),
            Stored::Upload(upload) => upload.spooled.path(),
            Stored::Path(path) => path.clone(),
        }
    }

    fn digest(&self) -> Option<[u8; 32]> {
        match self {
            Stored::Spooled(file) => Some(file.digest),
            Stored::Upload(upload) => Some(upload.spooled.digest),
            Stored::Path(path) => content_digest(path).ok(),
        }
    }

    fn name(&self) -> Option<String> {
        match self {
            Stored::Spooled(_) => None,
            Stored::Upload(upload) => Some(upload.name.clone()),
            Stored::Path(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
        }
    }
}

/// Keeps a file for as long as its frames are wanted.
struct Kept {
    source: Arc<dyn MediaSource>,
    _file: Stored,
}

impl MediaSource for Kept {
    fn metadata(&self) -> zoetrope_models::contract::media_plan::MediaMetadata {
        self.source.metadata()
    }

    fn subtitles(&self) -> Result<Option<zoetrope_engine::FoundSubtitles>, zoetrope_media::MediaError> {
        self.source.subtitles()
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> zoetrope_engine::FrameIter<'s> {
        self.source.frames(indices)
    }
}

/// Pictures and videos of `messages`.
pub(crate) fn media_count(messages: &[Message]) -> usize {
    let parts = messages.iter().flat_map(|message| &message.parts);
    parts.filter(|part| matches!(part, RequestPart::Media(_))).count()
}

/// Opens and plans the media of `messages`. Blocks: reads files, decodes a keyframe of each film.
///
/// # Errors
/// With the path of the part that is at fault.
pub(crate) fn prepare(
    gathered: &Gathered,
    model: &ServedModel,
    messages: Vec<Message>,
    options: &MediaOptions,
    web: &WebFiles,
) -> Result<PreparedTurn, ApiError> {
    let media = media_count(&messages);
    if media > model.limits.media {
        let text = format!("{media} pictures and videos are more than {}", model.limits.media);
        return Err(ApiError::invalid("messages", text).code("limit_exceeded"));
    }
    let has_store = model.index.as_ref().and_then(FeatureIndex::store).is_some();
    let opener = Opener { gathered, limits: &model.limits, web, request: options, has_store };
    let mut content = Vec::with_capacity(messages.len());
    let mut number = 0;
    for message in merged(messages) {
        let mut parts = Vec::with_capacity(message.parts.len());
        for part in message.parts {
            parts.push(match part {
                RequestPart::Text(text) => ContentPart::Text(text),
                RequestPart::Media(part) => {
                    number += 1;
                    let opened = opener.open(&part, number);
                    ContentPart::Media(MediaInput::Opened(opened.map_err(|error| blame(error, &part.at))?))
                }
            });
        }
        content.push((message.role, parts));
    }
    let plan = options.plan(None, gathered.frames);
    PreparedTurn::new(&model.processor, &model.limits, content, &plan, model.index.clone())
        .map_err(|error| ApiError::engine(&error, "messages"))
}

/// An error inside a part, told at the part.
fn blame(error: ApiError, at: &str) -> ApiError {
    match &error.param {
        Some(param) if param.starts_with("messages") || param.starts_with("input") => error,
        _ => ApiError { param: Some(at.to_string()), ..error },
    }
}

/// System messages in a row are one: a template has room for one.
fn merged(messages: Vec<Message>) -> Vec<Message> {
    let mut merged: Vec<Message> = Vec::with_capacity(messages.len());
    for message in messages {
        match merged.last_mut() {
            Some(last) if last.role == Role::System && message.role == Role::System => {
                last.parts.push(RequestPart::Text("\n\n".to_string()));
                last.parts.extend(message.parts);
            }
            _ => merged.push(message),
        }
    }
    merged
}

/// Opens the media of one request.
struct Opener<'r> {
    gathered: &'r Gathered,
    limits: &'r Limits,
    web: &'r WebFiles,
    request: &'r MediaOptions,
    /// Whether files are digested where they are planned, which is remembered for as long as they stay as they are.
    has_store: bool,
}

impl Opener<'_> {
    fn open(&self, part: &MediaPart, number: usize) -> Result<OpenedMedia, ApiError> {
        let options = part.options.clone().or(self.request);
        match &part.source {
            Source::One(origin) => self.file(part, origin, &options, number),
            Source::Frames(list) => self.frame_list(part, list, &options, number),
        }
    }

    fn file(
        &self,
        part: &MediaPart,
        origin: &Origin,
        options: &MediaOptions,
        number: usize,
    ) -> Result<OpenedMedia, ApiError> {
        let file = self.gather(origin)?;
        let name = part.name.clone().or_else(|| file.name());
        let path = file.path();
        let source = self.gathered.open(&path, &part.at, self.limits);
        let source = source.map_err(|error| ApiError::engine(&error, &part.at))?;
        let metadata = source.metadata();
        let kind = metadata.kind;
        let duration = (kind == MediaKind::Video).then(|| metadata.timeline.end());
        let own = options.plan(duration, self.gathered.frames);
        let plan = (!part.options.is_empty() || options.frames.is_some()).then_some(own);
        // A file of the user's stays where it is, and may have features beside it.
        let beside = matches!(file, Stored::Path(_)).then_some(path);
        let digest = if beside.is_some() && self.has_store { None } else { file.digest() };
        let source = Arc::new(Kept { source, _file: file });
        Ok(OpenedMedia { path: beside, digest, plan, ..OpenedMedia::new(shown(name, kind, number), source) })
    }

    /// The file of an origin.
    fn gather(&self, origin: &Origin) -> Result<Stored, ApiError> {
        let gathered = self.gathered;
        match address::of(origin)? {
            Address::Base64(text) => {
                Ok(Stored::Spooled(Arc::new(address::decode(text, &gathered.spool, gathered.file_bytes)?)))
            }
            Address::File(rest) => gathered.root.file(rest).map(Stored::Path),
            Address::Upload(id) => gathered.uploads.get(id).map(Stored::Upload),
            Address::Web(url) => match self.web.get(url) {
                Some(file) => Ok(Stored::Spooled(Arc::clone(file))),
                None => Err(ApiError::bug(&"an address that was not fetched")),
            },
        }
    }

    /// Pictures that are the frames of a video. All of them are shown, at the times that the client says.
    fn frame_list(
        &self,
        part: &MediaPart,
        list: &[Origin],
        options: &MediaOptions,
        number: usize,
    ) -> Result<OpenedMedia, ApiError> {
        let times = times(list.len(), options).map_err(|text| ApiError::invalid(&*part.at, text))?;
        let (mut frames, mut digest, mut bytes) = (Vec::with_capacity(list.len()), Sha256::new(), 0u64);
        for (index, (origin, time)) in list.iter().zip(&times).enumerate() {
            let at = |error: ApiError| {
                let message = format!("frame {index}: {}", error.message);
                ApiError { message, param: Some(part.at.clone()), ..error }
            };
            let file = self.gather(origin).map_err(at)?;
            let source = self.gathered.open(&file.path(), &part.at, self.limits);
            let source = source.map_err(|error| at(ApiError::engine(&error, &part.at)))?;
            let (width, height) = source.metadata().size();
            bytes += u64::from(width) * u64::from(height) * 3;
            if bytes > self.gathered.list_bytes {
                let text = format!("the frames have more than {} bytes of pixels", self.gathered.list_bytes);
                return Err(ApiError::invalid(&*part.at, text).code("limit_exceeded"));
            }
            let undecodable = || at(ApiError::invalid(&*part.at, "it cannot be decoded").code("invalid_media"));
            let frame = source.frames(&[0]).next().ok_or_else(undecodable)?;
            let frame = frame.map_err(|error| at(ApiError::media(&error, &part.at)))?;
            frames.push(Frame { index, time: *time, image: frame.frame.image });
            digest.update(file.digest().unwrap_or_default());
            digest.update(time.seconds().to_le_bytes());
        }
        let step = if times.len() > 1 { times[1].seconds() - times[0].seconds() } else { 1.0 / LIST_FPS };
        let end = times.last().map_or(0.0, |last| last.seconds()) + step;
        let source = Arc::new(FrameList(InMemory { kind: MediaKind::Video, frames, end }));
        let plan = PlanOptions { fps: None, ..options.plan(Some(end), self.gathered.frames) };
        let name = shown(part.name.clone(), MediaKind::Video, number);
        let digest = Some(digest.finalize().into());
        Ok(OpenedMedia { digest, plan: Some(plan), ..OpenedMedia::new(name, source) })
    }
}

/// The name of media in answers: its own, cut short, or its number.
fn shown(name: Option<String>, kind: MediaKind, number: usize) -> String {
    let kind = if kind == MediaKind::Image { "image" } else { "video" };
    match name {
        Some(name) => crate::error::shorten(&name.chars().filter(|c| !c.is_control()).collect::<String>(), 120),
        None => format!("{kind} {number}"),
    }
}

/// The times of `count` frames: their numbers in a film of a known rate, or one after the other.
fn times(count: usize, options: &MediaOptions) -> Result<Vec<Time>, String> {
    let fps = options.fps.unwrap_or(LIST_FPS);
    let time = |number: f64| Time::new((number / fps * 1e6).round() as i64, 1_000_000);
    match &options.frame_numbers {
        None => Ok((0..count).map(|number| time(number as f64)).collect()),
        Some(numbers) if numbers.len() == count => {
            // Beyond this a time in seconds would be no number that means anything.
            let most = fps * 1e9;
            match numbers.iter().find(|number| **number as f64 > most) {
                Some(number) => Err(format!("frame number {number} lies beyond all films")),
                None => Ok(numbers.iter().map(|number| time(*number as f64)).collect()),
            }
        }
        Some(numbers) => Err(format!("frames_indices has {} numbers for {count} frames", numbers.len())),
    }
}
