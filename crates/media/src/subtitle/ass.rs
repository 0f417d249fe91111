//! ASS and SSA: lines `Dialogue:` of the section `[Events]`, whose `Format:` names the fields.

use super::cues::Subtitles;
use super::markup::Markup;
use super::timestamp::seconds;

/// Fields before the text of a dialogue as Matroska stores it: ReadOrder, Layer, Style, Name, three margins, Effect.
const BLOCK_FIELDS: usize = 8;

/// Where fields stand when no `Format:` says it: Layer, Start, End, Style, Name, three margins, Effect, Text.
const FIELDS: Fields = Fields { start: 1, end: 2, count: 10 };

#[derive(Clone, Copy)]
struct Fields {
    start: usize,
    end: usize,
    /// All of them; the text is the last.
    count: usize,
}

/// Whether `text` is ASS or SSA.
pub(super) fn sniff(text: &str) -> bool {
    let lines = text.lines().map(str::trim).take(1000);
    let is_section = |line: &str| ["[script info]", "[events]"].iter().any(|name| line.eq_ignore_ascii_case(name));
    lines.into_iter().any(|line| is_section(line) || line.starts_with("Dialogue:"))
}

/// The cues of `text`.
pub(super) fn parse(text: &str) -> Subtitles {
    let (mut found, mut fields) = (Subtitles::default(), FIELDS);
    for line in text.lines().map(str::trim) {
        if let Some(names) = line.strip_prefix("Format:") {
            fields = format(names).unwrap_or(fields);
        } else if let Some(values) = line.strip_prefix("Dialogue:") {
            let values: Vec<&str> = values.splitn(fields.count, ',').collect();
            let time = |at: usize| values.get(at).and_then(|text| seconds(text));
            let text = values.get(fields.count - 1);
            let times = time(fields.start).zip(time(fields.end)).filter(|_| text.is_some());
            found.add(times, text.unwrap_or(&""), Markup::Ass);
        }
    }
    found.finish()
}

/// The fields of events; `None` for those of styles.
fn format(names: &str) -> Option<Fields> {
    let names: Vec<String> = names.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    let at = |wanted: &str| names.iter().position(|name| name == wanted);
    // The text takes the rest of the line, commas and all.
    let is_last = at("text")? + 1 == names.len();
    Some(Fields { start: at("start")?, end: at("end")?, count: names.len() }).filter(|_| is_last)
}

/// The text of a dialogue as a block of Matroska has it; `None` when fields are missing.
pub(super) fn block_text(block: &str) -> Option<&str> {
    block.splitn(BLOCK_FIELDS + 1, ',').nth(BLOCK_FIELDS)
}
