//! Settings that only some families have, by name: `--set merge=2`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{ModelError, ModelResult};

/// Values by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(BTreeMap<String, Value>);

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SettingType {
    /// A positive integer.
    Integer,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// A setting that a family has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub meaning: &'static str,
    /// What values it takes.
    #[serde(rename = "type")]
    pub value_type: SettingType,
    /// The checkpoint's own value, in words.
    pub default: String,
}

impl Settings {
    /// Parses `name=value` and adds it. The value is an integer, `true`, `false`, or a word.
    ///
    /// # Errors
    /// [`ModelError::Caller`] when there is no `=` or no name.
    pub fn parse(&mut self, text: &str) -> ModelResult<()> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                let value = value.trim();
                let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_string()));
                self.0.insert(name.trim().to_string(), value);
                Ok(())
            }
            _ => Err(ModelError::Caller(format!("setting {text:?} is not NAME=VALUE"))),
        }
    }

    /// Adds a value.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_string(), value.into());
    }

    /// These settings with `name` set.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.set(name, value);
        self
    }

    /// The integer `name`, when it is set.
    pub fn integer(&self, name: &str) -> Option<usize> {
        self.0.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok())
    }

    /// The flag `name`, when it is set.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }

    /// The word `name`, when it is set.
    pub fn word(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Refuses names and values that `family` with the settings `known` does not have.
    ///
    /// # Errors
    /// [`ModelError::Caller`] that names the setting and lists those there are.
    pub fn check(&self, family: &str, known: &[Setting]) -> ModelResult<()> {
        for (name, value) in &self.0 {
            let Some(setting) = known.iter().find(|setting| setting.name == name) else {
                let names: Vec<&str> = known.iter().map(|setting| setting.name).collect();
                let names = if names.is_empty() { "none".to_string() } else { names.join(", ") };
                return Err(ModelError::Caller(format!("setting {name:?} is unknown; {family} has {names}")));
            };
            if let Err(wants) = setting.value_type.check(value) {
                return Err(ModelError::Caller(format!("setting {name} is {value}; it takes {wants}")));
            }
        }
        Ok(())
    }
}

impl SettingType {
    /// Fails with what would fit.
    fn check(self, value: &Value) -> Result<(), String> {
        match self {
            SettingType::Integer if value.as_u64().is_some_and(|n| n > 0 && n <= u64::from(u32::MAX)) => Ok(()),
            SettingType::Integer => Err("a positive integer".to_string()),
            SettingType::Flag if value.is_boolean() => Ok(()),
            SettingType::Flag => Err("true or false".to_string()),
            SettingType::Word(words) if value.as_str().is_some_and(|word| words.contains(&word)) => Ok(()),
            SettingType::Word(words) => Err(format!("one of {}", words.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> [Setting; 3] {
        let setting = |name, value_type| Setting { name, meaning: "", value_type, default: String::new() };
        [
            setting("merge", SettingType::Integer),
            setting("prune", SettingType::Flag),
            setting("template", SettingType::Word(&["chat", "base"])),
        ]
    }

    fn checked(texts: &[&str]) -> Result<Settings, String> {
        let mut settings = Settings::default();
        texts.iter().try_for_each(|text| settings.parse(text)).map_err(|error| error.to_string())?;
        settings.check("toy", &known()).map_err(|error| error.to_string())?;
        Ok(settings)
    }

    #[test]
    fn values_are_parsed_by_their_form() {
        let settings = checked(&["merge=2", "prune = false", "template=base"]).unwrap();
        assert_eq!(
            (settings.integer("merge"), settings.flag("prune"), settings.word("template")),
            (Some(2), Some(false), Some("base"))
        );
        assert_eq!((settings.integer("other"), settings.flag("merge")), (None, None));
    }

    #[test]
    fn what_a_family_does_not_have_is_refused_by_name() {
        let refused = |text: &str| checked(&[text]).unwrap_err();
        assert_eq!(refused("prun=true"), "setting \"prun\" is unknown; toy has merge, prune, template");
        assert_eq!(refused("merge=0"), "setting merge is 0; it takes a positive integer");
        assert_eq!(refused("merge=two"), "setting merge is \"two\"; it takes a positive integer");
        assert_eq!(refused("prune=1"), "setting prune is 1; it takes true or false");
        assert_eq!(refused("template=vqa"), "setting template is \"vqa\"; it takes one of chat, base");
        assert_eq!(refused("merge"), "setting \"merge\" is not NAME=VALUE");
    }
}
