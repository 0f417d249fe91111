//! Which bytes of a rendered prompt came from the caller.
//!
//! The template runs twice: on the messages as they are, which gives the prompt, and on messages whose strings are
//! enclosed in marks. Marks are made of private-use characters that occur nowhere in the first prompt or in the
//! messages, so no text can forge one. They stand inside the white space at both ends of a string, so that a template
//! that trims does the same to both. Where the second prompt without its marks equals the first, its marks say where
//! every string went: all that stands between them is the caller's, changed or not. A string whose marks did not come
//! out around its exact text (the template cut it, tested it, or moved parts of it) is looked for as well: every place
//! in the prompt where one of its words stands counts as the caller's.
//!
//! Limit: a template that changes the letters of a string (upper case, replacement) and moves its marks could hide
//! where a word came from. No published template of the families here does so.

use std::collections::HashSet;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use serde_json::{Map, Value as Json};

use crate::error::TextError;

/// Places of words that are looked at before giving up.
const MAX_PLACES: usize = 1_000_000;

/// Checks the form of the messages and the amount of text, before anything is rendered.
pub(super) fn check(messages: &Json, extra: &Map<String, Json>, limit: usize) -> Result<(), TextError> {
    let list = messages.as_array().ok_or_else(|| TextError::Caller("messages are not an array".into()))?;
    for (index, message) in list.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if role.is_empty() || !is_name(role) {
            return Err(TextError::Caller(format!("message {index}: role {role:?} is not a plain word")));
        }
    }
    let number = bytes(messages) + extra.values().map(bytes).sum::<usize>();
    if number > limit {
        return Err(TextError::Limit { what: "bytes of messages", number, limit });
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn bytes(value: &Json) -> usize {
    match value {
        Json::String(text) => text.len(),
        Json::Array(list) => list.iter().map(bytes).sum(),
        Json::Object(object) => object.iter().map(|(key, value)| key.len() + bytes(value)).sum(),
        _ => 0,
    }
}

/// The characters that marks are made of: one begins and ends the number of a string at its front, one at its back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    front: char,
    back: char,
}

impl Marks {
    /// Two private-use characters that occur nowhere in `prompt`, `messages` or `extra`.
    pub(super) fn new(prompt: &str, messages: &Json, extra: &Map<String, Json>) -> Result<Self, TextError> {
        let private = '\u{F0000}'..='\u{FFFFD}';
        let mut used: HashSet<char> = prompt.chars().filter(|c| private.contains(c)).collect();
        let mut note = |text: &str| used.extend(text.chars().filter(|c| private.contains(c)));
        visit(messages, &mut note);
        extra.values().for_each(|value| visit(value, &mut note));
        let mut free = private.filter(|c| !used.contains(c));
        match (free.next(), free.next()) {
            (Some(front), Some(back)) => Ok(Marks { front, back }),
            _ => Err(TextError::Caller("messages use every private-use character".into())),
        }
    }

    /// The messages and the structured part of `extra` with marks around every string but `role` and `type` words, and
    /// the strings, by number.
    pub(super) fn wrap(
        self,
        mut messages: Json,
        mut extra: Map<String, Json>,
    ) -> (Json, Map<String, Json>, Vec<String>) {
        let mut texts = Vec::new();
        self.wrap_value(&mut messages, &mut texts);
        for value in extra.values_mut().filter(|value| value.is_array() || value.is_object()) {
            self.wrap_value(value, &mut texts);
        }
        (messages, extra, texts)
    }

    fn wrap_value(self, value: &mut Json, texts: &mut Vec<String>) {
        match value {
            Json::String(text) => {
                let core = text.trim();
                if core.is_empty() {
                    return;
                }
                let (head, tail) = (&text[..text.len() - text.trim_start().len()], &text[text.trim_end().len()..]);
                let (Marks { front, back }, number) = (self, texts.len());
                let marked = format!("{head}{front}{number}{front}{core}{back}{number}{back}{tail}");
                texts.push(core.to_string());
                *text = marked;
            }
            Json::Array(list) => list.iter_mut().for_each(|value| self.wrap_value(value, texts)),
            Json::Object(object) => {
                for (key, value) in object.iter_mut() {
                    let word = matches!(key.as_str(), "role" | "type") && value.as_str().is_some_and(is_name);
                    if !word {
                        self.wrap_value(value, texts);
                    }
                }
            }
            _ => {}
        }
    }

    /// The caller's bytes in `prompt`. `marked` is the prompt with marks, `None` when the template failed on it.
    pub(super) fn locate(
        self,
        prompt: &str,
        marked: Option<&str>,
        texts: &[String],
    ) -> Result<Vec<Range<usize>>, TextError> {
        let (clean, marks) = self.split(marked.unwrap_or_default());
        let mut ranges = Vec::new();
        // Whether all of a string's marks came out around its exact text.
        let mut exact = vec![clean == prompt; texts.len()];
        if clean == prompt {
            let mut open: Option<Mark> = None;
            for mark in marks.iter().copied().chain([Mark::end(clean.len())]) {
                if let Some(start) = open.filter(|start| !mark.front && start.number == mark.number) {
                    // Whatever stands between the two is the string, or what the template made of it.
                    exact[mark.number] &= clean[start.at..mark.at] == *texts[mark.number];
                    ranges.push(start.at..mark.at);
                    open = None;
                    continue;
                }
                for stray in
                    [open.take(), (!mark.front && mark.number < texts.len()).then_some(mark)].into_iter().flatten()
                {
                    exact[stray.number] = false;
                    ranges.push(stray.extent(&clean, &texts[stray.number]));
                }
                open = (mark.front && mark.number < texts.len()).then_some(mark);
            }
            // A string that left no mark at all did not come out, or came out in pieces.
            let seen: HashSet<usize> = marks.iter().map(|mark| mark.number).collect();
            exact.iter_mut().enumerate().for_each(|(number, exact)| *exact &= seen.contains(&number));
        }
        let doubtful = texts.iter().zip(&exact).filter(|(_, exact)| !**exact).map(|(text, _)| text.as_str());
        ranges.extend(places(prompt, doubtful)?);
        Ok(merged(ranges))
    }

    /// The prompt without its marks, and where they stood.
    fn split(self, marked: &str) -> (String, Vec<Mark>) {
        let (mut clean, mut marks) = (String::with_capacity(marked.len()), Vec::new());
        let mut rest = marked;
        while let Some(at) = rest.find([self.front, self.back]) {
            clean.push_str(&rest[..at]);
            let front = rest[at..].starts_with(self.front);
            let sign = if front { self.front } else { self.back };
            let inner = &rest[at + sign.len_utf8()..];
            let digits = inner.len() - inner.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            match (inner[..digits].parse(), inner[digits..].strip_prefix(sign)) {
                (Ok(number), Some(after)) => {
                    marks.push(Mark { front, number, at: clean.len() });
                    rest = after;
                }
                // Half a mark: a template cut through it. The prompts will differ, and all strings are looked for.
                _ => {
                    clean.push(sign);
                    rest = inner;
                }
            }
        }
        clean.push_str(rest);
        (clean, marks)
    }
}

/// A mark of string `number` before byte `at` of the prompt without marks.
#[derive(Clone, Copy, Debug)]
struct Mark {
    front: bool,
    number: usize,
    at: usize,
}

impl Mark {
    /// Not a mark: stands for the end of the prompt.
    fn end(at: usize) -> Self {
        Mark { front: true, number: usize::MAX, at }
    }

    /// How far the string of a mark without a partner reaches into the prompt.
    fn extent(self, clean: &str, text: &str) -> Range<usize> {
        if self.front {
            let same = clean[self.at..].chars().zip(text.chars()).take_while(|(a, b)| a == b);
            self.at..self.at + same.map(|(a, _)| a.len_utf8()).sum::<usize>()
        } else {
            let same = clean[..self.at].chars().rev().zip(text.chars().rev()).take_while(|(a, b)| a == b);
            self.at - same.map(|(a, _)| a.len_utf8()).sum::<usize>()..self.at
        }
    }
}

fn visit(value: &Json, note: &mut impl FnMut(&str)) {
    match value {
        Json::String(text) => note(text),
        Json::Array(list) => list.iter().for_each(|value| visit(value, note)),
        Json::Object(object) => object.iter().for_each(|(key, value)| {
            note(key);
            visit(value, note);
        }),
        _ => {}
    }
}

/// Everywhere in `prompt` that a word of `texts` stands. Words of letters and digits alone are no commands.
fn places<'a>(prompt: &str, texts: impl Iterator<Item = &'a str>) -> Result<Vec<Range<usize>>, TextError> {
    let words: HashSet<&str> =
        texts.flat_map(str::split_whitespace).filter(|word| !word.chars().all(char::is_alphanumeric)).collect();
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let automaton = AhoCorasick::new(&words).map_err(|error| TextError::Bug(format!("words of messages: {error}")))?;
    let found: Vec<_> = automaton.find_overlapping_iter(prompt).take(MAX_PLACES + 1).map(|m| m.range()).collect();
    if found.len() > MAX_PLACES {
        let what = "places of message text that the chat template rewrote";
        return Err(TextError::Limit { what, number: found.len(), limit: MAX_PLACES });
    }
    Ok(found)
}

fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut out: Vec<Range<usize>> = Vec::new();
    for range in ranges.into_iter().filter(|range| range.start < range.end) {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}
