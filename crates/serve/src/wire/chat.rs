//! Chat completions.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The fields of a chat request beside sampling, form and media.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ChatFields {
    /// The served model; the first one where there is none.
    pub(crate) model: Option<String>,
    /// Messages with text and media parts.
    #[schema(value_type = Vec<Object>)]
    pub(crate) messages: Value,
    /// Whether the answer comes piece by piece.
    pub(crate) stream: Option<bool>,
    /// What a stream has beside the answer.
    pub(crate) stream_options: Option<StreamOptions>,
    /// llama.cpp's name for `stream_options.include_progress`.
    pub(crate) return_progress: Option<bool>,
    /// Most tokens of a reply; more than fit are clamped, -1 is as many as fit.
    pub(crate) max_tokens: Option<i64>,
    /// As `max_tokens`.
    pub(crate) max_completion_tokens: Option<i64>,
    /// Whether log-probabilities come with the tokens.
    pub(crate) logprobs: Option<bool>,
    /// Alternatives of each token.
    pub(crate) top_logprobs: Option<i64>,
}

/// What a stream has beside the answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
pub(crate) struct StreamOptions {
    /// A last chunk with the usage.
    #[serde(default)]
    pub(crate) include_usage: bool,
    /// Chunks that tell how far decoding, encoding and reading are.
    #[serde(default)]
    pub(crate) include_progress: bool,
}
