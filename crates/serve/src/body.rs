//! Bodies of requests: bounded in bytes, in time, and all together in memory.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::ApiError;
use crate::state::{BODY_UNIT, Server};
use crate::wire::json;

/// A body of JSON, and its share of what all bodies may take.
pub(crate) struct JsonBody {
    pub(crate) value: Value,
    _share: Vec<OwnedSemaphorePermit>,
}

impl FromRequest<Arc<Server>> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let (bytes, share) = read(server, &head.headers, body).await?;
        Ok(JsonBody { value: json::object(&head.headers, &bytes)?, _share: share })
    }
}

/// The length that the head announces, when it is one that is taken.
///
/// # Errors
/// 413 for more than `most`; 415 for a body that is compressed, which could unfold to any size.
pub(crate) fn announced(headers: &HeaderMap, most: u64) -> Result<Option<u64>, ApiError> {
    let coding = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes());
    if coding.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
        let text = "compressed bodies are not taken; send it as it is";
        return Err(ApiError::request(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", text));
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if length > most => Err(too_large(most)),
        length => Ok(length),
    }
}

fn too_large(most: u64) -> ApiError {
    let text =
        format!("the body has more than {} MB, which is the limit; upload films with POST /v1/files", most >> 20);
    ApiError::request(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", text)
}

fn too_slow() -> ApiError {
    ApiError::request(StatusCode::REQUEST_TIMEOUT, "timeout", "the body came too slowly")
}

/// Reads a body.
///
/// # Errors
/// 413, 415, 408, and 503 when all bodies together take too much memory.
async fn read(
    server: &Server,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Vec<u8>, Vec<OwnedSemaphorePermit>), ApiError> {
    let bounds = server.bounds;
    let announced = announced(headers, bounds.body as u64)?;
    let (mut bytes, mut share, mut shared) = (Vec::new(), Vec::new(), 0);
    let mut reader = Reader::new(body, server);
    // Nothing is set aside for what was only announced.
    bytes.reserve(announced.map_or(0, |length| length.min(BODY_UNIT as u64) as usize));
    while let Some(piece) = reader.next().await? {
        let length = bytes.len() + piece.len();
        if length > bounds.body {
            return Err(too_large(bounds.body as u64));
        }
        while shared < length {
            let busy = || ApiError::unavailable("too many large requests at once: try again later");
            share.push(Arc::clone(&server.bodies).try_acquire_owned().map_err(|_| busy())?);
            shared += BODY_UNIT;
        }
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes, share))
}

/// The pieces of a body, none of which may take long.
struct Reader<'s> {
    body: Body,
    server: &'s Server,
    end: Instant,
}

impl<'s> Reader<'s> {
    fn new(body: Body, server: &'s Server) -> Self {
        Reader { body, server, end: Instant::now() + server.bounds.whole }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// 408 when it takes too long, 400 when the client breaks off.
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            let frame = timeout(self.server.bounds.pause, self.body.frame());
            let frame = timeout_at(self.end, frame).await.map_err(|_| too_slow())?.map_err(|_| too_slow())?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(_)) => {
                    let text = "the body broke off";
                    return Err(ApiError::request(StatusCode::BAD_REQUEST, "broken_body", text));
                }
            }
        }
    }
}
