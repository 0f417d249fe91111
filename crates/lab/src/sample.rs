//! One training or evaluation sample: media whose frames are made on demand, and a conversation about them.

use std::fmt;
use std::sync::Arc;

use zoetrope_engine::{ContentDigest, FrameIter, MediaSource, plan_sources};
use zoetrope_media::{Frame, Time};
use zoetrope_models::contract::Processor;
use zoetrope_models::contract::media_plan::{MediaMetadata, MediaPlan, PlanOptions};
use zoetrope_models::contract::prompt::{Message, MessagePart, Role};
use zoetrope_models::error::ModelResult;

use crate::synth::{
    CellLabel, Difficulty, OutOfDomain, Question, QuestionKind, Scene, Split, SynthRng, UNKNOWN, off_topic, small_talk,
};

/// One picture or video of a sample. Only the planned frames are ever decoded or rendered.
#[derive(Clone)]
pub struct SampleMedia {
    /// Where its frames come from.
    pub source: Arc<dyn MediaSource>,
    cell_labels: Option<Arc<LabelGrid>>,
    content: Option<Arc<ContentOf>>,
}

/// Reads what media is made of.
type ContentOf = dyn Fn() -> std::io::Result<ContentDigest> + Send + Sync;

/// From a frame's index and a grid (rows, columns) to the label of each cell, row by row.
type LabelGrid = dyn Fn(usize, (usize, usize)) -> Vec<CellLabel> + Send + Sync;

/// A picture or video whose frames are made by a function of their index.
struct Rendered<F> {
    metadata: MediaMetadata,
    frame: F,
}

impl<F: Fn(usize) -> Frame + Send + Sync> MediaSource for Rendered<F> {
    fn metadata(&self) -> MediaMetadata {
        self.metadata.clone()
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        let indices = indices.to_vec();
        Box::new(indices.into_iter().map(|index| Ok((self.frame)(index).into())))
    }
}

/// A video of these times, which ends at `end` seconds, or a picture when that is at once.
fn rendered_metadata(size: (u32, u32), times: Vec<Time>, end: f64) -> MediaMetadata {
    if end > 0.0 { MediaMetadata::video(size, times, end) } else { MediaMetadata::picture(size) }
}

impl SampleMedia {
    /// Media without labels.
    pub fn new(source: Arc<dyn MediaSource>) -> SampleMedia {
        SampleMedia { source, cell_labels: None, content: None }
    }

    /// A synthetic scene, which knows its labels.
    pub fn from_scene(scene: Scene) -> SampleMedia {
        let metadata = rendered_metadata(scene.size(), scene.times(), scene.end());
        let scene = Arc::new(scene);
        let drawn = Arc::clone(&scene);
        let source = Arc::new(Rendered { metadata, frame: move |index| drawn.frame(index) });
        let cell_labels: Arc<LabelGrid> = Arc::new(move |index, grid| scene.cell_labels(index, grid));
        SampleMedia { source, cell_labels: Some(cell_labels), content: None }
    }

    /// Media whose content `digest` reads when it is asked for.
    #[must_use]
    pub fn with_content(self, digest: impl Fn() -> std::io::Result<ContentDigest> + Send + Sync + 'static) -> Self {
        SampleMedia { content: Some(Arc::new(digest)), ..self }
    }

    /// Digest of what it is made of: equal digests mean equal frames at equal times. Reads all of its bytes unless they
    /// were read before; `None` where it is not known or cannot be read.
    pub fn content_digest(&self) -> Option<ContentDigest> {
        self.content.as_ref().and_then(|digest| digest().ok())
    }

    /// Whether labels of its cells are known.
    pub fn has_labels(&self) -> bool {
        self.cell_labels.is_some()
    }

    /// Label of each cell of a grid (rows, columns) over frame `index`, row by row; `None` when they are unknown.
    pub fn cell_labels(&self, index: usize, grid: (usize, usize)) -> Option<Vec<CellLabel>> {
        self.cell_labels.as_ref().map(|labels| labels(index, grid))
    }
}

impl fmt::Debug for SampleMedia {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let media = self.source.metadata();
        let (width, height) = media.size();
        write!(out, "SampleMedia({:?}, {width}x{height}, {} frames)", media.kind, media.timeline.len())
    }
}

/// Media and a conversation about them. Training learns the assistant's messages.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The media, in the order of their appearance in `messages`.
    pub media: Vec<SampleMedia>,
    /// The turns.
    pub messages: Vec<Message>,
    /// Of a pair of preferences: the conversation with the answer that is not preferred. It shows the media alike and
    /// begins with the messages of `messages`, up to an answer.
    pub rejected: Option<Vec<Message>>,
}

/// Share of questions about synthetic media in training that are asked in casual words, where there are some.
const CASUAL_SHARE: f32 = 0.3;
/// Share of synthetic training samples that are small talk without media.
const SMALL_TALK_SHARE: f32 = 0.03;
/// Share of synthetic training conversations with a question that no scene answers.
const OFF_TOPIC_SHARE: f32 = 0.05;
/// Share of conversations about what is no scene that have a question that no scene answers.
const OUT_OF_DOMAIN_OFF_TOPIC: f32 = 0.3;

impl Sample {
    /// A conversation whose first message shows `media`. Turns are pairs (question, answer).
    pub fn conversation(media: Vec<SampleMedia>, turns: &[(String, String)]) -> Sample {
        let mut messages = Vec::with_capacity(2 * turns.len());
        for (index, (question, answer)) in turns.iter().enumerate() {
            let mut parts: Vec<MessagePart> = Vec::new();
            if index == 0 {
                parts.extend((0..media.len()).map(MessagePart::Media));
            }
            parts.push(MessagePart::Text(question.clone()));
            messages.push(Message { role: Role::User, parts });
            messages.push(Message::text(Role::Assistant, answer.clone()));
        }
        Sample { media, messages, rejected: None }
    }

    /// The conversation with the rejected answer as a sample of its own; `None` when there is no pair.
    pub fn of_rejected(&self) -> Option<Sample> {
        let messages = self.rejected.clone()?;
        Some(Sample { media: self.media.clone(), messages, rejected: None })
    }

    /// How a model is shown the media. Lists of frames are shown whole.
    ///
    /// # Errors
    /// What the model's processor refuses.
    pub fn plan(&self, processor: &dyn Processor, options: &PlanOptions) -> ModelResult<Vec<MediaPlan>> {
        let sources: Vec<Arc<dyn MediaSource>> = self.media.iter().map(|media| Arc::clone(&media.source)).collect();
        plan_sources(processor, &[], &sources, options)
    }

    /// The synthetic sample of `seed`: a scene of `split` with up to `turns` questions. Some have a question that the
    /// scene does not answer, a few are small talk without a scene. With 0 turns, the sample is the scene without
    /// messages.
    pub fn drawn(split: Split, seed: u64, difficulty: &Difficulty, turns: usize) -> Sample {
        let mut rng = SynthRng::new("drawn/sample", seed);
        if turns == 0 {
            let scene = Scene::generate(split, seed, difficulty);
            return Sample::conversation(vec![SampleMedia::from_scene(scene)], &[]);
        }
        if rng.random_bool(SMALL_TALK_SHARE) {
            return Sample::conversation(Vec::new(), &[small_talk(&mut rng)]);
        }
        if difficulty.out_of_domain {
            return Sample::out_of_domain(split, seed, difficulty, turns);
        }
        let scene = Scene::generate(split, seed, difficulty);
        let asked = training_questions(&scene, &mut rng, &difficulty.kinds, turns);
        let mut pairs: Vec<(String, String)> = asked.map(|asked| (asked.text, asked.answer)).collect();
        if pairs.is_empty() || rng.random_bool(OFF_TOPIC_SHARE) {
            let at = rng.below(pairs.len() + 1);
            pairs.insert(at, off_topic(&mut rng));
        }
        Sample::conversation(vec![SampleMedia::from_scene(scene)], &pairs)
    }

    /// Media that are no scene, with up to `turns` questions as about a scene, or that no scene answers. All have the
    /// answer [`UNKNOWN`].
    pub fn out_of_domain(split: Split, seed: u64, difficulty: &Difficulty, turns: usize) -> Sample {
        let mut rng = SynthRng::new("out of domain/sample", seed);
        let media = OutOfDomain::generate(split, seed, difficulty.clip_share);
        // Questions that fit a picture or a clip.
        let clip_share = if media.is_clip() { 1.0 } else { 0.0 };
        let scene = Scene::generate(split, seed, &Difficulty { clip_share, ..difficulty.clone() });
        let asked = training_questions(&scene, &mut rng, &difficulty.kinds, turns.max(1));
        let mut pairs: Vec<(String, String)> = asked.map(|asked| (asked.text, UNKNOWN.into())).collect();
        if pairs.is_empty() || rng.random_bool(OUT_OF_DOMAIN_OFF_TOPIC) {
            let at = rng.below(pairs.len() + 1);
            pairs.insert(at, off_topic(&mut rng));
        }
        let metadata = rendered_metadata(media.size(), media.times(), media.end());
        let source = Arc::new(Rendered { metadata, frame: move |index| media.frame(index) });
        Sample::conversation(vec![SampleMedia::new(source)], &pairs)
    }

    /// A scene and one question without its answer, as evaluation asks it.
    pub fn question(scene: &Scene, question: &Question) -> Sample {
        let parts = vec![MessagePart::Media(0), MessagePart::Text(question.text.clone())];
        let media = vec![SampleMedia::from_scene(scene.clone())];
        Sample { media, messages: vec![Message { role: Role::User, parts }], rejected: None }
    }
}

/// A conversation about a scene, some of whose questions are in casual words.
fn training_questions(
    scene: &Scene,
    rng: &mut SynthRng,
    kinds: &[QuestionKind],
    turns: usize,
) -> impl Iterator<Item = Question> {
    let asked = scene.conversation(rng, kinds, turns);
    asked
        .into_iter()
        .map(|asked| if rng.random_bool(CASUAL_SHARE) { asked.in_casual_words(rng, scene.is_clip()) } else { asked })
}
