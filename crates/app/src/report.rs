//! What is said after an answer: a closing line for people, one object for programs.

use serde::Serialize;
use zoetrope_engine::{Answer, FinishReason, MediaUsage, Timings, TokenCounts};
use zoetrope_models::contract::media_plan::MediaKind;

use crate::cli::{Common, ModelArgs};
use crate::terminal;

/// The object that `--json` prints.
#[derive(Serialize)]
pub(crate) struct AnswerOutput<'a> {
    model: &'a str,
    question: &'a str,
    answer: &'a str,
    finish_reason: FinishReason,
    media: &'a [MediaUsage],
    tokens: &'a TokenCounts,
    timings: &'a Timings,
}

impl<'a> AnswerOutput<'a> {
    /// About `answer` of the model that the user calls `model`.
    pub(crate) fn new(model: &'a str, question: &'a str, answer: &'a Answer) -> Self {
        AnswerOutput {
            model,
            question,
            answer: answer.text.trim(),
            finish_reason: answer.finish_reason,
            media: &answer.media,
            tokens: &answer.tokens,
            timings: &answer.timings,
        }
    }
}

/// Says once what to expect of the model inside this program, where it was not chosen but answers.
pub(crate) fn introduce(model: &ModelArgs, common: &Common) {
    if model.model.is_none() && !common.quiet {
        terminal::note(
            "zoetrope-nano, the model inside this program, knows drawn shapes only; for anything else name a model:\n  \
             --model DAMO-NLP-SG/VideoLLaMA3-2B",
        );
    }
}

/// "10 frames of 1 video, 1 picture | 1200 tokens read (1100 video, 100 text) | 12 written | 3.2 s (...)".
pub(crate) fn closing_line(answer: &Answer) -> String {
    if answer.finish_reason == FinishReason::Cancelled && answer.ids.is_empty() {
        return format!("[stopped after {:.1} s, before the answer began]", answer.timings.total);
    }
    let mut parts = Vec::new();
    if !answer.media.is_empty() {
        parts.push(media_words(&answer.media));
    }
    parts.push(token_words(&answer.tokens));
    let ended = match answer.finish_reason {
        FinishReason::Stop => "",
        FinishReason::Length => " (cut at the length limit)",
        FinishReason::Cancelled => " (cancelled)",
        FinishReason::Time => " (cut at the time limit)",
    };
    parts.push(format!("{} written{ended}", answer.tokens.generated));
    parts.push(time_words(&answer.timings));
    format!("[{}]", parts.join(" | "))
}

fn media_words(media: &[MediaUsage]) -> String {
    let of = |kind| media.iter().filter(move |item| item.kind == kind);
    let frames: usize = of(MediaKind::Video).map(|item| item.frames.len()).sum();
    let lost: usize = media.iter().map(|item| item.faults.undecodable).sum();
    let repeated: usize = media.iter().map(|item| item.faults.repeated).sum();
    let damaged: usize = media.iter().map(|item| item.faults.damaged).sum();
    let mut words = Vec::new();
    if frames > 0 {
        words.push(format!("{} of {}", count(frames, "frame"), count(of(MediaKind::Video).count(), "video")));
    }
    if of(MediaKind::Image).count() > 0 {
        words.push(count(of(MediaKind::Image).count(), "picture"));
    }
    if lost > 0 {
        words.push(format!("{} not decodable", count(lost, "frame")));
    }
    if repeated > 0 {
        words.push(format!("{} shown twice", count(repeated, "frame")));
    }
    if damaged > 0 {
        words.push(format!("{} with damage", count(damaged, "frame")));
    }
    words.join(", ")
}

fn token_words(tokens: &TokenCounts) -> String {
    let kinds = [("video", tokens.video), ("image", tokens.image), ("text", tokens.text)];
    let mut kinds: Vec<String> = kinds.iter().filter(|(_, n)| *n > 0).map(|(kind, n)| format!("{n} {kind}")).collect();
    if tokens.reused > 0 {
        kinds.push(format!("{} kept from before", tokens.reused));
    }
    format!("{} read ({})", count(tokens.prompt, "token"), kinds.join(", "))
}

fn time_words(t: &Timings) -> String {
    let stages =
        [("open", t.open), ("decode", t.decode), ("encode", t.encode), ("read", t.prefill), ("write", t.generation)];
    // What takes no time that is shown is left out.
    let seconds = stages.iter().map(|(name, seconds)| (name, format!("{seconds:.1}")));
    let stages: Vec<String> =
        seconds.filter(|(_, text)| text != "0.0").map(|(name, text)| format!("{name} {text}")).collect();
    match stages.is_empty() {
        true => format!("{:.1} s", t.total),
        false => format!("{:.1} s ({})", t.total, stages.join(", ")),
    }
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests {
    use zoetrope_models::contract::media_plan::View;

    use super::*;

    fn item(kind: MediaKind, frames: usize) -> MediaUsage {
        let frame = zoetrope_engine::FrameUsage { index: 0, time: 0.0, source_time: 0.0, prompt_time: 0.0, tokens: 4 };
        let frames = vec![frame; frames];
        MediaUsage {
            name: "x".into(),
            kind,
            source: (8, 8),
            views: vec![View::whole((8, 8), (28, 28), (2, 2))],
            frames,
            faults: zoetrope_engine::FrameFaults::default(),
            features: None,
            tokens_before_pruning: 4,
            tokens: 4,
        }
    }

    #[test]
    fn the_closing_line_says_frames_tokens_and_times() {
        let answer = Answer {
            text: "yes".into(),
            finish_reason: FinishReason::Length,
            media: vec![item(MediaKind::Video, 10), item(MediaKind::Image, 1)],
            tokens: TokenCounts { text: 5, image: 4, video: 40, prompt: 49, reused: 0, generated: 3 },
            timings: Timings { decode: 0.25, prefill: 1.0, generation: 2.0, total: 3.25, ..Timings::default() },
            ids: vec![1, 2, 3],
        };
        let stopped = Answer {
            finish_reason: FinishReason::Cancelled,
            ids: Vec::new(),
            timings: Timings { open: 1.5, total: 2.0, ..Timings::default() },
            ..answer.clone()
        };
        assert_eq!(closing_line(&stopped), "[stopped after 2.0 s, before the answer began]");
        let (open, rest) = (Timings { open: 2.0, encode: 0.04, total: 2.04, ..Timings::default() }, Timings::default());
        assert_eq!((time_words(&open), time_words(&rest)), ("2.0 s (open 2.0)".into(), "0.0 s".into()));
        assert_eq!(
            closing_line(&answer),
            "[10 frames of 1 video, 1 picture | 49 tokens read (40 video, 4 image, 5 text) | \
             3 written (cut at the length limit) | 3.2 s (decode 0.2, read 1.0, write 2.0)]"
        );
    }
}
