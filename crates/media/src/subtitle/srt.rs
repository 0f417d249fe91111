//! SubRip: a number, a line of times, lines of text. Blank lines inside a cue do not end it; the next line of times
//! does.

use super::cues::{MAX_TEXT, Subtitles};
use super::markup::Markup;
use super::timestamp::{is_timing, timing};

/// A cue whose end is not seen yet.
struct OpenCue<'t> {
    /// `None` when they are damaged.
    times: Option<(f64, f64)>,
    lines: Vec<&'t str>,
}

/// The cues of `text`.
pub(super) fn parse(text: &str) -> Subtitles {
    let mut found = Subtitles::default();
    let mut cue: Option<OpenCue<'_>> = None;
    for line in text.lines().flat_map(|line| line.split('\r')) {
        let line = line.trim();
        if is_timing(line) {
            end(cue.take(), true, &mut found);
            cue = Some(OpenCue { times: timing(line), lines: Vec::new() });
        } else if let Some(cue) = &mut cue {
            cue.lines.push(line);
        }
    }
    end(cue, false, &mut found);
    found.finish()
}

/// Adds a cue. Its last line is the number of the next one, where there is a next one.
fn end(cue: Option<OpenCue<'_>>, has_next: bool, found: &mut Subtitles) {
    let Some(OpenCue { times, mut lines }) = cue else { return };
    let is_number = |line: &&&str| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit());
    if has_next && lines.last().as_ref().is_some_and(is_number) {
        lines.pop();
    }
    let length: usize = lines.iter().map(|line| line.len() + 1).sum();
    match length <= MAX_TEXT {
        true => found.add(times, &lines.join("\n"), Markup::Srt),
        false => found.skipped += 1,
    }
}
