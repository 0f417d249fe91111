//! The page: files inside the program.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;
use crate::page::file;

/// `GET /`.
pub(crate) async fn index() -> Result<Response, ApiError> {
    page(Path("index.html".to_string())).await
}

/// `GET /page/NAME`.
pub(crate) async fn page(Path(name): Path<String>) -> Result<Response, ApiError> {
    let missing = || ApiError::not_found("not_found", "there is no such page");
    let (kind, text) = file(&name).ok_or_else(missing)?;
    // The files change only with the program; a reload asks again.
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, text).into_response())
}
