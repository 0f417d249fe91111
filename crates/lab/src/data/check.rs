//! What a data file holds: kinds of samples, turns, and tokens as a model counts them.

use serde::Serialize;
use zoetrope_models::contract::Processor;
use zoetrope_models::contract::media_plan::{MediaKind, PlanOptions};

use super::dataset::{BadSample, Dataset};
use super::decoded::DecodedSample;
use super::planned::PlannedSample;
use crate::error::LabError;
use crate::sample::Sample;

/// What a sample shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleKind {
    /// Text alone.
    Text,
    /// One picture.
    Image,
    /// Several pictures.
    Images,
    /// A video, or several, with or without pictures.
    Video,
}

impl SampleKind {
    /// All kinds.
    pub const ALL: [SampleKind; 4] = [SampleKind::Text, SampleKind::Image, SampleKind::Images, SampleKind::Video];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            SampleKind::Text => "text",
            SampleKind::Image => "image",
            SampleKind::Images => "several images",
            SampleKind::Video => "video",
        }
    }

    fn of(sample: &Sample) -> Self {
        let kinds: Vec<MediaKind> = sample.media.iter().map(|media| media.source.metadata().kind).collect();
        match kinds.as_slice() {
            [] => SampleKind::Text,
            kinds if kinds.contains(&MediaKind::Video) => SampleKind::Video,
            [_] => SampleKind::Image,
            _ => SampleKind::Images,
        }
    }
}

/// What is counted of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleFacts {
    /// What it shows.
    pub kind: SampleKind,
    /// Whether it is a pair of preferences. Its tokens are those of both conversations.
    pub is_pair: bool,
    /// Questions and answers, of a pair with one of its answers.
    pub turns: u64,
    /// Frames of its videos that the model is shown.
    pub frames: u64,
    /// Tokens of text.
    pub text_tokens: u64,
    /// Visual tokens, before pruning.
    pub visual_tokens: u64,
    /// Tokens that are learned.
    pub targets: u64,
}

impl SampleFacts {
    /// Reads sample `index` and counts it. With `decodes`, its frames are decoded and dropped.
    ///
    /// # Errors
    /// Why it is no sample, also where the model cannot be shown it.
    pub fn read(
        dataset: &dyn Dataset,
        index: u64,
        processor: &dyn Processor,
        options: &PlanOptions,
        decodes: bool,
    ) -> Result<Self, BadSample> {
        let sample = dataset.sample(index)?;
        let bad = |kind: &str, error: LabError| dataset.bad(index, format!("{kind}: {error}"));
        let planned = PlannedSample::new(&sample, processor, options);
        let planned = planned.map_err(|error| bad("does not fit the model", error))?;
        if decodes {
            DecodedSample::new(&sample, processor, options).map_err(|error| bad("frames do not decode", error))?;
        }
        let rejected = sample.of_rejected().map(|rejected| PlannedSample::new(&rejected, processor, options));
        let rejected = rejected.transpose().map_err(|error| bad("rejected answer does not fit the model", error))?;
        let both = || std::iter::once(&planned).chain(&rejected);
        let videos = planned.plans.iter().filter(|plan| plan.kind == MediaKind::Video);
        Ok(SampleFacts {
            kind: SampleKind::of(&sample),
            is_pair: rejected.is_some(),
            turns: sample.messages.len() as u64,
            frames: videos.map(|plan| plan.frames.len() as u64).sum(),
            text_tokens: both().map(|planned| planned.text_tokens() as u64).sum(),
            visual_tokens: both().map(|planned| planned.visual_tokens() as u64).sum(),
            targets: both().map(|planned| planned.prompt.targets.len() as u64).sum(),
        })
    }

    /// All tokens.
    pub fn tokens(&self) -> u64 {
        self.text_tokens + self.visual_tokens
    }
}

/// Sum, least and most of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The sum.
    pub total: u64,
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

/// What the good samples of data files hold together.
#[derive(Clone, Debug, Default)]
pub struct DataCheck {
    samples: Vec<SampleFacts>,
}

impl DataCheck {
    /// Counts a sample.
    pub fn add(&mut self, facts: SampleFacts) {
        self.samples.push(facts);
    }

    /// Good samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Samples of a kind.
    pub fn of_kind(&self, kind: SampleKind) -> usize {
        self.samples.iter().filter(|sample| sample.kind == kind).count()
    }

    /// A number of all samples.
    pub fn count(&self, number: impl Fn(&SampleFacts) -> u64) -> Count {
        let mut numbers = self.samples.iter().map(number);
        let Some(first) = numbers.next() else { return Count::default() };
        numbers.fold(Count { total: first, min: first, max: first }, |count, number| Count {
            total: count.total + number,
            min: count.min.min(number),
            max: count.max.max(number),
        })
    }

    /// Tokens of each sample, ascending.
    pub fn sorted_tokens(&self) -> Vec<u64> {
        let mut tokens: Vec<u64> = self.samples.iter().map(SampleFacts::tokens).collect();
        tokens.sort_unstable();
        tokens
    }
}
