//! `POST /v1/responses`.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use zoetrope_engine::{FinishReason, TurnReport, TurnRequest};

use super::chat::{media_options, now, turn_request};
use super::response_stream::ResponseWriter;
use super::sse;
use crate::body;
use crate::error::ApiError;
use crate::log::RequestLog;
use crate::state::Server;
use crate::turn::{Turn, plan};
use crate::wire::json;
use crate::wire::responses::ResponseFields;
use crate::wire::sampling::most_tokens;
use crate::wire::structured::response_format;
use crate::wire::usage;

/// What stays the same in all events of a response.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) item: String,
    pub(super) created: u64,
    pub(super) model: String,
    instructions: Option<String>,
}

impl Head {
    /// The response with what it says so far.
    pub(super) fn response(&self, status: &str, output: &Value) -> Value {
        json!({
            "id": self.id, "object": "response", "created_at": self.created, "status": status, "model": self.model,
            "output": output, "instructions": self.instructions, "error": null, "incomplete_details": null,
            "parallel_tool_calls": false, "tools": [], "tool_choice": "none", "metadata": {}, "store": false,
            "previous_response_id": null, "temperature": null, "top_p": null, "usage": null,
        })
    }

    /// The message of the response.
    pub(super) fn item(&self, status: &str, content: &Value) -> Value {
        json!({"id": self.item, "type": "message", "status": status, "role": "assistant", "content": content})
    }

    /// The complete response.
    pub(super) fn complete(
        &self,
        text: &str,
        reason: FinishReason,
        report: &TurnReport,
        durations: &[Option<f64>],
    ) -> Value {
        let status = if usage::finish(reason) == "stop" { "completed" } else { "incomplete" };
        let content = json!([{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]);
        let mut response = self.response(status, &json!([self.item(status, &content)]));
        if status == "incomplete" {
            response["incomplete_details"] = json!({"reason": "max_output_tokens"});
        }
        response["usage"] = usage::responses(&report.tokens);
        response["zoetrope"] = usage::report(report, durations);
        response
    }
}

/// Answers a conversation.
#[utoipa::path(post, path = "/v1/responses", request_body = ResponseFields, responses(
    (status = 200, description = "The answer, or a stream of events", content_type = "application/json"),
    (status = 400, description = "What is wrong, and where", body = crate::error::ErrorBody)))]
pub(crate) async fn responses(
    State(server): State<Arc<Server>>,
    Extension(log): Extension<RequestLog>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let held = body::read(&server, &headers, body).await?;
    let value = json::object(&headers, &held.bytes)?;
    let fields: ResponseFields = json::fields(&value)?;
    let messages = fields.messages()?;
    let model = server.models.get(fields.model.as_deref()).await?;
    let most = most_tokens("max_output_tokens", fields.max_output_tokens, server.bounds.answer_tokens)?;
    let format = fields.text.as_ref().and_then(|text| text.get("format"));
    let form = format
        .map(response_format)
        .transpose()
        .map_err(|error| ApiError { param: Some("text.format".into()), ..error })?;
    let form = form.flatten().map(|form| (form, "text.format"));
    let request = TurnRequest { replies: 1, ..turn_request(&model, &value, most, form).await? };
    let options = media_options(&value)?;
    let slot = model.worker.slot()?;
    drop((value, held));
    let prepared = plan(&server, &model, messages, options).await?;
    let head = Head {
        id: format!("resp_{}", crate::ids::random()),
        item: format!("msg_{}", crate::ids::random()),
        created: now(),
        model: model.id.clone(),
        instructions: fields.instructions,
    };
    let mut turn = Turn::begin(&server, (model, slot), prepared, request, log, "input")?;
    if fields.stream == Some(true) {
        turn.settle().await?;
        return Ok(sse::stream(turn, ResponseWriter::new(head)));
    }
    let (mut replies, report) = turn.collect(1).await?;
    let reply = replies.pop().unwrap_or_default();
    let reason = reply.reason.unwrap_or(FinishReason::Length);
    Ok(axum::Json(head.complete(&reply.text, reason, &report, &turn.durations)).into_response())
}
