//! The first stage: the Q-Former learns from captions alone, through heads that later stages do not use.
//!
//! Legend: R rows of the encoder, T frames, N features, E encoder width, Q queries, D width of the Q-Former, P width in
//! which media and captions are compared, L words of a caption.

use std::sync::Arc;

use candle_core::{D, DType, Result, Tensor, Var};
use zoetrope_text::{BertTokenizer, TruncationSide};

use super::config::Config;
use super::projector::Projector;
use super::vision::VisionEncoder;
use crate::contract::alignment::{Aligner, QueryFindings};
use crate::contract::features::{Patches, Unit};
use crate::error::{ModelError, ModelResult};
use crate::layers::{Bias, Linear, QFormerLanguage};
use crate::weights::{ParameterGroup, ParameterRole, Weights};

/// The temperature, which only the first stage has.
const TEMPERATURE: &str = "temp";
/// The embeddings of frames, which only the first stage has, too.
const FRAMES: &str = "vision_temp_embed";
/// Where the temperature begins, and its range.
const FIRST_TEMPERATURE: f32 = 0.07;
const LEAST_TEMPERATURE: f32 = 0.001;
const MOST_TEMPERATURE: f32 = 0.5;
/// Most tokens of a caption.
const CAPTION: usize = 32;
/// Added to the square of a length, so that a row of zeros has no direction instead of an error.
const EPS: f64 = 1e-24;

/// Encoder and Q-Former with the heads of the first stage.
pub(super) struct QueryAligner {
    vision: Arc<VisionEncoder>,
    projector: Arc<Projector>,
    words: BertTokenizer,
    /// `[DEC]`, which begins what is said.
    begin: u32,
    longest: usize,
    language: QFormerLanguage,
    /// `[1, T, 1, E]`, added to the rows of each frame.
    frames: Tensor,
    vision_proj: Linear,
    text_proj: Linear,
    match_head: Linear,
    /// Whether the matching head sees the first word's row beside the mean of the queries.
    sees_words: bool,
    temperature: Tensor,
    vision_dtype: DType,
}

impl QueryAligner {
    /// Whether weights have the heads.
    pub(super) fn is_in(weights: &Weights) -> bool {
        let matrices = ["vision_proj", "text_proj", "itm_head", "qformer.cls.predictions.transform.dense"];
        let has_matrix = |name: &&str| weights.has(&format!("{name}.weight"));
        [TEMPERATURE, FRAMES].iter().all(|name| weights.has(name)) && matrices.iter().all(has_matrix)
    }

    /// Reads `vision_temp_embed`, `vision_proj`, `text_proj`, `itm_head`, `temp` and `qformer.cls`, which begin with
    /// values from `seed` where they are missing, and what the Q-Former itself does not read of `qformer.bert`.
    pub(super) fn load(
        weights: &Weights,
        seed: Option<u64>,
        c: &Config,
        (vision, projector, words): (Arc<VisionEncoder>, Arc<Projector>, BertTokenizer),
    ) -> ModelResult<Self> {
        let own = weights.group(ParameterGroup::Projector);
        let heads = own.or_initial(seed);
        let (e, d) = (c.vision.hidden, c.qformer.hidden);
        // The published width is that of the Q-Former; a checkpoint may have another.
        let stored = |name: &str, axis: usize| heads.stored_shape(name).and_then(|shape| shape.get(axis).copied());
        let p = stored("vision_proj.weight", 0).unwrap_or(d);
        let of_match = stored("itm_head.weight", 1).unwrap_or(2 * d);
        let sees_words = of_match != d;
        let linear = |name: &str, input, output| Linear::load(&heads.sub(name), input, output, Bias::Zero);
        let frames = [1, c.vision.table_frames, 1, e];
        let begin = words.id("[DEC]").ok_or_else(|| ModelError::Bug("a Q-Former's words without [DEC]".to_string()))?;
        Ok(QueryAligner {
            language: QFormerLanguage::load(&own.sub("qformer.bert"), &heads.sub("qformer.cls"), &c.qformer)?,
            frames: heads.get(&frames, FRAMES, ParameterRole::Bias { init_std: 1.0 })?,
            vision_proj: linear("vision_proj", d, p)?,
            text_proj: linear("text_proj", d, p)?,
            match_head: linear("itm_head", if sees_words { 2 * d } else { d }, 2)?,
            sees_words,
            temperature: heads.get(&[], TEMPERATURE, ParameterRole::Scale { init: FIRST_TEMPERATURE })?,
            longest: CAPTION.min(c.qformer.positions),
            vision_dtype: weights.group(ParameterGroup::Vision).dtype(),
            begin,
            vision,
            projector,
            words,
        })
    }

    /// The queries of this stage, `[Q, D]`.
    fn queries(&self) -> Result<Tensor> {
        self.projector.queries.squeeze(0)
    }
}

impl Aligner for QueryAligner {
    fn encoder(&self) -> &str {
        "vision_encoder."
    }

    fn words(&self, caption: &str) -> ModelResult<Vec<u32>> {
        Ok(self.words.encode(caption, self.longest, TruncationSide::Right)?)
    }

    fn encode(&self, patches: &Patches) -> ModelResult<Tensor> {
        let pixels = patches.pixels.to_device(self.frames.device())?;
        let patches = Patches { pixels, units: patches.units.clone() };
        Ok(self.vision.encode(&patches, self.vision_dtype)?)
    }

    /// Every frame's rows get that frame's embedding, and all are normalized. The rows of a picture get each embedding
    /// in turn, so that it looks like a clip that stands still: what the authors' sum of shapes `[1, 1, R, E]` and
    /// `[1, T, 1, E]` comes to. Several views are looked at together.
    fn features(&self, encoded: &Tensor, units: &[Unit]) -> ModelResult<Tensor> {
        let (_, known, _, e) = self.frames.dims4()?;
        let frames_t1e = self.frames.squeeze(0)?;
        let (mut first, mut all) = (0, Vec::with_capacity(units.len()));
        for unit in units {
            let (frames, rows) = (unit.grid[0], unit.patches());
            if frames > known {
                let text = format!(
                    "a clip of {frames} frames; vision_temp_embed has {known}: media.max_frames of the stage says how \
                     many are taken"
                );
                return Err(ModelError::Caller(text));
            }
            let x_tne = encoded.narrow(0, first, rows)?.reshape((frames, rows / frames.max(1), e))?;
            let own = if frames == 1 { frames_t1e.clone() } else { frames_t1e.narrow(0, 0, frames)? };
            let sum = x_tne.to_dtype(own.dtype())?.broadcast_add(&own)?;
            all.push(sum.flatten(0, 1)?);
            first += rows;
        }
        let all = if let [one] = &all[..] { one.clone() } else { Tensor::cat(&all, 0)? };
        Ok(self.vision.normalize(&all.contiguous()?)?)
    }

    fn look(&self, features: &Tensor) -> ModelResult<QueryFindings> {
        let (found_qd, keys_values) = self.projector.qformer.look(&self.language, &self.queries()?, features)?;
        let mean_p = unit_rows(&self.vision_proj.forward(&found_qd)?)?.mean(0)?;
        Ok(QueryFindings { mean_p, keys_values })
    }

    fn read(&self, words: &[u32]) -> ModelResult<Tensor> {
        let rows_ld = self.projector.qformer.read(&self.language, words)?;
        Ok(unit_rows(&self.text_proj.forward(&rows_ld.narrow(0, 0, 1)?.contiguous()?)?)?.squeeze(0)?)
    }

    fn match_logits(&self, features: &Tensor, words: &[u32]) -> ModelResult<Tensor> {
        let queries_qd = self.queries()?;
        let q = queries_qd.dim(0)?;
        let rows_sd = self.projector.qformer.look_and_read(&self.language, &queries_qd, words, features)?;
        let mut seen_1x = rows_sd.narrow(0, 0, q)?.mean_keepdim(0)?;
        if self.sees_words {
            seen_1x = Tensor::cat(&[seen_1x, rows_sd.narrow(0, q, 1)?], 1)?;
        }
        Ok(self.match_head.forward(&seen_1x)?)
    }

    fn next_words(&self, found: &QueryFindings, words: &[u32]) -> ModelResult<Tensor> {
        // What follows the last word is not asked for.
        let mut said = words[..words.len().saturating_sub(1)].to_vec();
        if let Some(first) = said.first_mut() {
            *first = self.begin;
        }
        Ok(self.projector.qformer.say(&self.language, &found.keys_values, &said)?)
    }

    fn temperature(&self) -> &Tensor {
        &self.temperature
    }

    fn clamp_temperature(&self) -> ModelResult<()> {
        if self.temperature.is_variable() {
            let inside = self.temperature.detach().clamp(LEAST_TEMPERATURE, MOST_TEMPERATURE)?;
            Var::from_tensor(&self.temperature)?.set(&inside)?;
        }
        Ok(())
    }
}

/// Every row of `[., P]` divided by its length.
fn unit_rows(x: &Tensor) -> Result<Tensor> {
    let length = (x.sqr()?.sum_keepdim(D::Minus1)? + EPS)?.sqrt()?;
    x.broadcast_div(&length)
}
