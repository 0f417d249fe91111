//! What form a reply must have: `response_format`, and the names that other servers have for it.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use zoetrope_engine::Constraint;

use crate::error::{ApiError, quoted};

/// The form, and the field that asked for it.
pub(crate) type Asked = (Constraint, &'static str);

/// Fields that ask for a form.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct FormFields {
    response_format: Option<Value>,
    structured_outputs: Option<Map<String, Value>>,
    guided_json: Option<Value>,
    guided_regex: Option<String>,
    guided_choice: Option<Vec<String>>,
    guided_grammar: Option<String>,
    regex: Option<String>,
    json_schema: Option<Value>,
    grammar: Option<Value>,
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
}

impl FormFields {
    /// What was asked for.
    ///
    /// # Errors
    /// For a form that there is not, and for two at once.
    pub(crate) fn form(&self) -> Result<Option<Asked>, ApiError> {
        let mut forms: Vec<Asked> = Vec::new();
        if let Some(form) = self.response_format.as_ref().map(response_format).transpose()?.flatten() {
            forms.push((form, "response_format"));
        }
        if let Some(fields) = &self.structured_outputs {
            forms.push((structured(fields)?, "structured_outputs"));
        }
        if let Some(form) = self.grammar.as_ref().map(grammar).transpose()? {
            forms.push((form, "grammar"));
        }
        forms.extend(self.guided_json.iter().map(|schema| (Constraint::JsonSchema(parsed(schema)), "guided_json")));
        forms.extend(self.json_schema.iter().map(|schema| (Constraint::JsonSchema(parsed(schema)), "json_schema")));
        forms.extend(self.guided_regex.iter().map(|regex| (Constraint::Regex(regex.clone()), "guided_regex")));
        forms.extend(self.regex.iter().map(|regex| (Constraint::Regex(regex.clone()), "regex")));
        forms.extend(self.guided_choice.iter().map(|choice| (Constraint::Choice(choice.clone()), "guided_choice")));
        forms.extend(self.guided_grammar.iter().map(|text| (Constraint::Lark(text.clone()), "guided_grammar")));
        match &forms[..] {
            [] | [_] => Ok(forms.pop()),
            [(_, one), (_, other), ..] => {
                Err(ApiError::invalid(*other, format!("{one} and {other} cannot both say what form a reply has")))
            }
        }
    }

    /// The tool that must be called: its name, and the schema of its arguments.
    ///
    /// # Errors
    /// When tools are to be chosen from, which no model here can.
    pub(crate) fn forced_tool(&self) -> Result<Option<(String, Value)>, ApiError> {
        let tools = self.tools.as_deref().unwrap_or_default();
        let forced = match &self.tool_choice {
            None | Some(Value::Null) => None,
            Some(Value::String(word)) if word == "none" => return Ok(None),
            Some(Value::String(word)) if word == "auto" || word == "required" => None,
            Some(Value::Object(choice)) => {
                let function = choice.get("function").and_then(Value::as_object).unwrap_or(choice);
                function.get("name").and_then(Value::as_str)
            }
            Some(_) => return Err(ApiError::invalid("tool_choice", "tool_choice is neither a word nor a function")),
        };
        if tools.is_empty() {
            return match forced {
                None => Ok(None),
                Some(_) => Err(ApiError::invalid("tool_choice", "a tool is forced, and there are no tools")),
            };
        }
        let required = self.tool_choice.as_ref().and_then(Value::as_str) == Some("required") && tools.len() == 1;
        let Some(name) = forced.or_else(|| tools.first().filter(|_| required).and_then(tool_name)) else {
            let text = "no model here chooses tools; one that `tool_choice` forces is answered by its schema";
            return Err(ApiError::invalid("tools", text).code("unsupported_tools"));
        };
        let Some(tool) = tools.iter().find(|tool| tool_name(tool) == Some(name)) else {
            return Err(ApiError::invalid("tool_choice", format!("there is no tool {}", quoted(name))));
        };
        let function = tool.get("function").unwrap_or(tool);
        let schema = function.get("parameters").cloned().unwrap_or_else(|| json!({"type": "object"}));
        Ok(Some((name.to_string(), schema)))
    }
}

fn tool_name(tool: &Value) -> Option<&str> {
    tool.get("function").unwrap_or(tool).get("name")?.as_str()
}

/// A schema, also where it comes as text.
fn parsed(schema: &Value) -> Value {
    let text = schema.as_str().and_then(|text| serde_json::from_str(text).ok());
    text.unwrap_or_else(|| schema.clone())
}

/// `response_format` of chat, and `text.format` of responses.
pub(crate) fn response_format(value: &Value) -> Result<Option<Constraint>, ApiError> {
    let wrong = |text: String| Err(ApiError::invalid("response_format", text));
    let Value::Object(format) = value else {
        return if value.is_null() { Ok(None) } else { wrong("response_format is not an object".to_string()) };
    };
    let kind = format.get("type").and_then(Value::as_str);
    // Chat has an object around the schema, responses have not, llama.cpp has it beside.
    let inner = format.get("json_schema").and_then(Value::as_object).unwrap_or(format);
    let schema = inner.get("schema").filter(|schema| !schema.is_null());
    let of_object = |schema: &Value| match schema {
        Value::Object(_) | Value::Bool(_) => Ok(Some(Constraint::JsonSchema(schema.clone()))),
        _ => wrong("the schema is not an object".to_string()),
    };
    match (kind, schema) {
        (Some("text"), _) => Ok(None),
        (Some("json_object"), None) => Ok(Some(Constraint::JsonObject)),
        (Some("json_object" | "json_schema"), Some(schema)) => of_object(schema),
        (Some("json_schema"), None) => wrong("json_schema has no schema".to_string()),
        (Some(other), _) => wrong(format!("type {} is not text, json_object or json_schema", quoted(other))),
        (None, _) => wrong("response_format has no type".to_string()),
    }
}

/// vLLM's `structured_outputs`.
fn structured(fields: &Map<String, Value>) -> Result<Constraint, ApiError> {
    let wrong = |text: &str| Err(ApiError::invalid("structured_outputs", text));
    let given: Vec<(&String, &Value)> = fields.iter().filter(|(_, value)| !value.is_null()).collect();
    let known = |name: &str| given.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
    if let Some(choice) = known("choice") {
        let texts = choice
            .as_array()
            .and_then(|list| list.iter().map(|text| text.as_str().map(String::from)).collect::<Option<Vec<String>>>());
        return texts.map(Constraint::Choice).map_or_else(|| wrong("choice is not a list of texts"), Ok);
    }
    let text = |name: &str| known(name).and_then(Value::as_str).map(String::from);
    if let Some(regex) = text("regex") {
        return Ok(Constraint::Regex(regex));
    }
    if let Some(grammar) = text("grammar") {
        return Ok(Constraint::Lark(grammar));
    }
    if let Some(schema) = known("json") {
        return Ok(Constraint::JsonSchema(parsed(schema)));
    }
    match known("json_object").and_then(Value::as_bool) {
        Some(true) => Ok(Constraint::JsonObject),
        _ => wrong("none of json, json_object, regex, choice and grammar is there"),
    }
}

/// mistral.rs' `grammar`: an object with type and value; llama.cpp's is a text.
fn grammar(value: &Value) -> Result<Constraint, ApiError> {
    let wrong = |text: String| Err(ApiError::invalid("grammar", text));
    let Value::Object(fields) = value else {
        return wrong("grammar is not an object with type and value".to_string());
    };
    let inner = fields.get("value");
    let text = || inner.and_then(Value::as_str).map(String::from);
    match (fields.get("type").and_then(Value::as_str), text()) {
        (Some("regex"), Some(regex)) => Ok(Constraint::Regex(regex)),
        (Some("lark"), Some(grammar)) => Ok(Constraint::Lark(grammar)),
        (Some("json_schema"), _) => match inner.map(parsed) {
            Some(schema @ (Value::Object(_) | Value::Bool(_))) => Ok(Constraint::JsonSchema(schema)),
            _ => wrong("the schema is not an object".to_string()),
        },
        (Some(other), _) => wrong(format!("type {} is not regex, lark or json_schema", quoted(other))),
        (None, _) => wrong("grammar has no type".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(body: Value) -> Result<Option<Asked>, String> {
        let fields: FormFields = serde_json::from_value(body).map_err(|error| error.to_string())?;
        fields.form().map_err(|error| format!("{}: {}", error.param.unwrap_or_default(), error.message))
    }

    #[test]
    fn a_form_is_found_under_every_name_it_has() {
        let schema = json!({"type": "object"});
        for (body, want) in [
            (
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}),
                Constraint::JsonSchema(schema.clone()),
            ),
            (
                json!({"response_format": {"type": "json_object", "schema": schema}}),
                Constraint::JsonSchema(schema.clone()),
            ),
            (json!({"response_format": {"type": "json_object"}}), Constraint::JsonObject),
            (json!({"structured_outputs": {"choice": ["a", "b"]}}), Constraint::Choice(vec!["a".into(), "b".into()])),
            (json!({"structured_outputs": {"regex": "a+"}}), Constraint::Regex("a+".into())),
            (json!({"regex": "a+"}), Constraint::Regex("a+".into())),
            (json!({"grammar": {"type": "regex", "value": "a+"}}), Constraint::Regex("a+".into())),
            (json!({"guided_json": "{\"type\": \"object\"}"}), Constraint::JsonSchema(schema.clone())),
        ] {
            assert_eq!(form(body.clone()).map(|asked| asked.map(|(form, _)| form)), Ok(Some(want)), "{body}");
        }
        assert_eq!(form(json!({"response_format": {"type": "text"}})), Ok(None));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for body in [
            json!({"response_format": {"type": "yaml"}}),
            json!({"response_format": {}}),
            json!({"response_format": "json"}),
            json!({"response_format": {"type": "json_schema", "json_schema": {"schema": 7}}}),
            json!({"grammar": {"type": "nonsense", "value": "x"}}),
            json!({"regex": "a", "guided_choice": ["b"]}),
        ] {
            assert!(form(body.clone()).is_err(), "{body}");
        }
    }

    #[test]
    fn one_forced_tool_is_a_schema_and_a_choice_of_tools_is_refused() {
        let tool = json!({"type": "function", "function": {"name": "Ans", "parameters": {"type": "object"}}});
        let fields = |choice: Value| -> FormFields {
            serde_json::from_value(json!({"tools": [tool], "tool_choice": choice})).expect("fields")
        };
        let forced = fields(json!({"type": "function", "function": {"name": "Ans"}})).forced_tool();
        assert_eq!(forced.ok().flatten(), Some(("Ans".to_string(), json!({"type": "object"}))));
        assert!(fields(json!("auto")).forced_tool().is_err());
        assert!(fields(json!("none")).forced_tool().is_ok_and(|tool| tool.is_none()));
        assert!(fields(json!({"function": {"name": "Other"}})).forced_tool().is_err());
    }
}
