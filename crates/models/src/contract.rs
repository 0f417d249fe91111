//! The arrows of this room: sources -> [`Plan`] -> [`Patches`] -> [`VisualTokens`], messages -> [`Prompt`] ->
//! embedded rows -> logits. Every family implements [`VideoLanguageModel`]; the engine and the lab know nothing else.
//!
//! Shapes: N patches, P values a patch, V visual tokens, T prompt tokens, D language width, W vocabulary.

use candle_core::{DType, Device, Tensor};
use serde::Serialize;
use zoetrope_media::{Frame, Rgb, Time};
use zoetrope_text::Tokenizer;

use crate::error::ModelError;
use crate::parts::cache::Memory;

/// Whether a source is one picture or a sequence of pictures in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// One picture.
    Image,
    /// Frames in time; a one-frame video is still a video.
    Video,
}

/// What a plan needs to know of one picture or video; no pixels.
#[derive(Clone, Debug)]
pub struct Source {
    /// Picture or video.
    pub kind: MediaKind,
    /// Display width in pixels (after rotation).
    pub width: u32,
    /// Display height in pixels (after rotation).
    pub height: u32,
    /// Presentation times of all frames in order; one entry (zero) for a picture.
    pub times: Vec<Time>,
    /// End of the last frame in seconds on the same clock (container duration plus start); the last time when unknown.
    pub end: f64,
}

/// What the caller wants of the sampling; `None` means what the checkpoint says.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// Frames a second to sample.
    pub fps: Option<f64>,
    /// Most frames a video may give.
    pub max_frames: Option<usize>,
    /// Most visual tokens of the whole request.
    pub max_visual_tokens: Option<usize>,
    /// Use only frames at or after this second of the source's clock.
    pub start: Option<f64>,
    /// Use only frames before this second of the source's clock.
    pub end: Option<f64>,
    /// Override of the merge size of videos and pictures (training stages differ in it).
    pub image_merge: Option<usize>,
    /// Switch frame pruning on or off; `None` means the checkpoint's setting.
    pub prune: Option<bool>,
}

/// One frame that the model will see.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedFrame {
    /// Index in presentation order.
    pub index: usize,
    /// True presentation time in seconds.
    pub time: f64,
    /// The time the prompt tells the model (start of the sampling slot in the reference's convention).
    pub stamp: f64,
}

/// How one picture or video will be shown to the model.
#[derive(Clone, Debug, Serialize)]
pub struct ItemPlan {
    /// Picture or video.
    pub kind: MediaKind,
    /// Source size (width, height).
    pub source: (u32, u32),
    /// Frames used, in order.
    pub frames: Vec<PlannedFrame>,
    /// Size after the resize (width, height).
    pub resized: (u32, u32),
    /// Patch grid of one frame (rows, columns).
    pub grid: (usize, usize),
    /// Side of the square of patches that becomes one token.
    pub merge: usize,
    /// Visual tokens of one frame before pruning.
    pub tokens_per_frame: usize,
    /// Whether frame pruning applies to this item.
    pub prune: bool,
}

impl ItemPlan {
    /// Patches of the whole item.
    pub fn patches(&self) -> usize {
        self.frames.len() * self.grid.0 * self.grid.1
    }

    /// Visual tokens of the whole item before pruning.
    pub fn tokens(&self) -> usize {
        self.frames.len() * self.tokens_per_frame
    }
}

/// How a request will be shown to the model: one entry a media item, in order of appearance.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// The items.
    pub items: Vec<ItemPlan>,
}

/// What frame pruning remembers between two calls of `prepare` on the same item (the previous frame's patches).
#[derive(Clone, Debug, Default)]
pub struct Carry {
    /// Normalised patches of the last frame seen, `[grid patches * P]`; empty before the first frame.
    pub previous: Vec<f32>,
}

/// Consecutive frames of one item, ready for the encoder.
#[derive(Clone, Debug)]
pub struct Patches {
    /// `[N, P]` normalised pixels in the family's patch order, f32.
    pub pixels: Tensor,
    /// Frames in this chunk.
    pub frames: usize,
    /// Patch grid of one frame (rows, columns).
    pub grid: (usize, usize),
    /// Merge side.
    pub merge: usize,
    /// For every merged token of the chunk (frame, row, column order): does it survive pruning?
    pub keep: Vec<bool>,
}

/// What the language model reads in the place of placeholders: only tokens that survived pruning.
#[derive(Clone, Debug)]
pub struct VisualTokens {
    /// `[V, D]`.
    pub tokens: Tensor,
    /// Surviving tokens of each frame, in order; sums to V.
    pub per_frame: Vec<usize>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions of the operator.
    System,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The name chat templates use.
    pub fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Untrusted text: special tokens inside are ordinary characters.
    Text(String),
    /// The n-th item of the plan (0-based), picture or video.
    Media(usize),
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Its pieces, in order.
    pub parts: Vec<Part>,
}

impl Message {
    /// A message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Message { role, parts: vec![Part::Text(text.into())] }
    }
}

/// Token ids with the places of the visual tokens.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    /// `[T]`.
    pub ids: Vec<u32>,
    /// Index in `ids` of every visual placeholder, ascending; as many as visual tokens.
    pub visual: Vec<usize>,
    /// For training: index in `ids` of every token that is a target (assistant replies and their end mark).
    pub targets: Vec<usize>,
}

/// Sampling defaults that a checkpoint publishes (`generation_config.json`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplingDefaults {
    /// Whether the checkpoint samples by default.
    pub do_sample: Option<bool>,
    /// Temperature.
    pub temperature: Option<f64>,
    /// Nucleus mass.
    pub top_p: Option<f64>,
    /// Number of candidates.
    pub top_k: Option<usize>,
    /// Repetition penalty; 1 means none.
    pub repetition_penalty: Option<f64>,
}

/// What `zoetrope info` shows.
#[derive(Clone, Debug, Serialize)]
pub struct ModelInfo {
    /// Family name as in `families/`.
    pub family: &'static str,
    /// Which published layout the checkpoint has ("original", "transformers").
    pub layout: String,
    /// Parameters by part: (part, number of values).
    pub parameters: Vec<(String, usize)>,
    /// How matrices are held: "f32", "int8" and so on.
    pub weights: String,
    /// Bytes of weights that are read for every token that is written.
    pub bytes_per_token: usize,
    /// Vocabulary rows.
    pub vocabulary: usize,
    /// Whether the output's matrix is the embedding.
    pub tied: bool,
    /// Language width D.
    pub hidden: usize,
    /// Most positions the checkpoint was made for.
    pub max_positions: usize,
    /// How keys and values are held: "f32", "bf16", "int8".
    pub kv_cache: &'static str,
    /// Bytes of keys and values that one token costs, held like that.
    pub cache_bytes_per_token: usize,
    /// Values of one patch (P).
    pub patch_values: usize,
    /// Free text lines: sizes of the parts.
    pub details: Vec<(String, String)>,
}

/// A video-language model. One object serves inference and training; packed sequences, no batch axis.
pub trait VideoLanguageModel: Send + Sync {
    /// Facts about the loaded checkpoint.
    fn info(&self) -> ModelInfo;
    /// Where the weights are.
    fn device(&self) -> &Device;
    /// The type activations are computed in.
    fn dtype(&self) -> DType;
    /// The checkpoint's tokenizer.
    fn tokenizer(&self) -> &Tokenizer;
    /// Ids that end an answer.
    fn stop_ids(&self) -> &[u32];
    /// Published sampling defaults.
    fn sampling_defaults(&self) -> SamplingDefaults;

    /// Which frames, at which size; pure arithmetic, no pixels, no memory.
    fn plan(&self, sources: &[Source], options: &PlanOptions) -> Result<Plan, ModelError>;
    /// Frames (a run of consecutive planned frames of `item`) to patches. `carry` goes from chunk to chunk of an item.
    fn prepare(&self, item: &ItemPlan, frames: &[Frame], carry: &mut Carry) -> Result<Patches, ModelError>;
    /// The picture of one frame as the encoder sees it, before normalising: resized to the plan's size.
    fn shown(&self, item: &ItemPlan, frame: &Frame) -> Result<Rgb, ModelError>;
    /// Patches to visual tokens. Differentiable.
    fn see(&self, patches: &Patches) -> Result<VisualTokens, ModelError>;

    /// The conversation as ids. `kept[item][frame]` is the number of surviving visual tokens of that frame.
    /// With `answer_next`, the header of the assistant's next turn is appended.
    fn prompt(
        &self,
        messages: &[Message],
        plan: &Plan,
        kept: &[Vec<usize>],
        answer_next: bool,
    ) -> Result<Prompt, ModelError>;
    /// Ids and visual tokens `[V, D]` (all items, in order) to rows `[T, D]`. Fails loudly, with both numbers,
    /// when V differs from the number of placeholders. Differentiable.
    fn embed(&self, prompt: &Prompt, visual: Option<&Tensor>) -> Result<Tensor, ModelError>;
    /// Rows `[T, D]` through the language model with `memory`; logits `[rows.len(), W]` in f32 of the named rows only.
    /// Differentiable when `memory` is packed.
    fn step(&self, x_td: &Tensor, memory: &mut Memory<'_>, rows: &[usize]) -> Result<Tensor, ModelError>;
    /// An empty cache with room for `capacity` positions.
    fn new_cache(&self, capacity: usize) -> Result<crate::parts::cache::KvCache, ModelError>;
}
