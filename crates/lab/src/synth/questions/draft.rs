//! A question with its answer, and the facts that both take from or add to the conversation.

use super::facts::Fact;
use super::kind::QuestionKind;

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
        Draft { question: Question { kind, text, answer: answer.to_string(), choices, chance }, asks, reveals }
    }
}
