//! What a family is to the engine and the lab: a [`Processor`], which needs no weights, and a [`VideoLanguageModel`].
//!
//! The way: media metadata -> [`MediaPlan`] -> [`Patches`] -> [`Features`] -> visual tokens; messages -> [`Prompt`];
//! both -> embedded rows -> logits. Every step is a plain value with public fields, defined in the module of its name.
//!
//! Legend: V visual tokens, T prompt tokens, D language width, W vocabulary.

pub mod alignment;
pub mod feature_file;
pub mod feature_pickle;
pub mod features;
pub mod media_plan;
pub mod model_info;
pub mod position;
pub mod prompt;
pub mod settings;
pub mod timeline;

use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;
use zoetrope_media::{Frame, Rgb};
use zoetrope_text::Tokenizer;

use self::alignment::Aligner;
use self::features::{Features, Patches, PrepareState};
use self::media_plan::{MediaMetadata, MediaPlan, PlanOptions};
use self::model_info::ModelInfo;
use self::position::Position;
use self::prompt::{GenerationPrompt, Message, Placement, Prompt, PromptToken, VisualSpan};
use crate::error::{ModelError, ModelResult};
use crate::kv::KvContext;
use crate::weights::Weights;

/// What needs no weights: the configuration, the tokenizer and the image processor of a checkpoint.
pub trait Processor: Send + Sync {
    /// Facts about the checkpoint.
    fn info(&self) -> &ModelInfo;
    /// The checkpoint's tokenizer.
    fn tokenizer(&self) -> &Tokenizer;

    /// Frames and views of `new` media after those of `earlier` turns, which stay as they are. Arithmetic only.
    ///
    /// # Errors
    /// [`ModelError::Caller`] for options that do not fit, unknown settings by name.
    fn plan(&self, earlier: &[MediaPlan], new: &[MediaMetadata], options: &PlanOptions) -> ModelResult<Vec<MediaPlan>>;
    /// Whether plans have captions ([`MediaPlan::captions`]). Subtitles of a film are looked for only then.
    fn uses_captions(&self, _options: &PlanOptions) -> bool {
        false
    }
    /// A run of consecutive planned frames, all of them when the plan is joint, as patches on the CPU. `state` goes
    /// from run to run. Frames that cannot be decoded are left out, so a run may have fewer frames than `plan` names.
    fn prepare(&self, plan: &MediaPlan, frames: &[Frame], state: &mut PrepareState) -> ModelResult<Patches>;
    /// The picture that view number `view` of `frame` is, before normalizing.
    fn view_image(&self, plan: &MediaPlan, view: usize, frame: &Frame) -> ModelResult<Rgb>;

    /// The visual tokens of planned media: the only function that counts them. `kept` are the feature rows that pruning
    /// has left of each unit; all of them when it is not known yet.
    fn visual_spans(&self, plan: &MediaPlan, kept: Option<&[usize]>) -> Vec<VisualSpan>;
    /// Feature rows that the encoder gives of the whole of planned media, before pruning.
    fn feature_rows(&self, plan: &MediaPlan) -> usize {
        plan.patches()
    }
    /// Where media are shown: every [`MessagePart::Media`](crate::contract::prompt::MessagePart::Media) in order,
    /// unless the family says otherwise.
    ///
    /// # Errors
    /// [`ModelError::Caller`] when a message shows media that there are not.
    fn placements(&self, messages: &[Message], media: usize) -> ModelResult<Vec<Placement>> {
        crate::processing::in_order(messages, media)
    }
    /// The conversation as tokens. `plans` and `visual_spans` have an entry for each picture or video.
    ///
    /// # Errors
    /// [`ModelError::Caller`] when messages and media do not fit together.
    fn prompt(
        &self,
        messages: &[Message],
        plans: &[MediaPlan],
        spans: &[Vec<VisualSpan>],
        end: GenerationPrompt<'_>,
    ) -> ModelResult<Prompt>;
}

/// A model: vision encoder, projector, embedding and decoder. One object serves inference and training; sequences are
/// packed, there is no batch axis; everything is differentiable.
pub trait VideoLanguageModel: Send + Sync {
    /// What needs no weights.
    fn processor(&self) -> &Arc<dyn Processor>;
    /// Where tensors, types and variables are.
    fn weights(&self) -> &Weights;

    /// Vision encoder: every unit on its own. `patches` are any consecutive units of the plan.
    fn encode(&self, plan: &MediaPlan, patches: &Patches) -> ModelResult<Features>;
    /// Projector: features of whole frames (all frames when joint), beginning with unit `first_unit` of the plan, to
    /// visual tokens `[V, D]`, as many as [`Processor::visual_spans`] counts for these frames. Here, in `visual_spans`
    /// and in `prompt` the plan has only the frames that were decoded ([`MediaPlan::with_frames`]).
    fn project(
        &self,
        plan: &MediaPlan,
        features: &Features,
        first_unit: usize,
        instruction: Option<&str>,
    ) -> ModelResult<Tensor>;
    /// Ids `[T]` to rows `[T, D]`.
    fn embed_tokens(&self, ids: &[u32]) -> ModelResult<Tensor>;
    /// Decoder: rows `x` `[T, D]` at `positions` `[T]` to logits `[rows.len(), W]` of the named rows, in f32.
    fn forward(
        &self,
        x_td: &Tensor,
        positions: &[Position],
        context: &mut KvContext<'_>,
        rows: &[usize],
    ) -> ModelResult<Tensor>;
    /// The bridge with the heads of its first stage, in families that publish one. Heads that the weights lack begin
    /// with values from `seed`; without a seed there is `None` where the weights have none. What is learned of it is a
    /// variable of [`VideoLanguageModel::weights`] once this was called, which is done once for a model.
    ///
    /// # Errors
    /// When a tensor is missing or damaged.
    fn aligner(&self, _seed: Option<u64>) -> ModelResult<Option<Box<dyn Aligner>>> {
        Ok(None)
    }
}

/// The visual tokens `[V, D]` of a placement, wherever they are.
pub trait VisualRows {
    /// V.
    fn count(&self) -> ModelResult<usize>;
    /// The tokens `rows`, all of which exist.
    fn rows(&self, rows: Range<usize>) -> ModelResult<Tensor>;
}

impl VisualRows for Tensor {
    fn count(&self) -> ModelResult<usize> {
        Ok(self.dim(0)?)
    }

    fn rows(&self, rows: Range<usize>) -> ModelResult<Tensor> {
        Ok(self.narrow(0, rows.start, rows.len())?)
    }
}

/// Rows `[T, D]` of `tokens`: text from the embedding, visual tokens from `visual`, one for each placement.
///
/// # Errors
/// [`ModelError::Bug`] with both numbers when a token asks for a placement or row that there is not.
pub fn embed(
    model: &dyn VideoLanguageModel,
    tokens: &[PromptToken],
    visual: &[impl VisualRows],
) -> ModelResult<Tensor> {
    let text = |token: &PromptToken| if let PromptToken::Text(id) = token { Some(*id) } else { None };
    let ids: Vec<u32> = tokens.iter().filter_map(text).collect();
    if ids.len() == tokens.len() {
        return model.embed_tokens(&ids);
    }
    let used = used_rows(tokens, visual)?;
    // One gather over text rows and the visual rows of each placement, which carries gradients.
    let mut parts = Vec::new();
    if !ids.is_empty() {
        parts.push(model.embed_tokens(&ids)?);
    }
    let dtype = parts.first().map_or(model.weights().dtype(), Tensor::dtype);
    let (mut starts, mut total) = (vec![0; visual.len()], ids.len());
    for ((visual, used), start) in visual.iter().zip(&used).zip(&mut starts) {
        if used.start < used.end {
            parts.push(visual.rows(used.clone())?.to_dtype(dtype)?);
            (*start, total) = (total, total + used.len());
        }
    }
    let mut texts = 0..ids.len();
    let row = |token: &PromptToken| match *token {
        PromptToken::Text(_) => texts.next().unwrap_or_default() as u32,
        PromptToken::Visual { placement, row } => {
            let placement = placement as usize;
            (starts[placement] + row as usize - used[placement].start) as u32
        }
    };
    let rows: Vec<u32> = tokens.iter().map(row).collect();
    let all = Tensor::cat(&parts, 0)?;
    Ok(all.index_select(&Tensor::from_vec(rows, tokens.len(), all.device())?, 0)?)
}

/// From the first to the last row of each placement that `tokens` ask for; empty where they ask for none.
fn used_rows(tokens: &[PromptToken], visual: &[impl VisualRows]) -> ModelResult<Vec<Range<usize>>> {
    let mut used = vec![0..0; visual.len()];
    for token in tokens {
        let PromptToken::Visual { placement, row } = *token else { continue };
        let (placement, row) = (placement as usize, row as usize);
        let Some(own) = used.get_mut(placement) else {
            let text = format!("the prompt shows media {placement}, tokens came for {}", visual.len());
            return Err(ModelError::Bug(text));
        };
        let given = visual[placement].count()?;
        if row >= given {
            let text = format!("the prompt asks for visual token {row} of media {placement}, which gave {given}");
            return Err(ModelError::Bug(text));
        }
        *own = if own.start == own.end { row..row + 1 } else { own.start.min(row)..own.end.max(row + 1) };
    }
    Ok(used)
}
