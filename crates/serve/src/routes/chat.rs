//! `POST /v1/chat/completions`.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use zoetrope_engine::{Constraint, TurnRequest};

use super::chat_stream::{ChatWriter, Head};
use super::sse;
use crate::body::JsonBody;
use crate::error::ApiError;
use crate::host::ServedModel;
use crate::log::RequestLog;
use crate::state::Server;
use crate::turn::{Reply, Turn, plan};
use crate::wire::chat::{ChatFields, StreamOptions};
use crate::wire::content;
use crate::wire::json;
use crate::wire::media_options::MediaOptions;
use crate::wire::sampling::{MOST_LOGPROBS, SamplingFields, most_tokens};
use crate::wire::structured::{Asked, FormFields};
use crate::wire::usage;

/// Answers a conversation.
#[utoipa::path(post, path = "/v1/chat/completions", request_body = ChatFields, responses(
    (status = 200, description = "The answer, or a stream of its pieces", content_type = "application/json"),
    (status = 400, description = "What is wrong, and where", body = crate::error::ErrorBody),
    (status = 429, description = "Too many requests at once", body = crate::error::ErrorBody)))]
pub(crate) async fn chat(
    State(server): State<Arc<Server>>,
    Extension(log): Extension<RequestLog>,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let fields: ChatFields = json::fields(&body.value)?;
    let model = server.models.get(fields.model.as_deref()).await?;
    let (request, tool) = request(&server, &model, &body.value, &fields).await?;
    let options = media_options(&body.value)?;
    let messages = content::messages(&fields.messages, "messages")?;
    let slot = model.worker.slot()?;
    drop(body);
    let planned = plan(&server, &model, messages, options).await?;
    let head = Head { id: format!("chatcmpl-{}", crate::ids::random()), created: now(), model: model.id.clone(), tool };
    let replies = request.replies;
    let mut turn = Turn::begin(&server, (model, slot), planned, request, log, "messages")?;
    if fields.stream == Some(true) {
        let mut options = fields.stream_options.unwrap_or_default();
        options.include_progress |= fields.return_progress == Some(true);
        return stream(turn, head, options, replies).await;
    }
    let (replies, report) = turn.collect(replies).await?;
    let choice = |(index, reply): (usize, &Reply)| choice(index, reply, &head);
    let answer = json!({
        "id": head.id, "object": "chat.completion", "created": head.created, "model": head.model,
        "choices": replies.iter().enumerate().map(choice).collect::<Vec<_>>(),
        "usage": usage::chat(&report.tokens), "zoetrope": usage::report(&report, &turn.clocks),
    });
    Ok(axum::Json(answer).into_response())
}

async fn stream(mut turn: Turn, head: Head, options: StreamOptions, replies: usize) -> Result<Response, ApiError> {
    if !options.include_progress {
        turn.settle().await?;
    }
    Ok(sse::stream(turn, ChatWriter::new(head, options, replies)))
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The media options of a request.
pub(super) fn media_options(value: &Value) -> Result<MediaOptions, ApiError> {
    value.as_object().map_or_else(|| Ok(MediaOptions::default()), MediaOptions::of_request)
}

/// How replies are made, and the tool that is forced.
async fn request(
    server: &Server,
    model: &Arc<ServedModel>,
    value: &Value,
    fields: &ChatFields,
) -> Result<(TurnRequest, Option<String>), ApiError> {
    let limit = server.bounds.answer_tokens;
    let most = match fields.max_completion_tokens {
        Some(_) => most_tokens("max_completion_tokens", fields.max_completion_tokens, limit)?,
        None => most_tokens("max_tokens", fields.max_tokens, limit)?,
    };
    if fields.top_logprobs.is_some_and(|n| !(0..=MOST_LOGPROBS).contains(&n)) {
        return Err(ApiError::invalid("top_logprobs", format!("top_logprobs is not from 0 to {MOST_LOGPROBS}")));
    }
    let form: FormFields = json::fields(value)?;
    let tool = form.forced_tool()?;
    let asked = match (form.form()?, &tool) {
        (asked, None) => asked,
        (None, Some((_, schema))) => Some((Constraint::JsonSchema(schema.clone()), "tools")),
        (Some((_, name)), Some(_)) => {
            return Err(ApiError::invalid(name, format!("{name} and a forced tool both say what form a reply has")));
        }
    };
    let mut request = turn_request(model, value, most, asked).await?;
    if fields.logprobs == Some(true) {
        request.sampling.logprobs = Some(fields.top_logprobs.unwrap_or(0) as usize);
    } else if fields.top_logprobs.is_some_and(|n| n > 0) {
        return Err(ApiError::invalid("top_logprobs", "top_logprobs needs logprobs"));
    }
    Ok((request, tool.map(|(name, _)| name)))
}

/// How replies are made, of the fields that all kinds of requests share.
pub(super) async fn turn_request(
    model: &Arc<ServedModel>,
    value: &Value,
    most: usize,
    form: Option<Asked>,
) -> Result<TurnRequest, ApiError> {
    let fields: SamplingFields = json::fields(value)?;
    let (stop_texts, replies) = (fields.stops()?, fields.replies()?);
    let mut sampling = fields.sampling(model.processor.info().vocabulary)?;
    if let Some((constraint, name)) = form {
        sampling.grammar = Some(model.grammar(constraint).await.map_err(|error| ApiError::engine(&error, name))?);
    }
    Ok(TurnRequest { sampling, max_new_tokens: most, stop_texts, replies })
}

fn choice(index: usize, reply: &Reply, head: &Head) -> Value {
    let reason = reply.reason.map_or("length", |reason| head.finish(reason));
    let message = match &head.tool {
        None => json!({"role": "assistant", "content": reply.text, "refusal": null}),
        Some(name) => {
            let call = json!({
                "id": format!("call_{}", crate::ids::random()), "type": "function",
                "function": {"name": name, "arguments": reply.text},
            });
            json!({"role": "assistant", "content": null, "tool_calls": [call]})
        }
    };
    let logprobs = reply.logprobs.as_ref().map(|tokens| json!({"content": tokens, "refusal": null}));
    json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason})
}
