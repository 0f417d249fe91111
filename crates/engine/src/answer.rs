//! What comes back: the text, why it ended, which frames were used, tokens by modality, times.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use zoetrope_models::contract::media_plan::{MediaKind, MediaPlan, PlannedFrame, View};
use zoetrope_models::contract::prompt::VisualSpan;

use crate::media_input::FrameFaults;

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// The model ended its turn or a stop text was met.
    Stop,
    /// The token budget of the answer, or the room in the model's positions, was used up.
    Length,
    /// The caller cancelled; the text is the answer so far.
    Cancelled,
    /// The wall time of the request was used up; the text is the answer so far.
    Time,
}

/// One frame that the model saw.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FrameUsage {
    /// Index in presentation order, from 0.
    pub index: usize,
    /// Start of the frame in seconds, counted from the start of the first frame.
    pub time: f64,
    /// Start of the frame in seconds on the source's own clock, which need not begin at zero.
    pub source_time: f64,
    /// The time that the prompt told the model, counted as `time`.
    pub prompt_time: f64,
    /// Visual tokens of this frame after pruning. Where several frames share tokens, the first one has them.
    pub tokens: usize,
}

/// One picture or video of the conversation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MediaUsage {
    /// As the caller named it.
    pub name: String,
    /// Picture or video.
    pub kind: MediaKind,
    /// Size of the source (width, height), as displayed.
    pub source: (u32, u32),
    /// How every frame was shown.
    pub views: Vec<View>,
    /// Frames, in order.
    pub frames: Vec<FrameUsage>,
    /// Planned frames that were not shown as planned. In JSON, its numbers are fields of this object.
    #[serde(flatten)]
    pub faults: FrameFaults,
    /// The file that its features come from, where they were stored before.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub features: Option<PathBuf>,
    /// Visual tokens of these frames before pruning.
    pub tokens_before_pruning: usize,
    /// Visual tokens that the model read.
    pub tokens: usize,
}

/// A path as text, whatever its bytes; only called where there is one.
fn as_text<S: Serializer>(file: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&file.as_deref().unwrap_or(Path::new("")).display())
}

/// Tokens of a request by modality.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TokenCounts {
    /// Text of the prompt: template, times, questions, earlier answers.
    pub text: usize,
    /// Visual tokens of pictures.
    pub image: usize,
    /// Visual tokens of videos.
    pub video: usize,
    /// All tokens of the prompt.
    pub prompt: usize,
    /// Of these, tokens whose keys and values were kept from earlier turns.
    pub reused: usize,
    /// Tokens of the answer, its end mark included.
    pub generated: usize,
}

/// Seconds by stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Timings {
    /// Opening and planning the media.
    pub open: f64,
    /// Waiting for decoded frames.
    pub decode: f64,
    /// Preparing and encoding frames.
    pub encode: f64,
    /// Reading the prompt.
    pub prefill: f64,
    /// Writing the answer.
    pub generation: f64,
    /// Everything.
    pub total: f64,
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The answer; equal to all text events together.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// The media of the conversation in order of appearance.
    pub media: Vec<MediaUsage>,
    /// Tokens by modality.
    pub tokens: TokenCounts,
    /// Seconds by stage.
    pub timings: Timings,
    /// The generated ids, the end mark included.
    pub ids: Vec<u32>,
}

/// Visual tokens of some spans.
pub(crate) fn visual_tokens(spans: &[VisualSpan]) -> usize {
    spans.iter().map(|span| span.tokens).sum()
}

/// `before` are the spans before pruning.
pub(crate) fn usage(name: String, plan: &MediaPlan, spans: &[VisualSpan], before: &[VisualSpan]) -> MediaUsage {
    // Tokens of a span of several frames are told at its first one.
    let of = |frame: usize| spans.iter().filter(|span| span.frames.start == frame).map(|span| span.tokens).sum();
    let frame = |(number, frame): (usize, &PlannedFrame)| FrameUsage {
        index: frame.index,
        time: frame.time,
        source_time: frame.source_time,
        prompt_time: frame.prompt_time,
        tokens: of(number),
    };
    MediaUsage {
        name,
        kind: plan.kind,
        source: plan.source,
        views: plan.views.clone(),
        frames: plan.frames.iter().enumerate().map(frame).collect(),
        faults: FrameFaults::default(),
        features: None,
        tokens_before_pruning: visual_tokens(before),
        tokens: visual_tokens(spans),
    }
}
