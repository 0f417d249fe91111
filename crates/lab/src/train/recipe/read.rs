//! A recipe file (TOML, or JSON of version 0.1) to a checked recipe: names and types with their lines, then what stages
//! take over, then the values.

use std::path::Path;

use toml::{Table, Value};

use super::run::Recipe;
use super::version_0_1::to_toml;
use crate::error::LabError;

/// Most bytes of a recipe.
const MAX_BYTES: u64 = 4 << 20;

/// Fields of which one replaces the other, in a stage and in its tables.
const EXCLUSIVE: [[&str; 2]; 2] = [["steps", "epochs"], ["warmup", "warmup_share"]];
/// Fields that a stage does not take from the one that it continues.
const OWN: [&str; 4] = ["name", "source", "steps", "epochs"];

impl Recipe {
    /// Reads and checks a recipe file.
    ///
    /// # Errors
    /// [`LabError::File`] with the line of a field that is not known or has another type, and the name of one whose
    /// value makes no sense.
    pub fn read(file: &Path) -> Result<Self, LabError> {
        read(file)
    }

    /// The recipe in `text`, whose data files are named from the current folder.
    ///
    /// # Errors
    /// As [`Recipe::read`], without the name of the file.
    pub fn parse(text: &str) -> Result<Self, LabError> {
        parse(text).map_err(LabError::Caller)
    }
}

fn read(file: &Path) -> Result<Recipe, LabError> {
    let wrong = |what: String| LabError::File { file: file.to_path_buf(), what };
    let bytes = std::fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
    if bytes > MAX_BYTES {
        return Err(wrong(format!("{bytes} bytes are more than the limit of {MAX_BYTES} for a recipe")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let is_json = text.trim_start().starts_with('{');
    let text = if is_json { to_toml(&text).map_err(wrong)? } else { text };
    let mut recipe = parse(&text).map_err(wrong)?;
    recipe.folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(recipe)
}

/// The recipe in `text`.
///
/// # Errors
/// What is wrong with it, with its line where a name or a type is.
fn parse(text: &str) -> Result<Recipe, String> {
    let located = |error: toml::de::Error| located(&error, text);
    // Each stage alone, as it is written: an error has its line.
    toml::from_str::<Recipe>(text).map_err(located)?;
    let mut whole: Table = toml::from_str(text).map_err(located)?;
    let defaults = match whole.remove("defaults") {
        Some(Value::Table(defaults)) => defaults,
        _ => Table::new(),
    };
    if let Some(Value::Array(stages)) = whole.get_mut("stage") {
        let mut before = Table::new();
        for stage in stages {
            let Value::Table(own) = stage else { continue };
            let continues = own.get("continues") == Some(&Value::Boolean(true));
            let mut from = if continues { before } else { defaults.clone() };
            if continues {
                OWN.iter().for_each(|field| drop(from.remove(*field)));
            }
            *own = over(from, std::mem::take(own));
            before = own.clone();
        }
    }
    let recipe: Recipe =
        Value::Table(whole).try_into().map_err(|error: toml::de::Error| error.message().to_string())?;
    recipe.check()?;
    Ok(recipe)
}

/// The fields of `own` over those of `from`, table by table.
fn over(mut from: Table, own: Table) -> Table {
    for pair in EXCLUSIVE.iter().filter(|pair| pair.iter().any(|name| own.contains_key(*name))) {
        pair.iter().for_each(|name| drop(from.remove(*name)));
    }
    for (name, value) in own {
        let value = match (from.remove(&name), value) {
            (Some(Value::Table(from)), Value::Table(own)) => Value::Table(over(from, own)),
            (_, value) => value,
        };
        from.insert(name, value);
    }
    from
}

/// The error with its line, and the known name that is nearest to an unknown one.
fn located(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
    let message = error.message().trim_end_matches('\n').replace('\n', ", ");
    let message = match unknown(&message) {
        Some(better) => better,
        None => message,
    };
    match line {
        Some(line) => format!("line {line}: {message}"),
        None => message,
    }
}

/// "unknown field `a`, expected one of `b`, `c`", as serde says it, with the nearest of the known names.
fn unknown(message: &str) -> Option<String> {
    let kind = ["unknown field", "unknown variant"].into_iter().find(|kind| message.starts_with(kind))?;
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (wrong, known) = names.split_first()?;
    let kind = if kind == "unknown field" { kind } else { "unknown value" };
    let nearest = known.iter().map(|name| (distance(wrong, name), *name)).min();
    let known = known.join(", ");
    Some(match nearest.filter(|(distance, name)| *distance <= 1 + wrong.len().max(name.len()) / 3) {
        Some((_, nearest)) => format!("{kind} {wrong:?}; did you mean {nearest:?}? Known are {known}"),
        None => format!("{kind} {wrong:?}; known are {known}"),
    })
}

/// Levenshtein distance: insertions, removals and replacements of a character.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
