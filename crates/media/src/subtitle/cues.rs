//! Cues as they are collected, within bounds.

use serde::{Deserialize, Serialize};

use super::markup::{self, Markup};

/// Cues of a film at most: a cue a second for two days.
pub(super) const MAX_CUES: usize = 200_000;
/// Bytes of one cue at most, before its tags are removed.
pub(super) const MAX_TEXT: usize = 16 << 10;

/// Words with a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subtitle {
    /// First second.
    pub start: f64,
    /// Last second.
    pub end: f64,
    /// The words, on one line.
    pub text: String,
}

/// The subtitles of a film, by time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Subtitles {
    /// Cues in the order of their starts.
    pub cues: Vec<Subtitle>,
    /// Cues that were left out: damaged times, an end before the start, too many, too long.
    pub skipped: usize,
}

impl Subtitles {
    /// Adds a cue with its tags removed. One without words is nothing; one without a sensible time is counted.
    pub(super) fn add(&mut self, times: Option<(f64, f64)>, text: &str, markup: Markup) {
        let times = times.filter(|(start, end)| start.is_finite() && end.is_finite() && start <= end);
        match times {
            Some((start, end)) if text.len() <= MAX_TEXT && self.cues.len() < MAX_CUES => {
                let text = markup::plain(text, markup);
                if !text.is_empty() {
                    self.cues.push(Subtitle { start, end, text });
                }
            }
            _ => self.skipped += 1,
        }
    }

    /// In order of time; what stands there twice (layers of the same words, a cue cut in two) once.
    pub(super) fn finish(mut self) -> Self {
        self.cues.sort_by(|a, b| a.start.total_cmp(&b.start).then(a.end.total_cmp(&b.end)));
        self.cues.dedup_by(|next, before| {
            let same = next.text == before.text && next.start <= before.end && next.end >= before.start;
            if same {
                before.end = before.end.max(next.end);
            }
            same
        });
        self
    }

    /// Counted from `start`; what ends before it is left out.
    #[must_use]
    pub fn from_start(mut self, start: f64) -> Self {
        for cue in &mut self.cues {
            (cue.start, cue.end) = (cue.start - start, cue.end - start);
        }
        self.cues.retain(|cue| cue.end > 0.0 || cue.start >= 0.0);
        self
    }
}
