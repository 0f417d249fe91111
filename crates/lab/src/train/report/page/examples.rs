//! Example answers: what the model said at checkpoints to the same questions, beside the frames that it saw.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::super::axis::whole;
use super::super::chart::escape;
use super::super::record::{ExampleRecord, FrameRecord};
use super::super::run_log::RunLog;

/// Most questions that are shown, and most frames of one.
const MOST_QUESTIONS: usize = 48;
const MOST_FRAMES: usize = 32;

/// A question and its answers over the steps, of one run or of several.
struct Asked<'a> {
    first: &'a ExampleRecord,
    run: &'a RunLog,
    answers: Vec<(&'a RunLog, &'a ExampleRecord)>,
}

pub(super) fn section(out: &mut String, runs: &[RunLog]) {
    let mut all: Vec<Asked> = Vec::new();
    let mut places = BTreeMap::new();
    for run in runs {
        for example in &run.examples {
            let files: Vec<&str> = example.frames.iter().map(|frame| frame.file.as_str()).collect();
            let place = *places.entry((example.question.as_str(), files)).or_insert_with(|| {
                all.push(Asked { first: example, run, answers: Vec::new() });
                all.len() - 1
            });
            all[place].answers.push((run, example));
        }
    }
    if all.is_empty() {
        return;
    }
    out.push_str("<h2>Example answers</h2>\n<div class=examples>");
    for asked in all.iter().take(MOST_QUESTIONS) {
        card(out, asked, runs.len() > 1);
    }
    out.push_str("</div>\n");
    if all.len() > MOST_QUESTIONS {
        let _ = writeln!(out, "<p class=under>{} more questions are in metrics.jsonl</p>", all.len() - MOST_QUESTIONS);
    }
}

fn card(out: &mut String, asked: &Asked, is_compared: bool) {
    let Asked { first, run, answers } = asked;
    out.push_str("<article class=example>");
    if !first.frames.is_empty() {
        out.push_str("<div class=frames tabindex=0>");
        for (number, frame) in first.frames.iter().take(MOST_FRAMES).enumerate() {
            picture(out, run, frame, number + 1);
        }
        out.push_str("</div>");
    }
    let _ = write!(out, "<div><p class=question>{}</p>", escape(&first.question));
    if let Some(expected) = &first.expected {
        let _ = write!(out, "<p class=expected>Expected: {}</p>", escape(expected));
    }
    out.push_str("<ol class=answers>");
    for (from, to, run, answer) in spans(answers) {
        let steps = if from == to { whole(from) } else { format!("{}–{}", whole(from), whole(to)) };
        let of = if is_compared { format!("{}, ", escape(&run.name)) } else { String::new() };
        let mark = match answer.correct {
            Some(true) => "<b class=right title=right>✓</b>",
            Some(false) => "<b class=wrong title=wrong>✗</b>",
            None => "",
        };
        let text = if answer.answer.trim().is_empty() { "<i>nothing</i>".to_string() } else { escape(&answer.answer) };
        let _ = write!(out, "<li><span>{of}{steps}</span><p>{text}</p>{mark}</li>");
    }
    out.push_str("</ol></div></article>");
}

/// Answers in order, equal neighbors of one run as one: first step, last step, run, answer.
fn spans<'a>(answers: &[(&'a RunLog, &'a ExampleRecord)]) -> Vec<(u64, u64, &'a RunLog, &'a ExampleRecord)> {
    let mut spans: Vec<(u64, u64, &RunLog, &ExampleRecord)> = Vec::new();
    for (run, answer) in answers {
        match spans.last_mut() {
            Some((_, to, of, last)) if last.answer == answer.answer && of.name == run.name => *to = answer.step,
            _ => spans.push((answer.step, answer.step, run, answer)),
        }
    }
    spans
}

fn picture(out: &mut String, run: &RunLog, frame: &FrameRecord, number: usize) {
    let time = frame.time.map(|time| format!("{time:.1} s"));
    let alt = time.as_ref().map_or(format!("frame {number}"), |time| format!("frame at {time}"));
    // A record is a file of a stranger, too: a name with a path in it is not followed.
    let is_plain = frame.file.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '.');
    let bytes = is_plain.then(|| std::fs::read(run.frames.join(&frame.file)).ok()).flatten();
    let source = bytes
        .map_or(String::new(), |bytes| format!(" src=\"data:image/jpeg;base64,{}\"", BASE64_STANDARD.encode(bytes)));
    let caption = time.map_or(String::new(), |time| format!("<figcaption>{time}</figcaption>"));
    let _ = write!(out, "<figure><img alt=\"{alt}\"{source}>{caption}</figure>");
}
