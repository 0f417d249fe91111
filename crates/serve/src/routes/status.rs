//! `GET /health`, `/ready` and `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::ApiError;
use crate::state::Server;

/// Whether the server answers at all.
#[utoipa::path(get, path = "/health", responses((status = 200, description = "It answers")))]
pub(crate) async fn health() -> axum::Json<serde_json::Value> {
    axum::Json(json!({"status": "ok"}))
}

/// Whether it takes requests: a model is loaded. A server that is about to end takes no connections.
#[utoipa::path(get, path = "/ready", responses(
    (status = 200, description = "It takes requests"), (status = 503, description = "Not yet, or no more")))]
pub(crate) async fn ready(State(server): State<Arc<Server>>) -> Result<axum::Json<serde_json::Value>, ApiError> {
    let running = server.models.running();
    match running.is_empty() {
        true => Err(ApiError::unavailable("no model is loaded yet")),
        false => Ok(axum::Json(json!({"status": "ready", "models": running.len()}))),
    }
}

/// Numbers for Prometheus.
#[utoipa::path(get, path = "/metrics", responses((status = 200, description = "Numbers", content_type = "text/plain")))]
pub(crate) async fn metrics(State(server): State<Arc<Server>>) -> Result<Response, ApiError> {
    let states: Vec<_> = server.models.running().iter().map(|model| model.worker.state()).collect();
    let page = server.metrics.page(&states, server.media.spool.bytes()).map_err(|error| ApiError::bug(&error))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], page).into_response())
}
