//! WebVTT: blocks between blank lines. Those with a line of times are cues; NOTE, STYLE and REGION are not shown.

use super::cues::{MAX_TEXT, Subtitles};
use super::markup::Markup;
use super::timestamp::{is_timing, timing};

/// Whether `text` is WebVTT.
pub(super) fn sniff(text: &str) -> bool {
    let rest = text.strip_prefix("WEBVTT");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

/// The cues of `text`.
pub(super) fn parse(text: &str) -> Subtitles {
    let mut found = Subtitles::default();
    let mut block: Vec<&str> = Vec::new();
    for line in text.lines().flat_map(|line| line.split('\r')).map(str::trim_end).chain([""]) {
        match line.is_empty() {
            true => cue(&block, &mut found),
            false => {
                block.push(line);
                continue;
            }
        }
        block.clear();
    }
    found.finish()
}

/// Adds the block where it is a cue.
fn cue(block: &[&str], found: &mut Subtitles) {
    let kind = block.first().copied().unwrap_or_default();
    if ["NOTE", "STYLE", "REGION", "WEBVTT"].iter().any(|name| kind.split_whitespace().next() == Some(name)) {
        return;
    }
    // An identifier may stand before the times.
    let Some(at) = block.iter().take(2).position(|line| is_timing(line)) else { return };
    let lines = &block[at + 1..];
    let length: usize = lines.iter().map(|line| line.len() + 1).sum();
    match length <= MAX_TEXT {
        true => found.add(timing(block[at]), &lines.join("\n"), Markup::Vtt),
        false => found.skipped += 1,
    }
}
