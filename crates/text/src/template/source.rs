//! Where a checkpoint keeps its chat template and the special tokens that the template may name.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value as Json};

use crate::error::TextError;

/// Largest file that is read here, in bytes.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// The texts of a checkpoint's templates.
pub(super) struct Sources {
    pub(super) default: String,
    /// Used instead of the default when the caller passes tools.
    pub(super) tool_use: Option<String>,
    /// Name (`bos_token`) and text of each.
    pub(super) special_tokens: Vec<(String, String)>,
}

/// Looks through the files in the order transformers does; `None` when there is no template.
pub(super) fn find(folder: &Path) -> Result<Option<Sources>, TextError> {
    let config_file = folder.join("tokenizer_config.json");
    let config = read_object(folder, "tokenizer_config.json")?.unwrap_or_default();
    let template = match read(&folder.join("chat_template.jinja"))? {
        Some(text) => Some(Json::String(text)),
        None => read_object(folder, "chat_template.json")?.and_then(|mut object| object.remove("chat_template")),
    };
    let template = template.or_else(|| config.get("chat_template").cloned()).unwrap_or(Json::Null);
    let special_tokens = special_tokens(&config);
    match template {
        Json::Null => Ok(None),
        Json::String(default) => Ok(Some(Sources { default, tool_use: None, special_tokens })),
        Json::Array(list) => {
            let named = |name: &str| {
                let entry = list.iter().find(|entry| entry["name"] == name)?;
                entry["template"].as_str().map(str::to_string)
            };
            let default = named("default").or_else(|| list.first()?["template"].as_str().map(str::to_string));
            let default =
                default.ok_or_else(|| TextError::file(&config_file, "chat_template: the list has no text"))?;
            Ok(Some(Sources { default, tool_use: named("tool_use"), special_tokens }))
        }
        _ => Err(TextError::file(&config_file, "chat_template is neither a text nor a list")),
    }
}

/// Entries like `"bos_token": "<s>"` or `"bos_token": {"content": "<s>", ...}`.
fn special_tokens(config: &Map<String, Json>) -> Vec<(String, String)> {
    let text = |value: &Json| value.as_str().or_else(|| value["content"].as_str()).map(str::to_string);
    let tokens = config.iter().filter(|(name, _)| name.ends_with("_token"));
    tokens.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}

fn read_object(folder: &Path, name: &str) -> Result<Option<Map<String, Json>>, TextError> {
    let file = folder.join(name);
    let parse = |text: String| serde_json::from_str(&text).map_err(|error| TextError::file(&file, error));
    read(&file)?.map(parse).transpose()
}

fn read(file: &Path) -> Result<Option<String>, TextError> {
    match fs::metadata(file) {
        Ok(metadata) if metadata.len() > MAX_FILE_BYTES => {
            let (number, limit) = (usize::try_from(metadata.len()).unwrap_or(usize::MAX), MAX_FILE_BYTES as usize);
            Err(TextError::Limit { what: "bytes of a chat template file", number, limit })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        _ => fs::read_to_string(file).map(Some).map_err(|error| TextError::file(file, error)),
    }
}
