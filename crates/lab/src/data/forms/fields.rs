//! Fields of a row by name and type. A field that is null or empty is not there.

use serde_json::{Map, Value};

use crate::data::fault::{FaultKind, RowResult};

/// The first of `names` that is there and not empty, with its name.
pub(super) fn first<'r>(fields: &'r Map<String, Value>, names: &[&'static str]) -> Option<(&'static str, &'r Value)> {
    names.iter().find_map(|name| fields.get(*name).filter(|value| !is_absent(value)).map(|value| (*name, value)))
}

/// Whether a value stands for nothing.
pub(super) fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(Value::is_null),
        _ => false,
    }
}

/// A string.
pub(super) fn string<'v>(name: &str, value: &'v Value) -> RowResult<&'v str> {
    value.as_str().ok_or_else(|| wrong(name, value, "a string"))
}

/// A string, where there is one.
pub(super) fn optional_string<'r>(fields: &'r Map<String, Value>, name: &'static str) -> RowResult<&'r str> {
    first(fields, &[name]).map_or(Ok(""), |(name, value)| string(name, value))
}

/// A list.
pub(super) fn list<'v>(name: &str, value: &'v Value) -> RowResult<&'v [Value]> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| wrong(name, value, "a list"))
}

/// Seconds: a finite number, or one that is written in a string, as `12.5` or `1:02:03.5`.
pub(super) fn seconds(name: &str, value: &Value) -> RowResult<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => clock(text),
        _ => None,
    };
    number.filter(|seconds| seconds.is_finite()).ok_or_else(|| wrong(name, value, "seconds"))
}

/// Seconds, where there are some.
pub(super) fn optional_seconds(fields: &Map<String, Value>, names: &[&'static str]) -> RowResult<Option<f64>> {
    first(fields, names).map(|(name, value)| seconds(name, value)).transpose()
}

/// A field of another type than it should have.
pub(super) fn wrong(name: &str, value: &Value, wanted: &str) -> crate::data::fault::Fault {
    let is = match value {
        Value::String(text) => format!("{text:?}"),
        Value::Number(number) => number.to_string(),
        other => crate::data::rows::type_name(other).to_string(),
    };
    FaultKind::FieldType.of(format!("\"{name}\" is {}, not {wanted}", shortened(&is)))
}

/// At most 80 characters of a text.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_string(),
    }
}

fn clock(text: &str) -> Option<f64> {
    let mut seconds = 0.0;
    let parts: Vec<&str> = text.trim().split(':').collect();
    if parts.len() > 3 {
        return None;
    }
    for part in parts {
        seconds = seconds * 60.0 + part.parse::<f64>().ok()?;
    }
    Some(seconds)
}
