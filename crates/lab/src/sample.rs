//! One training or measuring sample: media whose frames are drawn or decoded when asked for, and a conversation about
//! them.

use std::fmt;
use std::sync::Arc;

use zoetrope_media::{Frame, Time};
use zoetrope_models::contract::{MediaKind, Message, Part, Role, Source};

use crate::draw::{Cell, Dice, Difficulty, Question, Scene, Split, aside, talk};

/// One picture or video of a sample. Only the frames a plan asks for are ever drawn.
#[derive(Clone)]
pub struct Media {
    /// Picture or video.
    pub kind: MediaKind,
    /// Display width in pixels.
    pub width: u32,
    /// Display height in pixels.
    pub height: u32,
    /// Presentation times of all frames in order; one entry (zero) for a picture.
    pub times: Vec<Time>,
    /// End of the last frame in seconds.
    pub end: f64,
    frames: Arc<dyn Fn(usize) -> Frame + Send + Sync>,
    cells: Option<Arc<CellsOf>>,
}

/// From a frame's index and a grid (rows, columns) to what each cell shows.
type CellsOf = dyn Fn(usize, (usize, usize)) -> Vec<Cell> + Send + Sync;

impl Media {
    /// Media whose frame `index` is `frames(index)`.
    pub fn new(source: Source, frames: impl Fn(usize) -> Frame + Send + Sync + 'static) -> Media {
        let Source { kind, width, height, times, end } = source;
        Media { kind, width, height, times, end, frames: Arc::new(frames), cells: None }
    }

    /// A drawn scene.
    pub fn drawn(scene: Scene) -> Media {
        let kind = if scene.is_clip() { MediaKind::Video } else { MediaKind::Image };
        let (width, height) = scene.size();
        let source = Source { kind, width, height, times: scene.times(), end: scene.end() };
        let scene = Arc::new(scene);
        let same = Arc::clone(&scene);
        let cells: Arc<CellsOf> = Arc::new(move |index, grid| same.cells(index, grid));
        Media { cells: Some(cells), ..Media::new(source, move |index| scene.frame(index)) }
    }

    /// Frame `index` in presentation order.
    pub fn frame(&self, index: usize) -> Frame {
        (self.frames)(index)
    }

    /// What each cell of a grid (rows, columns) over frame `index` shows; `None` when nobody knows.
    pub fn cells(&self, index: usize, grid: (usize, usize)) -> Option<Vec<Cell>> {
        self.cells.as_ref().map(|cells| cells(index, grid))
    }

    /// What a plan needs to know.
    pub fn source(&self) -> Source {
        Source { kind: self.kind, width: self.width, height: self.height, times: self.times.clone(), end: self.end }
    }
}

impl fmt::Debug for Media {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Media({:?}, {}x{}, {} frames)", self.kind, self.width, self.height, self.times.len())
    }
}

/// Media and a conversation about them; the assistant's messages are what is learnt.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The media, in the order of their appearance in `messages`.
    pub media: Vec<Media>,
    /// The turns.
    pub messages: Vec<Message>,
}

/// Share of drawn training samples that are text alone.
const TEXT_ONLY: f32 = 0.03;
/// Share of drawn training conversations with one question that no scene answers.
const WITH_ASIDE: f32 = 0.05;

impl Sample {
    /// A conversation about one medium, which is shown before the first question. Pairs are (question, answer).
    pub fn conversation(media: Vec<Media>, turns: &[(String, String)]) -> Sample {
        let mut messages = Vec::with_capacity(2 * turns.len());
        for (index, (question, answer)) in turns.iter().enumerate() {
            let mut parts: Vec<Part> = Vec::new();
            if index == 0 {
                parts.extend((0..media.len()).map(Part::Media));
            }
            parts.push(Part::Text(question.clone()));
            messages.push(Message { role: Role::User, parts });
            messages.push(Message::text(Role::Assistant, answer.clone()));
        }
        Sample { media, messages }
    }

    /// The training sample of `seed`: a drawn scene of the training split with up to `turns` questions, now and then
    /// a question that it cannot answer, rarely text alone. With no turns it is the scene alone.
    pub fn drawn(seed: u64, difficulty: &Difficulty, turns: usize) -> Sample {
        let mut dice = Dice::new("drawn/sample", seed);
        if turns == 0 {
            let scene = Scene::new(Split::Train, seed, difficulty);
            return Sample::conversation(vec![Media::drawn(scene)], &[]);
        }
        if dice.chance(TEXT_ONLY) {
            return Sample::conversation(Vec::new(), &[talk(&mut dice)]);
        }
        let scene = Scene::new(Split::Train, seed, difficulty);
        let asked = scene.conversation(&mut dice, &difficulty.kinds, turns);
        let mut pairs: Vec<(String, String)> = asked.into_iter().map(|asked| (asked.text, asked.answer)).collect();
        if pairs.is_empty() || dice.chance(WITH_ASIDE) {
            let at = dice.below(pairs.len() + 1);
            pairs.insert(at, aside(&mut dice));
        }
        Sample::conversation(vec![Media::drawn(scene)], &pairs)
    }

    /// A scene with one question and no answer yet: what a model is asked when it is measured.
    pub fn question(scene: &Scene, question: &Question) -> Sample {
        let parts = vec![Part::Media(0), Part::Text(question.text.clone())];
        Sample { media: vec![Media::drawn(scene.clone())], messages: vec![Message { role: Role::User, parts }] }
    }
}
