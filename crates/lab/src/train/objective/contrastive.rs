//! Contrast, matching and captioning between media and their captions. The contrast, and the draw of wrong pairs, need
//! all samples of a step at once; memory does not hold the graph of so many. So a step goes over its samples twice
//! (GradCache, arXiv 2101.06983): first without a graph for what is compared, whose gradient is small, then pack by
//! pack with it, so that the gradient is that of the whole step to rounding.
//!
//! Legend: B samples of a step, P width in which media and captions are compared.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use rayon::prelude::*;
use zoetrope_engine::PatchStream;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::alignment::{Aligner, QueryFindings};
use zoetrope_models::contract::features::{Patches, Unit};
use zoetrope_models::contract::media_plan::PlanOptions;
use zoetrope_models::contract::prompt::{MessagePart, Role};
use zoetrope_models::error::ModelError;
use zoetrope_models::ops::backward;

use super::contrastive_loss::{
    ContrastiveWeights, captioning, contrast, matching, same_samples, similarities, unit, wrong_partner,
};
use crate::error::LabError;
use crate::sample::Sample;
use crate::train::optimizer::{Gradients, Trained, add_gradients, gradients_of, take_gradients};

/// What a step is computed with.
pub(in crate::train) struct ContrastiveWork<'a> {
    pub(in crate::train) model: &'a dyn VideoLanguageModel,
    pub(in crate::train) aligner: &'a dyn Aligner,
    pub(in crate::train) trained: &'a BTreeMap<String, Trained>,
    pub(in crate::train) options: &'a PlanOptions,
    pub(in crate::train) weights: ContrastiveWeights,
    /// Draws the wrong pairs.
    pub(in crate::train) seed: u64,
    /// Samples whose graph is held together.
    pub(in crate::train) pack: usize,
    /// Packs that are computed at once.
    pub(in crate::train) at_once: usize,
}

/// One picture or clip and its caption, ready for the bridge.
pub(in crate::train) struct AlignedSample {
    media: EncodedMedia,
    units: Vec<Unit>,
    words: Vec<u32>,
    /// Entry of the mixture and row: samples of one row are one.
    row: (usize, u64),
    /// Number of the sample in the run.
    number: u64,
}

/// What is kept of media between the passes.
enum EncodedMedia {
    /// What a frozen encoder gave.
    Rows(Tensor),
    /// What an encoder that learns is shown.
    Patches(Vec<Patches>),
}

/// Gradients and losses of a step: means, so that nothing is divided any more.
pub(in crate::train) struct ContrastiveSums {
    pub(in crate::train) gradients: Gradients,
    pub(in crate::train) loss: f64,
    /// Nats of the captions' words and their number, of each sample.
    pub(in crate::train) captions: Vec<(f64, usize)>,
}

/// What the first pass over a step finds.
struct Compared {
    contrast: f64,
    /// Of the weighted contrast by `[B, P]` of media and of captions; `None` when nothing is learned.
    slopes: Option<[Tensor; 2]>,
    gradients: Gradients,
    /// For each sample the media that its caption, and the caption that its media do not belong to.
    wrong: Vec<[Option<usize>; 2]>,
}

/// Of one pack: gradients, the sum of the matching and the captions' nats.
type PackSums = (Gradients, f64, Vec<f64>);

impl ContrastiveWork<'_> {
    /// A sample with its media encoded, where the encoder does not learn. `row` and `number` say which one it is.
    ///
    /// # Errors
    /// [`ModelError::Caller`] when it is no picture or clip with a caption; when a frame cannot be decoded.
    pub(in crate::train) fn prepare(
        &self,
        sample: &Sample,
        row: (usize, u64),
        number: u64,
    ) -> Result<AlignedSample, LabError> {
        let words = self.words(sample)?;
        let plans = sample.plan(&**self.model.processor(), self.options)?;
        let mut all = Vec::new();
        for prepared in PatchStream::new(self.model.processor(), "sample", &sample.media[0].source, &plans[0]) {
            all.push(prepared?.patches);
        }
        let units = all.iter().flat_map(|patches| patches.units.iter().cloned()).collect();
        let mut sample = AlignedSample { media: EncodedMedia::Patches(all), units, words, row, number };
        let learns = self.trained.keys().any(|name| name.starts_with(self.aligner.encoder()));
        if !learns {
            sample.media = EncodedMedia::Rows(self.encoded(&sample)?.detach());
        }
        Ok(sample)
    }

    /// Ids of the caption of a sample with one picture or clip.
    ///
    /// # Errors
    /// [`ModelError::Caller`] when it is none.
    pub(in crate::train) fn words(&self, sample: &Sample) -> Result<Vec<u32>, LabError> {
        match sample.media.len() {
            1 => Ok(self.aligner.words(&caption(sample)?)?),
            media => Err(unlike(format!("{media} pictures or clips; a caption is of one"))),
        }
    }

    /// Losses of a step and, if `learn` is set, their gradients. Which wrong pairs are drawn depends on the order of
    /// the samples.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(in crate::train) fn step(&self, samples: &[AlignedSample], learn: bool) -> Result<ContrastiveSums, LabError> {
        if learn {
            self.aligner.clamp_temperature()?;
        }
        let mut compared = self.compare(samples, learn)?;
        let pairs = samples.len() + compared.wrong.iter().flatten().flatten().count();
        let words: usize = samples.iter().map(|sample| sample.words.len() - 1).sum();
        let (mut gradients, mut matched, mut captions) = (std::mem::take(&mut compared.gradients), 0.0, Vec::new());
        let numbers: Vec<usize> = (0..samples.len()).collect();
        for several in numbers.chunks(self.pack * self.at_once.max(1)) {
            let packs = several.par_chunks(self.pack).map(|own| self.pack(samples, own, &compared, (pairs, words)));
            for pack in packs.collect::<Result<Vec<PackSums>, LabError>>()? {
                add_gradients(&mut gradients, pack.0);
                matched += pack.1;
                captions.extend(pack.2);
            }
        }
        let ContrastiveWeights { contrast, matching, captioning, .. } = self.weights;
        let said = captions.iter().sum::<f64>() / words.max(1) as f64;
        let loss = contrast * compared.contrast + matching * matched / pairs.max(1) as f64 + captioning * said;
        let captions = captions.into_iter().zip(samples.iter().map(|sample| sample.words.len() - 1)).collect();
        Ok(ContrastiveSums { gradients, loss, captions })
    }

    /// The contrast of all samples, its gradients by what is compared, and the wrong pairs.
    fn compare(&self, samples: &[AlignedSample], learn: bool) -> Result<Compared, LabError> {
        let one = |sample: &AlignedSample| -> Result<(Tensor, Tensor), LabError> {
            let found = self.aligner.look(&self.features(sample)?)?;
            Ok((found.mean_p.detach(), self.aligner.read(&sample.words)?.detach()))
        };
        let all = samples.par_iter().map(one).collect::<Result<Vec<_>, _>>()?;
        let (media, captions): (Vec<Tensor>, Vec<Tensor>) = all.into_iter().unzip();
        let (media_bp, captions_bp) =
            (Var::from_tensor(&Tensor::stack(&media, 0)?)?, Var::from_tensor(&Tensor::stack(&captions, 0)?)?);
        let similarities_bb = similarities(&media_bp, &captions_bp, self.aligner.temperature())?;
        let same = same_samples(&samples.iter().map(|sample| sample.row).collect::<Vec<_>>());
        let loss = contrast(&similarities_bb, &same)?;
        let (mut gradients, mut slopes) = (Gradients::new(), None);
        if learn {
            let mut found = backward(&(&loss * self.weights.contrast)?)?;
            gradients = take_gradients(&mut found, self.trained)?;
            if let (Some(media), Some(captions)) = (found.take(&media_bp)?, found.take(&captions_bp)?) {
                let like = |values, of: &Var| Tensor::from_vec(values, of.shape(), of.device());
                slopes = Some([like(media, &media_bp)?, like(captions, &captions_bp)?]);
            }
        }
        let rows = similarities_bb.to_vec2::<f32>()?;
        let columns = similarities_bb.t()?.to_vec2::<f32>()?;
        let first = samples.iter().map(|sample| sample.number).min().unwrap_or_default();
        let wrong = |(n, sample): (usize, &AlignedSample)| {
            let draw =
                |all: &[Vec<f32>], side| wrong_partner(&all[n], &same[n], unit(self.seed, first, sample.row, side));
            [draw(&columns, 0), draw(&rows, 1)]
        };
        let wrong = samples.iter().enumerate().map(wrong).collect();
        Ok(Compared { contrast: f64::from(loss.to_scalar::<f32>()?), slopes, gradients, wrong })
    }

    /// Some samples of a step with their graph. `pairs` and `words` are those of the whole step.
    fn pack(
        &self,
        samples: &[AlignedSample],
        own: &[usize],
        compared: &Compared,
        (pairs, words): (usize, usize),
    ) -> Result<PackSums, LabError> {
        let (mut terms, mut matched, mut captions) = (Vec::new(), 0.0, Vec::with_capacity(own.len()));
        let ContrastiveWeights { matching, captioning, .. } = self.weights;
        for &n in own {
            let sample = &samples[n];
            let features = self.features(sample)?;
            let found = self.aligner.look(&features)?;
            if let Some([media, captions]) = &compared.slopes {
                terms.push((&found.mean_p * media.get(n)?)?.sum_all()?);
                terms.push((self.aligner.read(&sample.words)? * captions.get(n)?)?.sum_all()?);
            }
            let pair = self.matching(samples, n, &features, compared.wrong[n])?;
            matched += f64::from(pair.to_scalar::<f32>()?);
            terms.push((pair * (matching / pairs as f64))?);
            let said = self.captioning(sample, &found)?;
            captions.push(f64::from(said.to_scalar::<f32>()?));
            terms.push((said * (captioning / words.max(1) as f64))?);
        }
        let loss = Tensor::stack(&terms, 0)?.sum_all()?;
        drop(terms);
        let gradients = match compared.slopes {
            Some(_) => gradients_of(loss, self.trained)?,
            None => Gradients::new(),
        };
        Ok((gradients, matched, captions))
    }

    /// The sum of the cross entropies of a sample's right pair and of its wrong ones.
    fn matching(
        &self,
        samples: &[AlignedSample],
        n: usize,
        features: &Tensor,
        [media, caption]: [Option<usize>; 2],
    ) -> Result<Tensor, LabError> {
        let words = &samples[n].words;
        let mut sum = matching(&self.aligner.match_logits(features, words)?, true)?;
        if let Some(other) = media {
            let features = self.features(&samples[other])?;
            sum = (sum + matching(&self.aligner.match_logits(&features, words)?, false)?)?;
        }
        if let Some(other) = caption {
            let logits = self.aligner.match_logits(features, &samples[other].words)?;
            sum = (sum + matching(&logits, false)?)?;
        }
        Ok(sum)
    }

    /// The sum of the cross entropies of a caption's words.
    fn captioning(&self, sample: &AlignedSample, found: &QueryFindings) -> Result<Tensor, LabError> {
        let logits = self.aligner.next_words(found, &sample.words)?;
        Ok(captioning(&logits, &sample.words[1..], self.weights.label_smoothing)?)
    }

    fn features(&self, sample: &AlignedSample) -> Result<Tensor, LabError> {
        Ok(self.aligner.features(&self.encoded(sample)?, &sample.units)?)
    }

    /// The encoder's rows of a sample, with their graph where the encoder learns.
    fn encoded(&self, sample: &AlignedSample) -> Result<Tensor, LabError> {
        match &sample.media {
            EncodedMedia::Rows(rows) => Ok(rows.clone()),
            EncodedMedia::Patches(all) => {
                let rows = all.iter().map(|patches| self.aligner.encode(patches)).collect::<Result<Vec<_>, _>>()?;
                Ok(if let [one] = &rows[..] { one.clone() } else { Tensor::cat(&rows, 0)? })
            }
        }
    }
}

impl AlignedSample {
    /// Entry of the mixture and row.
    pub(in crate::train) fn row(&self) -> (usize, u64) {
        self.row
    }

    /// Words of its caption, the first and the last token included.
    pub(in crate::train) fn words(&self) -> usize {
        self.words.len()
    }
}

/// What the assistant says of the media.
fn caption(sample: &Sample) -> Result<String, LabError> {
    let said = sample.messages.iter().filter(|message| message.role == Role::Assistant);
    let texts = said.flat_map(|message| &message.parts).filter_map(|part| match part {
        MessagePart::Text(text) => Some(text.as_str()),
        MessagePart::Media(_) => None,
    });
    let caption = texts.collect::<Vec<_>>().join(" ");
    if caption.trim().is_empty() { Err(unlike("no answer, which is the caption".to_string())) } else { Ok(caption) }
}

fn unlike(what: String) -> LabError {
    LabError::Model(ModelError::Caller(what))
}
