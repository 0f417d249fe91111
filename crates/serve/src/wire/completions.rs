//! Completions of plain text.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::chat::StreamOptions;
use crate::error::ApiError;

/// Most prompts of a request.
const MOST_PROMPTS: usize = 16;

/// The fields of a completion request beside sampling.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CompletionFields {
    /// The served model.
    pub(crate) model: Option<String>,
    /// A text, a list of texts, ids, or lists of ids.
    #[schema(value_type = Object)]
    pub(crate) prompt: Value,
    /// Whether the answer comes piece by piece.
    pub(crate) stream: Option<bool>,
    /// What a stream has beside the answer.
    pub(crate) stream_options: Option<StreamOptions>,
    /// Most tokens; 16 where it is absent.
    pub(crate) max_tokens: Option<i64>,
    /// Whether the prompt comes before the answer.
    pub(crate) echo: Option<bool>,
    /// Not supported beyond 1.
    pub(crate) best_of: Option<i64>,
    /// Not supported.
    pub(crate) logprobs: Option<i64>,
    /// Not supported.
    pub(crate) suffix: Option<String>,
}

/// A prompt of plain text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PlainPrompt {
    Text(String),
    Ids(Vec<u32>),
}

impl CompletionFields {
    /// The prompts.
    ///
    /// # Errors
    /// For anything else, and for what is not supported.
    pub(crate) fn prompts(&self) -> Result<Vec<PlainPrompt>, ApiError> {
        if self.best_of.is_some_and(|n| n != 1) {
            return Err(ApiError::invalid("best_of", "best_of is not supported; use n"));
        }
        if self.logprobs.is_some_and(|n| n > 0) {
            return Err(ApiError::invalid("logprobs", "log-probabilities come with chat completions only"));
        }
        if self.suffix.as_ref().is_some_and(|text| !text.is_empty()) {
            return Err(ApiError::invalid("suffix", "suffix is not supported"));
        }
        let wrong = || ApiError::invalid("prompt", "prompt is neither text, ids, nor a list of these");
        let prompts = match &self.prompt {
            Value::String(text) => vec![PlainPrompt::Text(text.clone())],
            Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_number) => vec![ids(list)?],
            Value::Array(list) if !list.is_empty() => {
                if list.len() > MOST_PROMPTS {
                    let text = format!("{} prompts are more than {MOST_PROMPTS}", list.len());
                    return Err(ApiError::invalid("prompt", text).code("limit_exceeded"));
                }
                let one = |value: &Value| match value {
                    Value::String(text) => Ok(PlainPrompt::Text(text.clone())),
                    Value::Array(list) => ids(list),
                    _ => Err(wrong()),
                };
                list.iter().map(one).collect::<Result<_, _>>()?
            }
            _ => return Err(wrong()),
        };
        Ok(prompts)
    }
}

fn ids(list: &[Value]) -> Result<PlainPrompt, ApiError> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let ids = list.iter().map(id).collect::<Option<Vec<u32>>>();
    ids.map(PlainPrompt::Ids).ok_or_else(|| ApiError::invalid("prompt", "prompt has numbers that are no ids of tokens"))
}
