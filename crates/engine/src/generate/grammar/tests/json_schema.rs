//! JSON schemas: what comes out parses and fits.

use serde_json::{Value, json};

use super::super::Constraint;
use super::{refusal, replies};

/// Whether a value fits a schema, for the keywords that the schemas here have.
fn fits(value: &Value, schema: &Value, root: &Value) -> bool {
    if let Some(pointer) = schema["$ref"].as_str() {
        return fits(value, root.pointer(&pointer[1..]).expect("a definition"), root);
    }
    let alternatives = ["anyOf", "oneOf"].iter().filter_map(|key| schema[key].as_array());
    let mut ok = alternatives.into_iter().all(|all| all.iter().any(|one| fits(value, one, root)));
    ok &= schema["allOf"].as_array().is_none_or(|all| all.iter().all(|one| fits(value, one, root)));
    ok &= schema["enum"].as_array().is_none_or(|all| all.contains(value));
    ok &= schema.get("const").is_none_or(|one| one == value);
    ok &= match &schema["type"] {
        Value::String(name) => is_of(value, name),
        Value::Array(names) => names.iter().any(|name| is_of(value, name.as_str().expect("a type"))),
        _ => true,
    };
    let between = |number: f64, least: &str, most: &str| {
        schema[least].as_f64().is_none_or(|least| number >= least)
            && schema[most].as_f64().is_none_or(|most| number <= most)
    };
    match value {
        Value::Number(number) => ok && between(number.as_f64().expect("a number"), "minimum", "maximum"),
        Value::String(text) => ok && between(text.chars().count() as f64, "minLength", "maxLength"),
        Value::Array(elements) => {
            let item = |element: &Value| schema.get("items").is_none_or(|items| fits(element, items, root));
            ok && between(elements.len() as f64, "minItems", "maxItems") && elements.iter().all(item)
        }
        Value::Object(members) => {
            let required = schema["required"].as_array().into_iter().flatten();
            let all_there = required.into_iter().all(|name| members.contains_key(name.as_str().expect("a name")));
            let member = |(name, member): (&String, &Value)| match schema["properties"].get(name) {
                Some(property) => fits(member, property, root),
                None => match schema.get("additionalProperties") {
                    Some(Value::Bool(allowed)) => *allowed,
                    Some(other) => fits(member, other, root),
                    None => true,
                },
            };
            ok && all_there && members.iter().all(member)
        }
        _ => ok,
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        _ => value.is_object(),
    }
}

fn schemas() -> Vec<Value> {
    let color = json!({"type": "string", "enum": ["red", "green", "blue"]});
    let closed = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    vec![
        closed(
            json!({"color": color, "sure": {"type": "integer", "minimum": 0, "maximum": 100}}),
            json!(["color", "sure"]),
        ),
        closed(json!({"a": {"type": "string"}, "b": {"type": "number"}, "c": {"type": "boolean"}}), json!(["b"])),
        json!({"type": "object", "properties": {"x": {"type": "null"}}}),
        json!({"type": "array", "items": {"type": "integer", "minimum": -3, "maximum": 3}, "minItems": 2, "maxItems": 5}),
        json!({"type": "array", "items": closed(json!({"t": {"type": "number"}, "what": color}), json!(["t", "what"])),
            "minItems": 1}),
        json!({"type": "string", "minLength": 2, "maxLength": 4}),
        json!({"type": ["string", "null"]}),
        json!({"type": "number", "minimum": 0.5, "maximum": 1.5}),
        json!({"enum": [1, "one", null, [1], {"one": 1}]}),
        json!({"const": {"kind": "fixed", "list": [true, false]}}),
        json!({"anyOf": [closed(json!({"kind": {"const": "a"}, "n": {"type": "integer"}}), json!(["kind", "n"])),
            closed(json!({"kind": {"const": "b"}, "s": {"type": "string"}}), json!(["kind", "s"]))]}),
        json!({"oneOf": [{"type": "integer"}, {"type": "string", "maxLength": 3}]}),
        json!({"allOf": [closed(json!({"a": {"type": "integer"}, "b": {"type": "string"}}), json!(["a"])),
            {"required": ["b"], "properties": {"a": {"minimum": 5, "maximum": 9}}}]}),
        json!({"$defs": {"node": closed(json!({"value": {"type": "integer"},
            "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}), json!(["value", "next"]))},
            "$ref": "#/$defs/node"}),
        json!({"$defs": {"Color": color}, "title": "T", "description": "d", "type": "object", "required": ["c"],
            "properties": {"c": {"$ref": "#/$defs/Color", "description": "which"}}, "additionalProperties": false}),
        json!({"type": "object", "additionalProperties": {"type": "integer"}}),
        closed(
            json!({"list": {"type": "array", "items": {"type": "array", "items": {"type": "boolean"}}}}),
            json!(["list"]),
        ),
        closed(json!({"é \"中\"": {"type": "boolean"}}), json!(["é \"中\""])),
        closed(
            json!({"deep": closed(json!({"deeper": closed(json!({"n": {"type": "integer"}}), json!(["n"]))}),
            json!(["deeper"]))}),
            json!(["deep"]),
        ),
        json!({"type": "object", "properties": {"start": {"type": "number"}, "end": {"type": "number"}},
            "required": ["start", "end"], "x-unknown": 1}),
        json!(true),
    ]
}

#[test]
fn what_comes_out_parses_and_fits_the_schema() {
    for schema in schemas() {
        for reply in replies(&Constraint::JsonSchema(schema.clone()), 12) {
            let value: Value = match serde_json::from_str(&reply) {
                Ok(value) => value,
                // JSON has numbers such as 3E356; no schema here forbids them.
                Err(error) if error.to_string().starts_with("number out of range") => continue,
                Err(error) => panic!("{error}: {reply}"),
            };
            assert!(fits(&value, &schema, &schema), "{reply} does not fit {schema}");
        }
    }
}

#[test]
fn a_json_object_is_any_object() {
    for reply in replies(&Constraint::JsonObject, 20) {
        assert!(serde_json::from_str::<Value>(&reply).expect("JSON").is_object(), "{reply}");
    }
}

/// Outside of strings there is at most one blank, after a comma or a colon; options in the schema do not change that.
#[test]
fn white_space_is_bounded() {
    let options = json!({"whitespace_flexible": true, "whitespace_pattern": "[ \n]*", "item_separator": " *,"});
    let schema = json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
        "b": {"type": "integer"}}, "required": ["a", "b"], "additionalProperties": false, "x-guidance": options});
    let replies = replies(&Constraint::JsonSchema(schema), 60);
    for reply in &replies {
        let blanks: Vec<usize> = reply.match_indices(|c: char| c.is_whitespace()).map(|(at, _)| at).collect();
        assert!(blanks.iter().all(|&at| [",", ":"].contains(&&reply[at - 1..at])), "{reply:?}");
        assert!(reply.ends_with('}'), "{reply:?}");
    }
    assert!(replies.iter().any(|reply| reply.contains(": ")) && replies.iter().any(|reply| reply.contains(":[")));
}

#[test]
fn schemas_that_cannot_be_kept_are_refused_with_the_reason() {
    let refused = |schema: Value| refusal(&Constraint::JsonSchema(schema));
    for (schema, part) in [
        (json!({"type": "no-such-type"}), "no-such-type"),
        (json!({"type": "array", "items": {"type": "no-such-type"}}), "no-such-type"),
        (json!({"type": 5}), "type must be"),
        (json!({"not": {"type": "string"}}), "not"),
        (json!({"type": "array", "uniqueItems": true}), "uniqueItems"),
        (json!({"$ref": "#/$defs/missing"}), "missing"),
        (json!({"$ref": "https://example.com/schema.json"}), "https://example.com/schema.json"),
        (json!({"type": "string", "pattern": "("}), "unclosed group"),
        (json!({"type": "integer", "minimum": 5, "maximum": 4}), "minimum"),
        (json!({"oneOf": [{"type": "integer"}, {"type": "number"}]}), "oneOf"),
        (json!(false), "nsatisfiable"),
        (json!("a text"), "neither an object nor true or false"),
        (json!([]), "neither an object nor true or false"),
        // A text whose hundredth byte is within a character.
        (json!({"type": "string", "pattern": {"é": "é".repeat(100)}}), "JSON schema"),
    ] {
        let text = refused(schema.clone());
        assert!(text.starts_with("JSON schema: ") && text.contains(part), "{schema}: {text}");
        assert!(!text.contains("backtrace") && !text.contains("panic") && text.len() < 400, "{text}");
    }
}
