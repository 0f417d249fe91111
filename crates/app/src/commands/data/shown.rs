//! A sample as the model sees it, for people: media with their frames, and the prompt with what is learned of it.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;
use zoetrope_lab::data::{PlannedSample, PromptRun};
use zoetrope_models::contract::media_plan::{MediaKind, MediaPlan};

/// Characters of a text that are shown of its beginning and of its end.
const TEXT_ENDS: (usize, usize) = (400, 100);
/// Runs of a prompt that are shown of its beginning and of its end; the rest are counted.
const RUN_ENDS: (usize, usize) = (16, 12);
/// Times of frames that are shown.
const TIMES: usize = 8;

/// A sample that is shown.
#[derive(Serialize)]
pub(super) struct ShownSample {
    file: String,
    row: u64,
    media: Vec<ShownMedia>,
    text_tokens: usize,
    visual_tokens: usize,
    learned_tokens: usize,
    prompt: Vec<ShownRun>,
    /// Of a pair of preferences: the prompt with the rejected answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<Vec<ShownRun>>,
}

#[derive(Serialize)]
struct ShownMedia {
    kind: MediaKind,
    size: (u32, u32),
    views: usize,
    frames: usize,
    /// Times of the frames as the prompt has them, in seconds.
    times: Vec<f64>,
}

/// A run of the prompt: text that is learned or not, or visual tokens.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum ShownRun {
    Text(String),
    Learned(String),
    Visual(usize),
}

impl ShownSample {
    /// The sample in `row` of a file; the runs of its prompt, and of that with the rejected answer of a pair.
    pub(super) fn new(
        (file, row): (&Path, u64),
        planned: &PlannedSample,
        (runs, rejected): (Vec<PromptRun>, Option<Vec<PromptRun>>),
    ) -> Self {
        let media = |plan: &MediaPlan| ShownMedia {
            kind: plan.kind,
            size: plan.source,
            views: plan.views.len(),
            frames: plan.frames.len(),
            times: plan.frames.iter().map(|frame| frame.prompt_time).collect(),
        };
        let run = |run: PromptRun| match run {
            PromptRun::Text(text, false) => ShownRun::Text(text),
            PromptRun::Text(text, true) => ShownRun::Learned(text),
            PromptRun::Visual(tokens) => ShownRun::Visual(tokens),
        };
        ShownSample {
            file: file.display().to_string(),
            row,
            media: planned.plans.iter().map(media).collect(),
            text_tokens: planned.text_tokens(),
            visual_tokens: planned.visual_tokens(),
            learned_tokens: planned.prompt.targets.len(),
            prompt: runs.into_iter().map(run).collect(),
            rejected: rejected.map(|runs| runs.into_iter().map(run).collect()),
        }
    }

    /// Some lines. What is learned stands in double angle quotes.
    pub(super) fn lines(&self) -> String {
        let ShownSample { file, row, text_tokens, visual_tokens, learned_tokens, .. } = self;
        let mut out = format!(
            "{file}, row {row}: {text_tokens} text and {visual_tokens} visual tokens, {learned_tokens} learned\n"
        );
        for (number, media) in self.media.iter().enumerate() {
            let _ = writeln!(out, "  media {}: {}", number + 1, media.words());
        }
        for line in prompt_text(&self.prompt).trim_end().lines() {
            let _ = writeln!(out, "  | {line}");
        }
        if let Some(rejected) = &self.rejected {
            out.push_str("  rejected:\n");
            for line in prompt_text(rejected).trim_end().lines() {
                let _ = writeln!(out, "  | {line}");
            }
        }
        out
    }
}

/// The runs of a prompt as text.
fn prompt_text(prompt: &[ShownRun]) -> String {
    let (first, last) = RUN_ENDS;
    let count = prompt.len();
    let hidden = if count > first + last { first..count - last } else { 0..0 };
    let mut out = String::new();
    for (number, run) in prompt.iter().enumerate() {
        if number == hidden.start && !hidden.is_empty() {
            let visual = prompt[hidden.clone()].iter().map(|run| match run {
                ShownRun::Visual(tokens) => *tokens,
                _ => 0,
            });
            let _ = write!(out, "[... {} runs with {} visual tokens ...]", hidden.len(), visual.sum::<usize>());
        }
        if hidden.contains(&number) {
            continue;
        }
        match run {
            ShownRun::Text(text) => out.push_str(&shortened(text)),
            ShownRun::Learned(text) => {
                let _ = write!(out, "«{}»", shortened(text));
            }
            ShownRun::Visual(tokens) => {
                let _ = write!(out, "[{tokens} visual tokens]");
            }
        }
    }
    out
}

impl ShownMedia {
    fn words(&self) -> String {
        let (width, height) = self.size;
        let views = if self.views > 1 { format!(" in {} views", self.views) } else { String::new() };
        match self.kind {
            MediaKind::Image => format!("picture of {width}x{height}{views}"),
            MediaKind::Video => {
                let times: Vec<String> = self.times.iter().take(TIMES).map(|time| format!("{time:.1}")).collect();
                let more = if self.times.len() > TIMES { " ..." } else { "" };
                let frames = if self.frames == 1 { "frame" } else { "frames" };
                let times = times.join(" ");
                format!("video of {width}x{height}{views}, {} {frames} at {times}{more} s", self.frames)
            }
        }
    }
}

/// Beginning and end of a long text.
fn shortened(text: &str) -> String {
    let (first, last) = TEXT_ENDS;
    let count = text.chars().count();
    if count <= first + last + 40 {
        return text.to_string();
    }
    let begin: String = text.chars().take(first).collect();
    let end: String = text.chars().skip(count - last).collect();
    format!("{begin}[... {} characters ...]{end}", count - first - last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_prompts_are_shortened_and_learned_text_is_marked() {
        let mut prompt = vec![ShownRun::Text("user: ".into())];
        prompt.extend((0..100).flat_map(|n| [ShownRun::Text(format!("{n}s")), ShownRun::Visual(4)]));
        prompt.push(ShownRun::Text("x".repeat(1000)));
        prompt.push(ShownRun::Learned("yes".into()));
        let media = vec![ShownMedia {
            kind: MediaKind::Video,
            size: (32, 24),
            views: 1,
            frames: 100,
            times: (0..100).map(f64::from).collect(),
        }];
        let shown = ShownSample {
            file: "a.json".into(),
            row: 3,
            media,
            text_tokens: 1000,
            visual_tokens: 400,
            learned_tokens: 2,
            prompt,
            rejected: Some(vec![ShownRun::Text("user: ".into()), ShownRun::Learned("no".into())]),
        };
        let text = shown.lines();
        assert!(text.contains("100 frames at 0.0 1.0 2.0 3.0 4.0 5.0 6.0 7.0 ... s"), "{text}");
        assert!(text.contains("[... 175 runs with 352 visual tokens ...]"), "{text}");
        assert!(text.contains("[... 500 characters ...]") && text.contains("«yes»\n"), "{text}");
        assert!(text.ends_with("  rejected:\n  | user: «no»\n"), "{text}");
    }
}
