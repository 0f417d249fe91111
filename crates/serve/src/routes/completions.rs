//! `POST /v1/completions`: text that goes on, without a template.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use zoetrope_engine::{PreparedTurn, TokenCounts, TurnEvent};

use super::chat::{now, turn_request};
use super::sse::{self, Writer, data};
use crate::body::JsonBody;
use crate::error::ApiError;
use crate::host::ServedModel;
use crate::log::RequestLog;
use crate::state::Server;
use crate::turn::Turn;
use crate::wire::completions::{CompletionFields, PlainPrompt};
use crate::wire::json;
use crate::wire::sampling::most_tokens;
use crate::wire::usage;

/// Tokens of an answer, where none are said.
const USUAL_TOKENS: i64 = 16;

/// Goes on with a text.
#[utoipa::path(post, path = "/v1/completions", request_body = CompletionFields, responses(
    (status = 200, description = "The text, or a stream of its pieces", content_type = "application/json"),
    (status = 400, description = "What is wrong, and where", body = crate::error::ErrorBody)))]
pub(crate) async fn completions(
    State(server): State<Arc<Server>>,
    Extension(log): Extension<RequestLog>,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let fields: CompletionFields = json::fields(&body.value)?;
    let prompts = fields.prompts()?;
    let model = server.models.get(fields.model.as_deref()).await?;
    let most = most_tokens("max_tokens", fields.max_tokens.or(Some(USUAL_TOKENS)), server.bounds.answer_tokens)?;
    let request = turn_request(&model, &body.value, most, None).await?;
    let head = Head { id: format!("cmpl-{}", crate::ids::random()), created: now(), model: model.id.clone() };
    let is_stream = fields.stream == Some(true);
    if is_stream && prompts.len() > 1 {
        return Err(ApiError::invalid("prompt", "a stream answers one prompt"));
    }
    let mut turns = Vec::with_capacity(prompts.len());
    for prompt in &prompts {
        let slot = model.worker.slot()?;
        let prepared = PreparedTurn::of_ids(&model.processor, &model.limits, &ids(&model, prompt)?);
        turns.push(Turn::begin(
            &server,
            (Arc::clone(&model), slot),
            prepared.into(),
            request.clone(),
            log.clone(),
            "prompt",
        )?);
    }
    if is_stream && let Some(mut turn) = turns.pop() {
        turn.settle().await?;
        let with_usage = fields.stream_options.unwrap_or_default().include_usage;
        return Ok(sse::stream(turn, CompletionWriter { head, with_usage }));
    }
    let (mut choices, mut tokens) = (Vec::new(), TokenCounts::default());
    for (turn, prompt) in turns.iter_mut().zip(&prompts) {
        let (replies, report) = turn.collect(request.replies).await?;
        for reply in replies {
            let before = match prompt {
                PlainPrompt::Text(text) if fields.echo == Some(true) => text.as_str(),
                _ => "",
            };
            let reason = reply.reason.map_or("length", usage::finish);
            choices.push(json!({
                "index": choices.len(), "text": format!("{before}{}", reply.text), "logprobs": null,
                "finish_reason": reason,
            }));
        }
        tokens.text += report.tokens.text;
        tokens.prompt += report.tokens.prompt;
        tokens.generated += report.tokens.generated;
        tokens.reused += report.tokens.reused;
    }
    let Head { id, created, model } = head;
    let answer = json!({
        "id": id, "object": "text_completion", "created": created, "model": model, "choices": choices,
        "usage": usage::chat(&tokens),
    });
    Ok(axum::Json(answer).into_response())
}

/// The ids of a prompt. Special tokens in a text are ordinary characters, as everywhere.
fn ids(model: &ServedModel, prompt: &PlainPrompt) -> Result<Vec<u32>, ApiError> {
    let ids = match prompt {
        PlainPrompt::Text(text) => model.processor.tokenizer().encode_ordinary(text),
        PlainPrompt::Ids(ids) => Ok(ids.clone()),
    };
    let ids = ids.map_err(|error| ApiError::invalid("prompt", error.to_string()).code("context_length_exceeded"))?;
    let vocabulary = model.processor.info().vocabulary;
    match ids.iter().find(|id| **id as usize >= vocabulary) {
        _ if ids.is_empty() => Err(ApiError::invalid("prompt", "the prompt is empty")),
        Some(id) => Err(ApiError::invalid("prompt", format!("token {id} is beyond the vocabulary of {vocabulary}"))),
        None => Ok(ids),
    }
}

struct Head {
    id: String,
    created: u64,
    model: String,
}

struct CompletionWriter {
    head: Head,
    with_usage: bool,
}

impl CompletionWriter {
    fn chunk(&self, choices: &Value) -> Value {
        let Head { id, created, model } = &self.head;
        json!({"id": id, "object": "text_completion", "created": created, "model": model, "choices": choices})
    }
}

impl Writer for CompletionWriter {
    fn begin(&mut self, _: &Turn) -> Vec<Event> {
        Vec::new()
    }

    fn event(&mut self, turn: &Turn, event: TurnEvent) -> Vec<Event> {
        let choice = |reply: usize, text: &str, reason: Option<&str>| {
            let choice = json!({"index": reply, "text": text, "logprobs": null, "finish_reason": reason});
            data(&self.chunk(&json!([choice])))
        };
        match event {
            TurnEvent::Text { reply, text } => vec![choice(reply, &text, None)],
            TurnEvent::Finished { reply, reason, .. } => vec![choice(reply, "", Some(usage::finish(reason)))],
            TurnEvent::Done(report) => {
                let mut events = Vec::new();
                if self.with_usage {
                    let mut chunk = self.chunk(&json!([]));
                    chunk["usage"] = usage::chat(&report.tokens);
                    events.push(data(&chunk));
                }
                events.push(Event::default().data("[DONE]"));
                events
            }
            TurnEvent::Failed(error) => vec![data(&turn.error(&error).body()), Event::default().data("[DONE]")],
            _ => Vec::new(),
        }
    }
}
