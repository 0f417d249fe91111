//! What a caller may ask a reply to look like.

use llguidance::JsonCompileOptions;
use llguidance::api::TopLevelGrammar;
use serde_json::{Deserializer, Value, json};

use super::schema::{MAX_BYTES, check_schema};
use crate::error::EngineError;
use crate::limits::check_limit;

/// Most texts of a choice.
const MAX_CHOICES: usize = 4096;

/// What a reply must look like. Whatever it is, the reply ends where nothing more can follow.
#[derive(Clone, Debug, PartialEq)]
pub enum Constraint {
    /// JSON that fits this schema (drafts 4 to 2020-12). Keys come in the order of the schema. There is at most one
    /// blank after a comma or a colon, and no other white space, so that a model cannot go on with blanks for ever.
    /// A keyword that cannot be kept (`not`, `uniqueItems`, ...) is refused.
    JsonSchema(Value),
    /// Any JSON object, written as for [`Constraint::JsonSchema`].
    JsonObject,
    /// A whole text that matches this regular expression (syntax of the `regex` crate, without look-around). `^` at
    /// its beginning and `$` at its end say nothing new.
    Regex(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// A context-free grammar: llguidance's variant of Lark's syntax with the rule `start`, or llguidance's own JSON
    /// (`{"grammars": [...]}`).
    Lark(String),
}

impl Constraint {
    /// How messages call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Constraint::JsonSchema(_) | Constraint::JsonObject => "JSON schema",
            Constraint::Regex(_) => "regular expression",
            Constraint::Choice(_) => "choice",
            Constraint::Lark(_) => "grammar",
        }
    }

    /// Refuses what would cost too much, before it is compiled.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        let bytes = match self {
            Constraint::JsonSchema(schema) => return check_schema(schema),
            Constraint::JsonObject => return Ok(()),
            Constraint::Regex(text) | Constraint::Lark(text) => text.len(),
            Constraint::Choice(texts) => {
                check_limit("texts of a choice", texts.len(), MAX_CHOICES)?;
                texts.iter().map(String::len).sum()
            }
        };
        check_limit("bytes of a grammar", bytes, MAX_BYTES)?;
        let empty = match self {
            Constraint::Choice(texts) => texts.is_empty() || texts.iter().any(String::is_empty),
            _ => bytes == 0,
        };
        if empty {
            let what = if matches!(self, Constraint::Choice(_)) { "no text, or an empty one" } else { "is empty" };
            return Err(EngineError::caller(format!("{}: {what}", self.name())));
        }
        match self {
            Constraint::Lark(text) => schemas_within(text).iter().try_for_each(check_schema),
            _ => Ok(()),
        }
    }

    /// The grammar as the library takes it; an error is a sentence about it.
    pub(super) fn to_library(&self) -> Result<TopLevelGrammar, String> {
        let grammar = match self {
            Constraint::JsonSchema(schema) => json_grammar(schema),
            Constraint::JsonObject => json_grammar(&json!({"type": "object"})),
            Constraint::Regex(text) => TopLevelGrammar::from_regex(without_anchors(text)),
            Constraint::Lark(text) => {
                TopLevelGrammar::from_lark_or_grammar_list(text).map_err(|error| error.to_string())?
            }
            Constraint::Choice(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                TopLevelGrammar::from_lark(format!("start: CHOICE\nCHOICE: {}", texts.join(" | ")))
            }
        };
        Ok(grammar)
    }
}

/// Blanks stand only where models write them, and nowhere twice.
fn json_grammar(schema: &Value) -> TopLevelGrammar {
    // `true` allows anything, and `false` nothing; the options need an object to stand in.
    let mut schema = match schema {
        Value::Bool(true) => json!({}),
        Value::Bool(false) => json!({"allOf": [false]}),
        other => other.clone(),
    };
    let options = JsonCompileOptions {
        item_separator: ", ?".to_string(),
        key_separator: ": ?".to_string(),
        whitespace_flexible: false,
        ..JsonCompileOptions::default()
    };
    // Replaces options that a caller has put there.
    options.apply_to(&mut schema);
    TopLevelGrammar::from_json_schema(schema)
}

/// The expression without the anchors at its ends, as the whole text must match anyway.
fn without_anchors(text: &str) -> &str {
    let text = text.strip_prefix('^').unwrap_or(text);
    match text.strip_suffix('$') {
        Some(rest) if rest.chars().rev().take_while(|&c| c == '\\').count() % 2 == 0 => rest,
        _ => text,
    }
}

/// A text as Lark writes it.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7F}', "\\u007f")
}

/// The JSON schemas that stand in a grammar: after `%json`, or as `json_schema` of llguidance's own JSON. What only
/// looks like one (in a string, in a comment) may be among them.
fn schemas_within(grammar: &str) -> Vec<Value> {
    let after = grammar.match_indices("%json").map(|(at, word)| &grammar[at + word.len()..]);
    let mut found: Vec<Value> =
        after.filter_map(|rest| Deserializer::from_str(rest).into_iter::<Value>().next()?.ok()).collect();
    if let Ok(list) = serde_json::from_str::<Value>(grammar) {
        let parts = list["grammars"].as_array().into_iter().flatten();
        for part in parts {
            found.extend(part.get("json_schema").cloned());
            found.extend(part["lark_grammar"].as_str().into_iter().flat_map(schemas_within));
        }
    }
    found
}
