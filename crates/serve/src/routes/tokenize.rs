//! `POST /tokenize`: the ids of a text or of a conversation without media.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use zoetrope_models::contract::prompt::PromptToken;

use crate::body::JsonBody;
use crate::error::ApiError;
use crate::state::Server;
use crate::turn::plan;
use crate::wire::content::{self, RequestPart};
use crate::wire::json;
use crate::wire::media_options::MediaOptions;

/// A text, or messages.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TokenizeFields {
    /// The served model.
    model: Option<String>,
    /// A text: special tokens in it are ordinary characters.
    prompt: Option<String>,
    /// A conversation without media.
    #[schema(value_type = Option<Vec<Object>>)]
    messages: Option<Value>,
    /// Whether the tokens come as texts, too.
    return_token_strs: Option<bool>,
}

/// Ids and their number.
#[utoipa::path(post, path = "/tokenize", request_body = TokenizeFields, responses(
    (status = 200, description = "Ids and their number"),
    (status = 400, description = "What is wrong, and where", body = crate::error::ErrorBody)))]
pub(crate) async fn tokenize(State(server): State<Arc<Server>>, body: JsonBody) -> Result<axum::Json<Value>, ApiError> {
    let fields: TokenizeFields = json::fields(&body.value)?;
    let model = server.models.get(fields.model.as_deref()).await?;
    let tokenizer = model.processor.tokenizer();
    let ids = match (&fields.prompt, &fields.messages) {
        (Some(text), None) => tokenizer
            .encode_ordinary(text)
            .map_err(|error| ApiError::invalid("prompt", error.to_string()).code("context_length_exceeded"))?,
        (None, Some(messages)) => {
            let messages = content::messages(messages, "messages")?;
            let is_media = |part: &RequestPart| matches!(part, RequestPart::Media(_));
            if messages.iter().any(|message| message.parts.iter().any(is_media)) {
                return Err(ApiError::invalid("messages", "media have no ids; POST /v1/plan counts their tokens"));
            }
            let prepared = plan(&server, &model, messages, MediaOptions::default()).await?;
            let prompt = prepared.turn.prompt().map_err(|error| ApiError::engine(&error, "messages"))?;
            let id = |token: &PromptToken| if let PromptToken::Text(id) = token { Some(*id) } else { None };
            prompt.tokens.iter().filter_map(id).collect()
        }
        _ => return Err(ApiError::invalid("prompt", "there must be either prompt or messages")),
    };
    let mut answer = json!({"count": ids.len(), "max_model_len": model.facts.max_positions, "tokens": ids});
    if fields.return_token_strs == Some(true) {
        let text = |id: &u32| tokenizer.decode(&[*id], false).unwrap_or_default();
        answer["token_strs"] = json!(ids.iter().map(text).collect::<Vec<String>>());
    }
    Ok(axum::Json(answer))
}
