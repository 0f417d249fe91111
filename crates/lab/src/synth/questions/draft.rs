//! A question with its answer, and the facts that both take from or add to the conversation.

use super::facts::Fact;
use super::kind::QuestionKind;
use super::templates::fill_template;
use crate::synth::rng::SynthRng;

/// A question with its one right answer.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Question {
    /// What it is about.
    pub kind: QuestionKind,
    /// The question as a person would type it.
    pub text: String,
    /// The answer, lower case, without a final mark.
    pub answer: String,
    /// All answers that are possible before one looks at the scene; empty when they are too many to list.
    pub choices: Vec<String>,
    /// Expected accuracy of a random guess, 0 to 1.
    pub chance: f64,
    /// Templates of the same question as people also type it, without a name of the object; empty where it needs one.
    #[serde(skip)]
    pub(super) casual: &'static [&'static str],
    /// What `{a}` stands for in them.
    #[serde(skip)]
    pub(super) predicate: String,
}

impl Question {
    /// The question in a random casual wording, about a clip or a picture; as it was where there is none.
    #[must_use]
    pub fn in_casual_words(self, rng: &mut SynthRng, clip: bool) -> Question {
        if self.casual.is_empty() {
            return self;
        }
        let text = fill_template(rng, self.casual, clip, &[("{a}", &self.predicate)]);
        Question { text, ..self }
    }
}

/// A question that may be asked next.
pub(super) struct Draft {
    pub(super) question: Question,
    /// Facts that must not be known yet.
    pub(super) asks: Vec<Fact>,
    /// Facts that are known afterwards.
    pub(super) reveals: Vec<Fact>,
}

impl Draft {
    /// A question whose answer reveals the facts in `asks` and whose wording reveals those in `reveals`. A random guess
    /// is uniform over `choices`.
    pub(super) fn new(
        kind: QuestionKind,
        text: String,
        answer: &str,
        choices: Vec<String>,
        asks: Vec<Fact>,
        reveals: Vec<Fact>,
    ) -> Draft {
        let chance = 1.0 / choices.len().max(1) as f64;
        let mut reveals = reveals;
        reveals.extend(asks.iter().filter(|fact| **fact != Fact::Mention));
        let (answer, predicate) = (answer.to_string(), String::new());
        Draft { question: Question { kind, text, answer, choices, chance, casual: &[], predicate }, asks, reveals }
    }

    /// With casual wordings for a scene in which nothing else can be meant.
    pub(super) fn casually(mut self, fits: bool, templates: &'static [&'static str]) -> Draft {
        if fits {
            self.question.casual = templates;
        }
        self
    }
}
