//! Where a checkpoint keeps its chat template and the special tokens that the template may name.

use serde_json::{Map, Value as Json};

use crate::error::TextError;
use crate::files::TextFiles;

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
pub(super) fn find(files: &(impl TextFiles + ?Sized)) -> Result<Option<Sources>, TextError> {
    let config_file = files.path("tokenizer_config.json");
    let config = read_object(files, "tokenizer_config.json")?.unwrap_or_default();
    let template = match read(files, "chat_template.jinja")? {
        Some(text) => Some(Json::String(text)),
        None => read_object(files, "chat_template.json")?.and_then(|mut object| object.remove("chat_template")),
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

fn read_object(files: &(impl TextFiles + ?Sized), name: &str) -> Result<Option<Map<String, Json>>, TextError> {
    let parse = |text: String| serde_json::from_str(&text).map_err(|error| TextError::file(files.path(name), error));
    read(files, name)?.map(parse).transpose()
}

fn read(files: &(impl TextFiles + ?Sized), name: &str) -> Result<Option<String>, TextError> {
    let bytes = files.read(name, MAX_FILE_BYTES, "bytes of a chat template file")?;
    let text = |bytes| String::from_utf8(bytes).map_err(|error| TextError::file(files.path(name), error));
    bytes.map(text).transpose()
}
