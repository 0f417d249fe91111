//! JSON bodies: read with the path of what is wrong.

use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

use crate::error::{ApiError, shorten};

/// A body that is a JSON object.
///
/// # Errors
/// 415 for another content type than JSON, which pages of other sites could send without asking; 400 for what is no
/// object.
pub(crate) fn object(headers: &HeaderMap, body: &[u8]) -> Result<Value, ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let message = "the body must be JSON: send `Content-Type: application/json`";
        return Err(ApiError::request(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    let wrong = |text: String| ApiError::request(StatusCode::BAD_REQUEST, "invalid_json", text);
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(wrong("the body is not a JSON object".to_string())),
        Err(error) => Err(wrong(format!("the body is not JSON: {error}"))),
    }
}

/// The fields of `body` that `T` has; others are left alone.
///
/// # Errors
/// 400 with the path of the field that is wrong.
pub(crate) fn fields<'v, T: Deserialize<'v>>(body: &'v Value) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(body).map_err(|error| {
        let path = match error.path().to_string() {
            // A missing field is told at the object that lacks it.
            path if path == "." => missing_field(error.inner()),
            path => Some(path),
        };
        let text = shorten(&error.inner().to_string(), 200);
        match path {
            Some(path) => ApiError::invalid(shorten(&path, 100), format!("{}: {text}", shorten(&path, 100))),
            None => ApiError::request(StatusCode::BAD_REQUEST, "invalid_json", text),
        }
    })
}

/// The name in "missing field `x`".
fn missing_field(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    let name = text.strip_prefix("missing field `")?;
    Some(name.split('`').next()?.to_string())
}
