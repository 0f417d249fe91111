//! `/v1/files`: a film is sent once and used by its id.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::ServiceExt;
use tower_http::services::ServeFile;
use zoetrope_engine::{MediaSource, open_file};
use zoetrope_models::contract::media_plan::MediaKind;

use crate::body;
use crate::error::{ApiError, quoted, shorten};
use crate::media::{Spooled, Upload};
use crate::state::Server;

/// What uploads are for, in OpenAI's words. All are treated alike.
const PURPOSES: &[&str] = &["user_data", "vision", "assistants", "batch", "fine-tune", "evals"];
/// Fields of a form beside the file.
const MOST_FIELDS: usize = 16;
/// Bytes of such a field.
const MOST_FIELD_BYTES: usize = 4096;
/// Quality of pictures for the page.
const JPEG_QUALITY: u8 = 82;

/// Takes a file.
#[utoipa::path(post, path = "/v1/files", responses(
    (status = 200, description = "The file"), (status = 413, description = "It is too large")))]
pub(crate) async fn create(State(server): State<Arc<Server>>, request: Request) -> Result<axum::Json<Value>, ApiError> {
    body::announced(request.headers(), server.media.file_bytes.saturating_add(1 << 16))?;
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| {
        let text = "the body must be a form: send `Content-Type: multipart/form-data` with purpose and file";
        ApiError::request(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", text)
    })?;
    let (mut purpose, mut found, mut fields) = (None, None, 0);
    let end = tokio::time::Instant::now() + server.bounds.whole;
    while let Some(field) = paced(&server, end, form.next_field()).await? {
        fields += 1;
        if fields > MOST_FIELDS {
            return Err(ApiError::invalid("file", format!("a form of more than {MOST_FIELDS} fields")));
        }
        match field.name() {
            Some("file") if found.is_none() => found = Some(receive(&server, end, field).await?),
            Some("purpose") => purpose = Some(words(&server, end, field).await?),
            _ => {
                words(&server, end, field).await?;
            }
        }
    }
    let purpose = purpose.unwrap_or_else(|| "user_data".to_string());
    if !PURPOSES.contains(&&*purpose) {
        let text = format!("purpose {} is none of {}", quoted(&purpose), PURPOSES.join(", "));
        return Err(ApiError::invalid("purpose", text));
    }
    let (name, spooled) = found.ok_or_else(|| ApiError::invalid("file", "the form has no file"))?;
    if spooled.bytes == 0 {
        return Err(ApiError::invalid("file", "the file is empty"));
    }
    let spooled = Arc::new(spooled);
    let facts = facts(&server, Arc::clone(&spooled)).await?;
    let upload = server.media.uploads.add(name, purpose, spooled, facts)?;
    Ok(axum::Json(upload.card()))
}

/// A step of reading a form, which must not take long.
async fn paced<T>(
    server: &Server,
    end: tokio::time::Instant,
    step: impl Future<Output = Result<T, axum::extract::multipart::MultipartError>>,
) -> Result<T, ApiError> {
    let slow = || ApiError::request(StatusCode::REQUEST_TIMEOUT, "timeout", "the file came too slowly");
    let step = timeout(server.bounds.pause, step);
    let step = tokio::time::timeout_at(end, step).await.map_err(|_| slow())?.map_err(|_| slow())?;
    step.map_err(|error| ApiError::request(StatusCode::BAD_REQUEST, "broken_body", shorten(&error.body_text(), 200)))
}

async fn receive(
    server: &Server,
    end: tokio::time::Instant,
    mut field: axum::extract::multipart::Field<'_>,
) -> Result<(String, Spooled), ApiError> {
    let name = field.file_name().unwrap_or("file");
    // The last part of a path, without what a terminal or a header would take for commands.
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let name: String = name.chars().filter(|c| !c.is_control() && !is_direction(*c)).take(200).collect();
    let mut writer = server.media.spool.writer(server.media.file_bytes)?;
    while let Some(piece) = paced(server, end, field.chunk()).await? {
        // A local disk takes a piece in less time than a switch of threads would.
        writer.write(&piece)?;
    }
    Ok((if name.is_empty() { "file".to_string() } else { name }, writer.finish()?))
}

/// Characters that turn the direction of writing, so that a name shows another ending.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

async fn words(
    server: &Server,
    end: tokio::time::Instant,
    mut field: axum::extract::multipart::Field<'_>,
) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(piece) = paced(server, end, field.chunk()).await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MOST_FIELD_BYTES {
            return Err(ApiError::invalid("purpose", format!("a field of more than {MOST_FIELD_BYTES} bytes")));
        }
    }
    String::from_utf8(bytes).map_err(|_| ApiError::invalid("purpose", "a field is not text"))
}

/// Opens a stored file on a thread that may block.
async fn with_source<T: Send + 'static>(
    server: &Arc<Server>,
    spooled: Arc<Spooled>,
    work: impl FnOnce(&dyn MediaSource) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let _permit = server.opening.acquire().await.map_err(|error| ApiError::bug(&error))?;
    let limits = server.models.limits().clone();
    let done = tokio::task::spawn_blocking(move || {
        let source = open_file(&spooled.path(), &limits).map_err(|error| ApiError::engine(&error, "file"))?;
        work(source.as_ref())
    });
    done.await.map_err(|error| ApiError::bug(&error))?
}

/// What a file shows. A file that nothing can be seen in is refused now and not when it is asked about.
async fn facts(server: &Arc<Server>, spooled: Arc<Spooled>) -> Result<Value, ApiError> {
    with_source(server, spooled, |source| {
        let metadata = source.metadata();
        let (width, height) = metadata.size();
        let duration = (metadata.kind == MediaKind::Video).then(|| metadata.timeline.end());
        Ok(json!({"kind": metadata.kind, "width": width, "height": height, "duration": duration}))
    })
    .await
}

/// All files.
#[utoipa::path(get, path = "/v1/files", responses((status = 200, description = "All files, the newest first")))]
pub(crate) async fn list(State(server): State<Arc<Server>>) -> axum::Json<Value> {
    let cards: Vec<Value> = server.media.uploads.list().iter().map(|upload| upload.card()).collect();
    axum::Json(json!({"object": "list", "data": cards, "has_more": false}))
}

/// One file.
#[utoipa::path(get, path = "/v1/files/{file}", responses((status = 200, description = "The file")))]
pub(crate) async fn get(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
) -> Result<axum::Json<Value>, ApiError> {
    Ok(axum::Json(server.media.uploads.get(&id)?.card()))
}

/// Forgets a file.
#[utoipa::path(delete, path = "/v1/files/{file}", responses((status = 200, description = "It is gone")))]
pub(crate) async fn delete(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
) -> Result<axum::Json<Value>, ApiError> {
    let upload = server.media.uploads.remove(&id)?;
    Ok(axum::Json(json!({"id": upload.id, "object": "file", "deleted": true})))
}

/// The bytes of a file, or a range of them.
#[utoipa::path(get, path = "/v1/files/{file}/content", responses(
    (status = 200, description = "The bytes"), (status = 206, description = "A range of them")))]
pub(crate) async fn content(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let upload = server.media.uploads.get(&id)?;
    let mut request = Request::new(Body::empty());
    if let Some(range) = headers.get(header::RANGE).filter(|range| range.len() < 64) {
        request.headers_mut().insert(header::RANGE, range.clone());
    }
    let kind = kind_of(&upload).parse().map_err(|_| ApiError::bug(&"a media type of ours is none"))?;
    let served = ServeFile::new_with_mime(upload.spooled.path(), &kind).oneshot(request).await;
    let served = served.map_err(|error| ApiError::bug(&error))?;
    let mut response = served.map(Body::new).into_response();
    // The file lies there for as long as the answer is read.
    response.extensions_mut().insert(upload);
    Ok(response)
}

/// The media type that a browser is told: by what the file is, and never one that it would run.
fn kind_of(upload: &Upload) -> &'static str {
    let ending = upload.name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    match (upload.facts["kind"].as_str(), ending.as_str()) {
        (Some("image"), "jpg" | "jpeg") => "image/jpeg",
        (Some("image"), "gif") => "image/gif",
        (Some("image"), "webp") => "image/webp",
        (Some("image"), "png") => "image/png",
        (Some("video"), "webm") => "video/webm",
        (Some("video"), "mkv") => "video/x-matroska",
        (Some("video"), "mov" | "mp4" | "m4v") => "video/mp4",
        (Some("video"), "gif") => "image/gif",
        _ => "application/octet-stream",
    }
}

/// Which frame, and how wide.
#[derive(Debug, Deserialize)]
pub(crate) struct FrameQuery {
    #[serde(default)]
    time: f64,
    #[serde(default = "usual_width")]
    width: u32,
}

fn usual_width() -> u32 {
    640
}

/// The frame that is on screen at a time, as JPEG.
#[utoipa::path(get, path = "/v1/files/{file}/frame", responses(
    (status = 200, description = "The frame", content_type = "image/jpeg")))]
pub(crate) async fn frame(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    query: Result<Query<FrameQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(FrameQuery { time, width }) =
        query.map_err(|_| ApiError::invalid("time", "time is a number of seconds, width one of pixels"))?;
    if !time.is_finite() || !(16..=4096).contains(&width) {
        return Err(ApiError::invalid("width", "width is not from 16 to 4096, or time is no number"));
    }
    let upload = server.media.uploads.get(&id)?;
    let jpeg = with_source(&server, Arc::clone(&upload.spooled), move |source| picture(source, time, width)).await?;
    let headers = [(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, "private, max-age=3600")];
    Ok((headers, jpeg).into_response())
}

fn picture(source: &dyn MediaSource, time: f64, width: u32) -> Result<Vec<u8>, ApiError> {
    let metadata = source.metadata();
    let index = if metadata.kind == MediaKind::Image { 0 } else { metadata.timeline.on_screen(time.max(0.0)) };
    let undecodable = || ApiError::invalid("time", "the frame cannot be decoded").code("invalid_media");
    let frame = source.frames(&[index]).next().ok_or_else(undecodable)?.map_err(|_| undecodable())?.frame.image;
    let (own_width, own_height) = (frame.width, frame.height);
    let whole = image::RgbImage::from_raw(own_width, own_height, frame.data).ok_or_else(undecodable)?;
    let shown = match own_width > width {
        true => {
            let height = (u64::from(own_height) * u64::from(width) / u64::from(own_width)).max(1) as u32;
            image::imageops::thumbnail(&whole, width, height)
        }
        false => whole,
    };
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY);
    let written = encoder.write_image(shown.as_raw(), shown.width(), shown.height(), ExtendedColorType::Rgb8);
    written.map_err(|error| ApiError::bug(&error))?;
    Ok(jpeg)
}

/// The subtitles of a film.
#[utoipa::path(get, path = "/v1/files/{file}/subtitles", responses((status = 200, description = "Cues by time")))]
pub(crate) async fn subtitles(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
) -> Result<axum::Json<Value>, ApiError> {
    let upload = server.media.uploads.get(&id)?;
    let cues = with_source(&server, Arc::clone(&upload.spooled), |source| {
        let found = source.subtitles().map_err(|error| ApiError::invalid("file", error.to_string()))?;
        Ok(found.map(|found| found.captions).unwrap_or_default())
    });
    Ok(axum::Json(json!({"cues": cues.await?})))
}
