//! OpenAI's responses.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use zoetrope_models::contract::prompt::Role;

use super::content::{Message, RequestPart, messages};
use crate::error::{ApiError, quoted};

/// The fields of a responses request beside sampling and media.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ResponseFields {
    /// The served model.
    pub(crate) model: Option<String>,
    /// A text, or messages.
    #[schema(value_type = Object)]
    pub(crate) input: Value,
    /// A system message before them.
    pub(crate) instructions: Option<String>,
    /// Whether the answer comes as events.
    pub(crate) stream: Option<bool>,
    /// Most tokens of the answer.
    pub(crate) max_output_tokens: Option<i64>,
    /// The form of the answer.
    #[schema(value_type = Option<Object>)]
    pub(crate) text: Option<Map<String, Value>>,
    /// Not supported: nothing is stored.
    pub(crate) previous_response_id: Option<String>,
    /// Not supported.
    #[schema(value_type = Option<Object>)]
    pub(crate) conversation: Option<Value>,
    /// Not supported.
    pub(crate) background: Option<bool>,
}

impl ResponseFields {
    /// The conversation.
    ///
    /// # Errors
    /// With the path of what cannot be used.
    pub(crate) fn messages(&self) -> Result<Vec<Message>, ApiError> {
        for (name, given) in [
            ("previous_response_id", self.previous_response_id.is_some()),
            ("conversation", self.conversation.as_ref().is_some_and(|value| !value.is_null())),
            ("background", self.background == Some(true)),
        ] {
            if given {
                let text = format!("{name} is not supported: answers are not stored; send the whole conversation");
                return Err(ApiError::invalid(name, text).code("unsupported"));
            }
        }
        let mut all = Vec::new();
        if let Some(text) = &self.instructions {
            all.push(Message { role: Role::System, parts: vec![RequestPart::Text(text.clone())] });
        }
        match &self.input {
            Value::String(text) => all.push(Message { role: Role::User, parts: vec![RequestPart::Text(text.clone())] }),
            Value::Array(list) => {
                for (number, item) in list.iter().enumerate() {
                    let kind = item.get("type").and_then(Value::as_str).unwrap_or("message");
                    if kind != "message" {
                        let text = format!("items of type {} cannot be used; message can", quoted(kind));
                        return Err(ApiError::invalid(format!("input[{number}].type"), text));
                    }
                }
                all.extend(messages(&self.input, "input")?);
            }
            _ => return Err(ApiError::invalid("input", "input is neither a text nor a list of messages")),
        }
        Ok(all)
    }
}
