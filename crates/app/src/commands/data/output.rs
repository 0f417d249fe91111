//! The report of a check: for people, and as one object for programs.

use std::fmt::Write;

use serde::Serialize;
use zoetrope_lab::data::{BadKind, BadRows, Count, DataCheck, SampleFacts, SampleKind};

use super::histogram::{self, Bin};
use super::shown::ShownSample;

/// What a check has found.
#[derive(Serialize)]
pub(super) struct CheckOutput {
    /// As the user calls the model whose tokens are counted.
    pub(super) model: String,
    /// Files with their rows.
    pub(super) files: Vec<CheckedFile>,
    good: usize,
    kinds: Vec<KindCount>,
    /// Good samples that are pairs of preferences.
    pairs: u64,
    turns: Count,
    frames: Count,
    bad: BadOutput,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<TokenCounts>,
    /// Whether every frame was decoded.
    decoded: bool,
    samples: Vec<ShownSample>,
}

/// A data file.
#[derive(Serialize)]
pub(super) struct CheckedFile {
    pub(super) file: String,
    pub(super) rows: u64,
}

#[derive(Serialize)]
struct KindCount {
    kind: SampleKind,
    samples: usize,
}

#[derive(Serialize)]
struct BadOutput {
    count: u64,
    limit: String,
    is_over: bool,
    verdict: String,
    kinds: Vec<BadKindOutput>,
}

#[derive(Serialize)]
struct BadKindOutput {
    kind: String,
    count: u64,
    examples: Vec<BadExample>,
}

#[derive(Serialize)]
struct BadExample {
    file: String,
    row: u64,
    reason: String,
}

/// Tokens of the good samples, visual ones before pruning.
#[derive(Serialize)]
struct TokenCounts {
    total: u64,
    text: u64,
    visual: u64,
    learned: u64,
    min: u64,
    median: u64,
    mean: f64,
    p99: u64,
    max: u64,
    histogram: Vec<Bin>,
}

impl CheckOutput {
    pub(super) fn new(
        model: String,
        files: Vec<CheckedFile>,
        check: &DataCheck,
        bad: (&BadRows, String),
        decoded: bool,
        samples: Vec<ShownSample>,
    ) -> Self {
        let kinds = SampleKind::ALL.into_iter().map(|kind| KindCount { kind, samples: check.of_kind(kind) });
        CheckOutput {
            model,
            files,
            good: check.len(),
            kinds: kinds.collect(),
            pairs: check.count(|sample| u64::from(sample.is_pair)).total,
            turns: check.count(|sample| sample.turns),
            frames: check.count(|sample| sample.frames),
            bad: BadOutput::new(bad),
            tokens: TokenCounts::new(check),
            decoded,
            samples,
        }
    }

    /// The histogram of tokens as SVG.
    pub(super) fn plot(&self) -> String {
        let names = self.files.iter().map(|file| file.file.as_str()).collect::<Vec<_>>().join(", ");
        let bins = self.tokens.as_ref().map_or(&[][..], |tokens| &tokens.histogram);
        histogram::svg(&format!("Tokens of a sample ({}): {names}", self.model), bins)
    }

    /// The report for people.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for CheckedFile { file, rows } in &self.files {
            let _ = writeln!(out, "{file}: {rows} rows");
        }
        let kinds = self.kinds.iter().filter(|kind| kind.samples > 0);
        let kinds: Vec<String> = kinds.map(|kind| format!("{} {}", kind.samples, kind.kind.name())).collect();
        let kinds = if kinds.is_empty() { "none".to_string() } else { kinds.join(", ") };
        let _ = writeln!(out, "good samples: {} ({kinds})", self.good);
        if self.pairs > 0 {
            let _ = writeln!(out, "pairs of preferences: {}; their tokens are those of both answers", self.pairs);
        }
        let Count { total, min, max } = self.turns;
        let _ = writeln!(out, "turns: {total}, {min} to {max} a sample");
        if self.frames.total > 0 {
            let Count { total, max, .. } = self.frames;
            let how = if self.decoded { ", all decoded" } else { "" };
            let _ = writeln!(out, "frames of videos: {total}, at most {max} a sample{how}");
        }
        self.bad.write(&mut out);
        if let Some(tokens) = &self.tokens {
            tokens.write(&self.model, &mut out);
        }
        if !self.samples.is_empty() {
            out.push_str("\nas the model sees them; what is learned stands in « »:\n");
        }
        for sample in &self.samples {
            let _ = write!(out, "\n{}", sample.lines());
        }
        out
    }
}

impl BadOutput {
    fn new((bad, limit): (&BadRows, String)) -> Self {
        let kind = |(name, kind): (&str, &BadKind)| BadKindOutput {
            kind: name.to_string(),
            count: kind.count,
            examples: kind.examples.iter().map(BadExample::of).collect(),
        };
        BadOutput {
            count: bad.count(),
            limit,
            is_over: bad.is_over(),
            verdict: bad.verdict(),
            kinds: bad.kinds().into_iter().map(kind).collect(),
        }
    }

    fn write(&self, out: &mut String) {
        let _ = writeln!(out, "{}", self.verdict);
        for BadKindOutput { kind, count, examples } in &self.kinds {
            let _ = writeln!(out, "  {count} {kind}");
            for BadExample { file, row, reason } in examples {
                let _ = writeln!(out, "    {file}: row {row}: {reason}");
            }
        }
    }
}

impl BadExample {
    fn of(bad: &zoetrope_lab::data::BadSample) -> Self {
        BadExample { file: bad.file.display().to_string(), row: bad.row, reason: bad.reason.clone() }
    }
}

impl TokenCounts {
    fn new(check: &DataCheck) -> Option<Self> {
        let sorted = check.sorted_tokens();
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
        let total = check.count(SampleFacts::tokens).total;
        Some(TokenCounts {
            total,
            text: check.count(|sample| sample.text_tokens).total,
            visual: check.count(|sample| sample.visual_tokens).total,
            learned: check.count(|sample| sample.targets).total,
            min,
            median: at(0.5),
            mean: (total as f64 / sorted.len() as f64 * 10.0).round() / 10.0,
            p99: at(0.99),
            max,
            histogram: histogram::bins(&sorted),
        })
    }

    fn write(&self, model: &str, out: &mut String) {
        let TokenCounts { total, text, visual, learned, min, median, mean, p99, max, .. } = self;
        let _ = writeln!(out, "tokens of {model}: {total} ({text} text, {visual} visual), {learned} of them learned");
        let _ = writeln!(out, "a sample has {min} to {max}, median {median}, mean {mean}, 99 % at most {p99}");
        out.push_str(&histogram::lines(&self.histogram));
    }
}
