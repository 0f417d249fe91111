//! `GET /v1/models`.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::host::{ModelFacts, Models};
use crate::state::Server;

/// The served models.
#[utoipa::path(get, path = "/v1/models", responses((status = 200, description = "All models")))]
pub(crate) async fn list(State(server): State<Arc<Server>>) -> axum::Json<Value> {
    let models = &server.models;
    let cards: Vec<Value> = models.list().map(|(id, facts)| card(&server, id, facts)).collect();
    axum::Json(json!({"object": "list", "data": cards}))
}

/// One model.
#[utoipa::path(get, path = "/v1/models/{model}", responses((status = 200, description = "The model")))]
pub(crate) async fn get(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
) -> Result<axum::Json<Value>, ApiError> {
    let id = server.models.id(Some(&id))?;
    let found = server.models.list().find(|(own, _)| *own == id);
    let (id, facts) = found.ok_or_else(|| ApiError::bug(&"a model without a place"))?;
    Ok(axum::Json(card(&server, id, facts)))
}

fn card(server: &Server, id: &str, facts: Option<&ModelFacts>) -> Value {
    let models: &Models = &server.models;
    let mut card = json!({"id": id, "object": "model", "created": models.created, "owned_by": "zoetrope"});
    let Some(facts) = facts else { return card };
    card["max_model_len"] = json!(facts.max_positions);
    card["zoetrope"] = json!({
        "family": facts.family, "parameters": facts.parameters, "dtype": facts.held_as, "bytes": facts.bytes,
        "kv_bytes_per_token": facts.kv_bytes_per_token,
        "inputs": {"images": true, "several_images": true, "video": true},
        "settings": facts.settings,
        "limits": {"max_frames": server.media.frames, "answer_tokens": server.bounds.answer_tokens,
                   "file_bytes": server.media.file_bytes, "body_bytes": server.bounds.body},
    });
    card
}
