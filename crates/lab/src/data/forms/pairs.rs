//! Questions and answers in fields of their own: `query` and `response`, `instruction` and `output`, `q` and `a`.

use serde_json::{Map, Value};
use zoetrope_models::contract::prompt::Role;

use super::draft::Turn;
use super::fields::{self, first, list, optional_string, string};
use crate::data::fault::{FaultKind, RowResult};

/// Names of a question and its answer.
pub(super) struct PairNames {
    pub(super) question: &'static str,
    pub(super) answer: &'static str,
}

const fn names(question: &'static str, answer: &'static str) -> PairNames {
    PairNames { question, answer }
}

/// The pairs that data sets use.
pub(super) const PAIRS: [PairNames; 9] = [
    names("query", "response"),
    names("instruction", "output"),
    names("question", "answer"),
    names("q", "a"),
    names("Q", "A"),
    names("prompt", "response"),
    names("prompt", "completion"),
    names("input", "output"),
    names("human", "assistant"),
];
/// Fields of a question that is answered by a choice; how the choices are asked is not in the data.
const CHOICES: [&str; 3] = ["choices", "candidates", "options"];

/// The turns of a row of pairs: earlier turns (`history`), then the question and its answer. Without an answer, the
/// question alone.
pub(super) fn of_fields(row: &Map<String, Value>) -> RowResult<Vec<Turn>> {
    let has = |name: &str| row.get(name).is_some_and(|value| !value.is_null());
    let known = PAIRS.iter().find(|pair| has(pair.question) && has(pair.answer));
    let known = known.or_else(|| PAIRS.iter().find(|pair| has(pair.question)));
    let Some(pair) = known else {
        let fields = row.keys().take(12).map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(FaultKind::NoConversation.of(format!("the fields are {fields}")));
    };
    if let Some((name, _)) = first(row, &CHOICES) {
        return Err(FaultKind::Unsupported.of(format!("\"{name}\": write the choices into the question")));
    }
    let mut turns = Vec::new();
    if let Some((name, history)) = first(row, &["history"]) {
        for earlier in list(name, history)? {
            let [question, answer] = list(name, earlier)? else {
                return Err(fields::wrong(name, earlier, "[question, answer]"));
            };
            turns.push(Turn::text(Role::User, string(name, question)?));
            turns.push(Turn::text(Role::Assistant, string(name, answer)?));
        }
    }
    let mut question = optional_string(row, pair.question)?.to_string();
    if pair.question == "instruction" {
        let input = optional_string(row, "input")?;
        question =
            [question.as_str(), input].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n");
    }
    turns.push(Turn::text(Role::User, question));
    if let Some(answer) = row.get(pair.answer).filter(|answer| !answer.is_null()) {
        turns.push(Turn::text(Role::Assistant, string(pair.answer, answer)?));
    }
    Ok(turns)
}

/// The turns of a `QA` list. `i` is the instruction, which is the system's where there is a question as well, and the
/// question itself where there is none; the first one counts.
pub(super) fn of_qa(name: &str, value: &Value) -> RowResult<Vec<Turn>> {
    let mut turns = Vec::new();
    for (number, item) in list(name, value)?.iter().enumerate() {
        let Value::Object(pair) = item else { return Err(fields::wrong(name, item, "a list of objects")) };
        let (instruction, mut question) = (optional_string(pair, "i")?, optional_string(pair, "q")?);
        if question.is_empty() {
            question = instruction;
        } else if number == 0 && !instruction.is_empty() {
            turns.push(Turn::text(Role::System, instruction));
        }
        turns.push(Turn::text(Role::User, question));
        turns.push(Turn::text(Role::Assistant, optional_string(pair, "a")?));
    }
    Ok(turns)
}
