//! A sample, loaded: planned, its media decoded and prepared for the encoder, or encoded already.

use std::sync::Arc;

use zoetrope_engine::{ContentDigest, PatchStream, PreparedFrames};
use zoetrope_models::contract::features::Features;
use zoetrope_models::contract::media_plan::{MediaPlan, PlanOptions};
use zoetrope_models::contract::prompt::Message;
use zoetrope_models::contract::{Processor, VideoLanguageModel};

use super::frozen::FrozenFeatures;
use super::kept::{KeptMedia, KeptTensors, bytes_of, bytes_of_features, media_key};
use super::options::LoaderOptions;
use crate::data::planned::PlannedSample;
use crate::error::LabError;
use crate::sample::{Sample, SampleMedia};

/// Loads samples for one model.
pub(crate) struct SampleLoader {
    processor: Arc<dyn Processor>,
    options: PlanOptions,
    /// Longer samples are not loaded.
    max_tokens: Option<usize>,
    /// Whether both conversations of a pair of preferences are of use, so that the longer one counts.
    pairs: bool,
    /// Bytes of patches of a sample that are made at once.
    sample_bytes: u64,
    kept: Arc<KeptMedia>,
    frozen: Option<FrozenFeatures>,
}

/// A sample, ready for the encoder.
pub(crate) struct LoadedSample {
    /// Its turns.
    pub(crate) messages: Vec<Message>,
    /// Turns with an answer that is not preferred, about the same media.
    pub(crate) rejected: Option<Vec<Message>>,
    /// How each of its media is shown.
    pub(crate) plans: Vec<MediaPlan>,
    /// Its media.
    pub(crate) media: Vec<LoadedMedia>,
    /// Bytes of its tensors.
    pub(crate) bytes: u64,
}

/// A picture or video, ready for the encoder.
pub(crate) struct LoadedMedia {
    /// What knows the labels of its cells, where they are known.
    pub(crate) labeled: Option<SampleMedia>,
    frames: LoadedFrames,
    content: Option<ContentDigest>,
}

enum LoadedFrames {
    /// Runs of frames, and what makes the others of a long film.
    Patches(Arc<Vec<PreparedFrames>>, Option<Box<PatchStream>>),
    Features(Features),
}

impl SampleLoader {
    /// Loads for a model of `processor`, which is shown media as `options` say; nothing is kept.
    pub(crate) fn new(processor: &Arc<dyn Processor>, options: PlanOptions) -> Self {
        let (processor, kept) = (Arc::clone(processor), Arc::new(KeptMedia::new(0)));
        SampleLoader { processor, options, max_tokens: None, pairs: false, sample_bytes: 0, kept, frozen: None }
    }

    /// This loader, which passes over samples of more tokens.
    #[must_use]
    pub(crate) fn with_max_tokens(self, max_tokens: Option<usize>) -> Self {
        SampleLoader { max_tokens, ..self }
    }

    /// This loader for pairs of preferences, if `pairs`.
    #[must_use]
    pub(crate) fn of_pairs(self, pairs: bool) -> Self {
        SampleLoader { pairs, ..self }
    }

    /// This loader within the bytes of `options`, which keeps media in `kept`, as features where the encoder is
    /// `frozen`.
    #[must_use]
    pub(crate) fn keeping(
        self,
        options: &LoaderOptions,
        kept: &Arc<KeptMedia>,
        frozen: Option<FrozenFeatures>,
    ) -> Self {
        SampleLoader { sample_bytes: options.sample_bytes(), kept: Arc::clone(kept), frozen, ..self }
    }

    /// Plans, decodes and prepares `sample`; `None` when it is too long.
    ///
    /// # Errors
    /// When its media and messages do not fit the model, or a planned frame cannot be decoded.
    pub(crate) fn load(&self, sample: &Sample) -> Result<Option<LoadedSample>, LabError> {
        let Some(plans) = self.plan(sample)? else { return Ok(None) };
        let (mut media, mut bytes) = (Vec::with_capacity(plans.len()), 0);
        for (number, (own, plan)) in sample.media.iter().zip(&plans).enumerate() {
            let loaded = self.load_media(&format!("media {}", number + 1), own, plan, bytes)?;
            bytes += loaded.bytes();
            media.push(loaded);
        }
        let (messages, rejected) = (sample.messages.clone(), sample.rejected.clone());
        Ok(Some(LoadedSample { messages, rejected, plans, media, bytes }))
    }

    fn plan(&self, sample: &Sample) -> Result<Option<Vec<MediaPlan>>, LabError> {
        let processor = &*self.processor;
        let Some(most) = self.max_tokens else { return Ok(Some(sample.plan(processor, &self.options)?)) };
        let (plans, tokens) = if sample.messages.is_empty() {
            let plans = sample.plan(processor, &self.options)?;
            let tokens = plans.iter().flat_map(|plan| processor.visual_spans(plan, None)).map(|span| span.tokens).sum();
            (plans, tokens)
        } else {
            let planned = PlannedSample::unchecked(sample, processor, &self.options)?;
            let rejected = if self.pairs { sample.of_rejected() } else { None };
            let rejected =
                rejected.map(|other| PlannedSample::unchecked(&other, processor, &self.options)).transpose()?;
            let other = rejected.map_or(0, |planned| planned.prompt.tokens.len());
            (planned.plans, planned.prompt.tokens.len().max(other))
        };
        Ok((tokens <= most).then_some(plans))
    }

    /// Loads one of a sample's media; `before` bytes are made of the sample already.
    fn load_media(
        &self,
        name: &str,
        media: &SampleMedia,
        plan: &MediaPlan,
        before: u64,
    ) -> Result<LoadedMedia, LabError> {
        let labeled = media.has_labels().then(|| media.clone());
        let is_kept = self.kept.is_on() || self.frozen.as_ref().is_some_and(|frozen| frozen.is_on(&self.kept));
        let content = if is_kept { media.content_digest() } else { None };
        if let Some(frames) = content.as_ref().and_then(|content| self.find(content, plan)) {
            return Ok(LoadedMedia { labeled, frames, content });
        }
        let mut stream = PatchStream::new(&self.processor, name, &media.source, plan);
        let (mut runs, mut bytes) = (Vec::new(), before);
        while bytes <= self.sample_bytes {
            let Some(run) = stream.next().transpose()? else {
                check_whole(name, plan, &stream)?;
                let runs = Arc::new(runs);
                if let (None, Some(key)) = (&self.frozen, content.as_ref().and_then(|own| media_key(own, plan))) {
                    self.kept.put(key, KeptTensors::Patches(Arc::clone(&runs)));
                }
                return Ok(LoadedMedia { labeled, frames: LoadedFrames::Patches(runs, None), content });
            };
            runs.push(run);
            bytes = before + bytes_of(&runs);
        }
        let frames = LoadedFrames::Patches(Arc::new(runs), Some(Box::new(stream)));
        Ok(LoadedMedia { labeled, frames, content })
    }

    fn find(&self, content: &ContentDigest, plan: &MediaPlan) -> Option<LoadedFrames> {
        if let Some(frozen) = &self.frozen {
            let features = frozen.find(&self.kept, (content, plan), &*self.processor)?;
            return Some(LoadedFrames::Features(features));
        }
        match self.kept.get(&media_key(content, plan)?)? {
            KeptTensors::Patches(runs) => Some(LoadedFrames::Patches(runs, None)),
            KeptTensors::Features(_) => None,
        }
    }

    /// What the encoder of `model` gives of loaded media, which `plan` shows. `each` is called with each run of frames
    /// that is encoded.
    ///
    /// # Errors
    /// When a planned frame of a long film cannot be decoded, or the model refuses.
    pub(crate) fn encode(
        &self,
        model: &dyn VideoLanguageModel,
        media: LoadedMedia,
        plan: &MediaPlan,
        mut each: impl FnMut(&PreparedFrames),
    ) -> Result<Features, LabError> {
        let (runs, rest) = match media.frames {
            LoadedFrames::Features(features) => return Ok(features),
            LoadedFrames::Patches(runs, rest) => (runs, rest),
        };
        let kept = self.frozen.as_ref().zip(media.content.as_ref());
        // Another sample with this clip may have been encoded since it was loaded.
        if let Some(features) = kept.and_then(|(frozen, content)| frozen.in_memory(&self.kept, content, plan)) {
            return Ok(features);
        }
        let mut features = Vec::new();
        for run in runs.iter() {
            each(run);
            features.push(model.encode(plan, &run.patches)?);
        }
        if let Some(mut rest) = rest {
            for run in rest.by_ref() {
                let run = run?;
                each(&run);
                features.push(model.encode(plan, &run.patches)?);
            }
            check_whole("a film", plan, &rest)?;
        }
        let features = Features::concat(&features)?;
        if let Some((frozen, content)) = kept {
            frozen.keep(&self.kept, (content, plan), &features, &*self.processor);
        }
        Ok(features)
    }
}

impl LoadedMedia {
    fn bytes(&self) -> u64 {
        match &self.frames {
            LoadedFrames::Patches(runs, _) => bytes_of(runs),
            LoadedFrames::Features(features) => bytes_of_features(features),
        }
    }

    /// Whether nothing of it is left to decode or to encode.
    #[cfg(test)]
    pub(super) fn is_encoded(&self) -> bool {
        matches!(self.frames, LoadedFrames::Features(_))
    }

    /// The runs of frames that are made, and whether there are more.
    #[cfg(test)]
    pub(super) fn runs(&self) -> (Option<&Arc<Vec<PreparedFrames>>>, bool) {
        match &self.frames {
            LoadedFrames::Patches(runs, rest) => (Some(runs), rest.is_some()),
            LoadedFrames::Features(_) => (None, false),
        }
    }
}

/// Refuses media of which a planned frame is missing: what would be shown is not what the row means.
fn check_whole(name: &str, plan: &MediaPlan, stream: &PatchStream) -> Result<(), LabError> {
    let (undecodable, planned) = (stream.faults().undecodable, plan.frames.len());
    if undecodable == 0 && planned > 0 {
        return Ok(());
    }
    Err(LabError::Caller(format!("frames do not decode: {name}: {undecodable} of {planned} frames cannot be decoded")))
}
