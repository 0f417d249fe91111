//! `POST /v1/responses`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use zoetrope_engine::{FinishReason, TurnRequest};

use super::chat::{media_options, now, turn_request};
use super::response_stream::{Head, ResponseWriter};
use super::sse;
use crate::body::JsonBody;
use crate::error::ApiError;
use crate::log::RequestLog;
use crate::state::Server;
use crate::turn::{Turn, plan};
use crate::wire::json;
use crate::wire::responses::ResponseFields;
use crate::wire::sampling::most_tokens;
use crate::wire::structured::response_format;

/// Answers a conversation.
#[utoipa::path(post, path = "/v1/responses", request_body = ResponseFields, responses(
    (status = 200, description = "The answer, or a stream of events", content_type = "application/json"),
    (status = 400, description = "What is wrong, and where", body = crate::error::ErrorBody)))]
pub(crate) async fn responses(
    State(server): State<Arc<Server>>,
    Extension(log): Extension<RequestLog>,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let fields: ResponseFields = json::fields(&body.value)?;
    let messages = fields.messages()?;
    let model = server.models.get(fields.model.as_deref()).await?;
    if fields.max_output_tokens == Some(-1) {
        return Err(ApiError::invalid("max_output_tokens", "max_output_tokens -1 is not a positive number"));
    }
    let most = most_tokens("max_output_tokens", fields.max_output_tokens, server.bounds.answer_tokens)?;
    let format = fields.text.as_ref().and_then(|text| text.get("format"));
    let form = format
        .map(response_format)
        .transpose()
        .map_err(|error| ApiError { param: Some("text.format".into()), ..error })?;
    let form = form.flatten().map(|form| (form, "text.format"));
    let request = TurnRequest { replies: 1, ..turn_request(&model, &body.value, most, form).await? };
    let options = media_options(&body.value)?;
    let slot = model.worker.slot()?;
    drop(body);
    let planned = plan(&server, &model, messages, options).await?;
    let head = Head {
        id: format!("resp_{}", crate::ids::random()),
        item: format!("msg_{}", crate::ids::random()),
        created: now(),
        model: model.id.clone(),
        instructions: fields.instructions,
    };
    let mut turn = Turn::begin(&server, (model, slot), planned, request, log, "input")?;
    if fields.stream == Some(true) {
        turn.settle().await?;
        return Ok(sse::stream(turn, ResponseWriter::new(head)));
    }
    let (mut replies, report) = turn.collect(1).await?;
    let reply = replies.pop().unwrap_or_default();
    let reason = reply.reason.unwrap_or(FinishReason::Length);
    Ok(axum::Json(head.complete(&reply.text, reason, &report, &turn.clocks)).into_response())
}
