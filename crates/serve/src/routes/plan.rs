//! `POST /v1/plan`: what a conversation would show the model and cost, without asking it.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};
use zoetrope_engine::{EstimateOptions, Options};

use super::chat::media_options;
use crate::body::JsonBody;
use crate::error::ApiError;
use crate::state::Server;
use crate::turn;
use crate::wire::chat::ChatFields;
use crate::wire::sampling::most_tokens;
use crate::wire::{content, json, usage};

/// Frames, times, tokens and bytes of a conversation. Nothing is decoded but a keyframe of each film.
#[utoipa::path(post, path = "/v1/plan", request_body = ChatFields, responses(
    (status = 200, description = "What it would cost"),
    (status = 400, description = "What is wrong, and where", body = crate::error::ErrorBody)))]
pub(crate) async fn plan(State(server): State<Arc<Server>>, body: JsonBody) -> Result<axum::Json<Value>, ApiError> {
    let fields: ChatFields = json::fields(&body.value)?;
    let messages = content::messages(&fields.messages, "messages")?;
    let model = server.models.get(fields.model.as_deref()).await?;
    let most = fields.max_completion_tokens.or(fields.max_tokens);
    let most = most_tokens("max_tokens", most, server.bounds.answer_tokens)?;
    let options = media_options(&body.value)?;
    let prepared = turn::plan(&server, &model, messages, options).await?;
    let clocks = prepared.turn.clocks();
    let request = Options { max_new_tokens: most, ..Options::default() };
    let facts = &model.facts;
    let options = EstimateOptions {
        request: &request,
        decode: false,
        kv_dtype: facts.kv_dtype,
        weight_bytes: facts.bytes,
        process_bytes: 0,
        index: None,
    };
    let planned =
        prepared.turn.estimate(&model.limits, options).map_err(|error| ApiError::engine(&error, "messages"))?;
    let prompt = planned.tokens.prompt;
    let visual = planned.tokens.image + planned.tokens.video;
    let bytes = json!({
        "keys_and_values": prompt * facts.kv_bytes_per_token,
        "features": visual * model.processor.info().feature_width * size_of::<f32>(),
        "memory": planned.memory,
        "disk": planned.disk,
    });
    Ok(axum::Json(usage::plan(
        &model.id,
        &planned,
        &clocks,
        facts.max_positions,
        (bytes, model.rates.first_token(&planned)),
    )))
}
