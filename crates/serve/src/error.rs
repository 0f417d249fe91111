//! What a client is told when a request is refused: OpenAI's nesting, with the part's path in `param`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use zoetrope_engine::EngineError;
use zoetrope_media::MediaError;
use zoetrope_models::error::ModelError;

/// Longest message; a message may name what a client sent, and must not echo all of it.
const LONGEST_MESSAGE: usize = 600;

/// A refusal or a failure.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) kind: &'static str,
    pub(crate) param: Option<String>,
    pub(crate) code: &'static str,
    /// What would fit instead, in words.
    pub(crate) fits: Option<String>,
    /// Seconds after which the client may try again.
    pub(crate) retry_after: Option<u32>,
}

/// The body of an error.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    error: ErrorDetails,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorDetails {
    /// In words.
    message: String,
    /// `invalid_request_error`, `rate_limit_error`, `authentication_error` or `server_error`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The path of the field that is at fault, such as `messages[0].content[1]`.
    param: Option<String>,
    /// A word for programs.
    code: &'static str,
    /// What would fit instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    zoetrope: Option<Value>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        let message = shorten(&message.into(), LONGEST_MESSAGE);
        ApiError { status, message, kind, param: None, code, fits: None, retry_after: None }
    }

    /// A request that cannot be answered as it is.
    pub(crate) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "invalid_value", message);
        ApiError { param: Some(param.into()), ..error }
    }

    /// As [`ApiError::invalid`], with another code.
    pub(crate) fn code(self, code: &'static str) -> Self {
        ApiError { code, ..self }
    }

    /// As this, at fault of `param`, unless another is named already.
    pub(crate) fn at(self, param: &str) -> Self {
        let param = self.param.or_else(|| Some(param.to_string()));
        ApiError { param, ..self }
    }

    /// A body or header that is no request.
    pub(crate) fn request(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(status, "invalid_request_error", code, message)
    }

    /// Something that there is not.
    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", code, message)
    }

    /// Too much at once.
    pub(crate) fn busy(message: impl Into<String>, retry_after: u32) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "queue_full", message);
        ApiError { retry_after: Some(retry_after), ..error }
    }

    /// Not now.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", "unavailable", message);
        ApiError { retry_after: Some(5), ..error }
    }

    /// A key is missing or wrong.
    pub(crate) fn key() -> Self {
        let message = "an API key is needed: send it as `Authorization: Bearer KEY`";
        Self::new(StatusCode::UNAUTHORIZED, "authentication_error", "invalid_api_key", message)
    }

    /// A defect of ours. The log has the details; the client is told none.
    pub(crate) fn bug(details: &dyn std::fmt::Display) -> Self {
        tracing::error!("{details}");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            "internal_error",
            "internal error; the log says more",
        )
    }

    /// What would fit instead.
    pub(crate) fn fits(self, fits: Option<String>) -> Self {
        ApiError { fits, ..self }
    }

    /// What the engine says, about the field `param`.
    pub(crate) fn engine(error: &EngineError, param: &str) -> Self {
        match error {
            EngineError::Caller(text) => Self::invalid(param, text.clone()),
            EngineError::Limit { what, .. } => {
                let code = match *what {
                    "prompt tokens" | "visual tokens" => "context_length_exceeded",
                    "characters of a message" | "bytes of text" => "string_above_max_length",
                    _ => "limit_exceeded",
                };
                Self::invalid(param, error.to_string()).code(code)
            }
            EngineError::Media { error, .. } => Self::media(error, param),
            EngineError::Model(ModelError::Caller(text)) => Self::invalid(param, text.clone()),
            EngineError::Model(error @ ModelError::Limit { .. }) => {
                Self::invalid(param, error.to_string()).code("limit_exceeded")
            }
            EngineError::Text(error) => Self::invalid(param, error.to_string()),
            EngineError::Cancelled => Self::unavailable("the request was cancelled"),
            other => Self::bug(other),
        }
    }

    /// What is wrong with a picture or film, about the field `param`. What FFmpeg says is for the log: it may name
    /// files of this machine. What the operator could install is not for the client, either.
    pub(crate) fn media(error: &MediaError, param: &str) -> Self {
        let text = match error {
            MediaError::Malformed { part, what } => {
                let own = what.split("FFmpeg").next().unwrap_or_default().trim_end_matches([' ', ';', ':', '(']);
                match own.is_empty() {
                    true => "it is no picture or film that can be read".to_string(),
                    false => format!("malformed {part}: {own}"),
                }
            }
            MediaError::Unsupported { what, .. } => format!("unsupported {what}"),
            MediaError::Limit { .. } => return Self::invalid(param, error.to_string()).code("limit_exceeded"),
            MediaError::Caller(text) => text.clone(),
            MediaError::Io(_) => "it cannot be read".to_string(),
            other => return Self::bug(other),
        };
        tracing::debug!("{param}: {error}");
        Self::invalid(param, text).code("invalid_media")
    }

    /// The body as clients read it.
    pub(crate) fn body(&self) -> Value {
        let zoetrope = self.fits.as_ref().map(|fits| serde_json::json!({ "fits": fits }));
        let (message, param) = (self.message.clone(), self.param.clone());
        let error = ErrorDetails { message, kind: self.kind, param, code: self.code, zoetrope };
        serde_json::to_value(ErrorBody { error }).unwrap_or_default()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// At most `most` characters of `text`; what is left out is said.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
        None => text.to_string(),
    }
}

/// What a client sent, short enough to be told back.
pub(crate) fn quoted(text: &str) -> String {
    format!("{:?}", shorten(text, 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ffmpeg_says_and_what_the_operator_could_do_is_not_told() {
        let told = |error: MediaError| ApiError::media(&error, "messages[0]").message;
        let malformed = |what: &str| MediaError::Malformed { part: "mp4 file", what: what.to_string() };
        assert_eq!(
            told(malformed("no index; FFmpeg found no frame (/tmp/x: no moov)")),
            "malformed mp4 file: no index"
        );
        assert_eq!(told(malformed("FFmpeg found no frame (/tmp/x)")), "it is no picture or film that can be read");
        let unsupported = MediaError::Unsupported { what: "video codec vvc".into(), remedy: "install FFmpeg".into() };
        assert_eq!(told(unsupported), "unsupported video codec vvc");
        assert_eq!(told(std::io::Error::other("/tmp/x").into()), "it cannot be read");
    }

    #[test]
    fn a_message_does_not_echo_all_that_was_sent() {
        assert_eq!(shorten("abcdef", 3), "abc... (6 bytes)");
        assert_eq!(ApiError::invalid("x", "a".repeat(5000)).message.len(), LONGEST_MESSAGE + "... (5000 bytes)".len());
    }
}
