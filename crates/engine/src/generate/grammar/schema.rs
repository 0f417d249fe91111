//! What a JSON schema may cost, decided on its text before it is compiled.

use serde_json::Value;

use super::expansion::Expansion;
use crate::error::EngineError;
use crate::limits::check_limit;

/// Longest text of a constraint, in bytes. All texts of a choice, and a JSON schema as compact JSON, count together.
pub(super) const MAX_BYTES: usize = 128 << 10;
/// Deepest nesting of a schema's JSON.
const MAX_DEPTH: usize = 64;
/// Most members of an object or elements of an array (properties, alternatives, values of an `enum`).
const MAX_MEMBERS: usize = 4096;
/// Most properties of an object.
const MAX_PROPERTIES: usize = 1000;
/// Most patterns of property names in all: each is compared with every other.
const MAX_PATTERNS: usize = 32;

/// Refuses schemas that are no schemas, and those whose compilation would cost much time, memory or stack.
pub(super) fn check_schema(schema: &Value) -> Result<(), EngineError> {
    if !(schema.is_object() || schema.is_boolean()) {
        return Err(EngineError::caller("JSON schema: it is neither an object nor true or false"));
    }
    let (mut left, mut patterns) = (vec![(schema, 1)], 0);
    while let Some((value, depth)) = left.pop() {
        check_limit("levels of a JSON schema", depth, MAX_DEPTH)?;
        match value {
            Value::Array(elements) => {
                check_limit("elements of an array of a JSON schema", elements.len(), MAX_MEMBERS)?;
                left.extend(elements.iter().map(|element| (element, depth + 1)));
            }
            Value::Object(members) => {
                check_limit("members of an object of a JSON schema", members.len(), MAX_MEMBERS)?;
                let count = |key: &str| members.get(key).and_then(Value::as_object).map_or(0, serde_json::Map::len);
                check_limit("properties of an object of a JSON schema", count("properties"), MAX_PROPERTIES)?;
                patterns += count("patternProperties");
                check_limit("patterns of property names", patterns, MAX_PATTERNS)?;
                left.extend(members.values().map(|member| (member, depth + 1)));
            }
            _ => {}
        }
    }
    // Only now, as printing goes as deep as the value.
    check_limit("bytes of a JSON schema", schema.to_string().len(), MAX_BYTES)?;
    Expansion::check(schema)
}
