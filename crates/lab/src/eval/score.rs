//! Exact-match accuracy of normalized answers by kind of question, with Wilson intervals and the chance level.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use zoetrope_engine::FrameFaults;

use super::held_out::EvalItem;
use crate::synth::QuestionKind;

/// Accuracy over the questions of one kind, on pictures, on clips, or over all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreRow {
    /// Name of the kind; "pictures", "clips" or "all" in the last rows.
    pub kind: String,
    /// Number of questions.
    pub n: usize,
    /// Number of right answers.
    pub correct: usize,
    /// Share of right answers, 0 to 1.
    pub accuracy: f64,
    /// Expected accuracy of random guesses, 0 to 1.
    pub chance: f64,
    /// Lower end of the 95 % Wilson interval of the accuracy.
    pub low: f64,
    /// Upper end of the 95 % Wilson interval of the accuracy.
    pub high: f64,
}

/// A wrong answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Miss {
    /// Position of the item in the set.
    pub id: usize,
    /// Kind of the question.
    pub kind: QuestionKind,
    /// Whether the question is about a clip.
    pub clip: bool,
    /// The question.
    pub question: String,
    /// The right answer.
    pub expected: String,
    /// The answer that the model gave.
    pub given: String,
}

/// Results on a set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvalReport {
    /// One row per kind, in the order of [`QuestionKind::ALL`].
    pub kinds: Vec<ScoreRow>,
    /// A row for pictures and a row for clips, where there are questions about them.
    pub media: Vec<ScoreRow>,
    /// All questions.
    pub all: ScoreRow,
    /// Every wrong answer.
    pub misses: Vec<Miss>,
    /// Frames that were not shown as planned; left out of JSON when there are none.
    #[serde(skip_serializing_if = "FrameFaults::is_none")]
    pub faults: FrameFaults,
}

/// Counts behind one row.
#[derive(Clone, Copy, Default)]
struct Tally {
    n: usize,
    correct: usize,
    chance: f64,
}

impl Tally {
    fn add(&mut self, correct: bool, chance: f64) {
        self.n += 1;
        self.correct += usize::from(correct);
        self.chance += chance;
    }

    fn row(self, kind: &str) -> ScoreRow {
        let (low, high) = wilson(self.correct, self.n);
        let share = |sum: f64| if self.n == 0 { 0.0 } else { sum / self.n as f64 };
        ScoreRow {
            kind: kind.to_string(),
            n: self.n,
            correct: self.correct,
            accuracy: share(self.correct as f64),
            chance: share(self.chance),
            low,
            high,
        }
    }
}

/// Scores the answers that `answer` gives to `items`; stops at its first error.
pub fn score<E>(items: &[EvalItem], answer: &mut dyn FnMut(&EvalItem) -> Result<String, E>) -> Result<EvalReport, E> {
    let mut kinds: BTreeMap<QuestionKind, Tally> = BTreeMap::new();
    let (mut all, mut pictures, mut clips) = (Tally::default(), Tally::default(), Tally::default());
    let mut misses = Vec::new();
    for item in items {
        let (question, clip) = (&item.question, item.scene.is_clip());
        let given = answer(item)?;
        let correct = normalize_answer(&given) == normalize_answer(&question.answer);
        kinds.entry(question.kind).or_default().add(correct, question.chance);
        all.add(correct, question.chance);
        if clip { &mut clips } else { &mut pictures }.add(correct, question.chance);
        if !correct {
            misses.push(Miss {
                id: item.id,
                kind: question.kind,
                clip,
                question: question.text.clone(),
                expected: question.answer.clone(),
                given,
            });
        }
    }
    Ok(EvalReport {
        kinds: kinds.iter().map(|(kind, tally)| tally.row(kind.name())).collect(),
        media: [("pictures", pictures), ("clips", clips)]
            .into_iter()
            .filter(|(_, tally)| tally.n > 0)
            .map(|(name, tally)| tally.row(name))
            .collect(),
        all: all.row("all"),
        misses,
        faults: FrameFaults::default(),
    })
}

/// An answer as it is compared: lower case, single spaces, no final mark, no leading article, one of two spellings.
pub fn normalize_answer(answer: &str) -> String {
    let lower = answer.trim().trim_end_matches(['.', '!', ',', ' ']).to_lowercase();
    let mut words: Vec<String> = Vec::new();
    for word in lower.split_whitespace() {
        words.push(word.replace("color", "colour").replace("centre", "center"));
    }
    if words.len() > 1 && matches!(words[0].as_str(), "the" | "a" | "an") {
        words.remove(0);
    }
    words.join(" ")
}

/// The 95 % Wilson score interval of `correct` successes in `n` trials; `(0, 1)` for no trials.
pub fn wilson(correct: usize, n: usize) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let z = 1.959_963_984_540_054_f64;
    let (count, share) = (n as f64, correct as f64 / n as f64);
    let scale = 1.0 + z * z / count;
    let middle = (share + z * z / (2.0 * count)) / scale;
    let half = z / scale * (share * (1.0 - share) / count + z * z / (4.0 * count * count)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

impl fmt::Display for EvalReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{:<10} {:>5} {:>8} {:>7} {:>15}", "kind", "n", "right", "chance", "95 % interval")?;
        for ScoreRow { kind, n, accuracy, chance, low, high, .. } in
            self.kinds.iter().chain(&self.media).chain([&self.all])
        {
            let [accuracy, chance, low, high] = [accuracy, chance, low, high].map(|share| 100.0 * share);
            writeln!(out, "{kind:<10} {n:>5} {accuracy:>6.1} % {chance:>5.1} % {low:>6.1} - {high:>5.1} %")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::eval::held_out_set;
    use crate::synth::SynthRng;

    #[test]
    fn answers_are_compared_after_tidying() {
        assert_eq!(normalize_answer(" The red  circle. "), "red circle");
        assert_eq!(normalize_answer("CENTRE"), "center");
        assert_eq!(normalize_answer("changes color"), "changes colour");
        assert_ne!(normalize_answer("red"), normalize_answer("red circle"));
        assert_eq!(normalize_answer("a"), "a");
    }

    #[test]
    fn wilson_interval_as_in_the_textbook() {
        let (low, high) = wilson(8, 10);
        assert!((low - 0.4902).abs() < 5e-4 && (high - 0.9433).abs() < 5e-4, "{low} {high}");
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        assert!(wilson(0, 20).0 == 0.0 && wilson(20, 20).1 > 0.999);
    }

    #[test]
    fn the_right_answers_score_everything_and_a_guesser_scores_chance() {
        let set = held_out_set(11, 600);
        let perfect = score::<Infallible>(&set, &mut |item| Ok(format!("{}.", item.question.answer))).unwrap();
        assert!(perfect.all.correct == 600 && perfect.misses.is_empty());
        let faults = |report: &EvalReport| serde_json::to_value(report).unwrap().get("faults").cloned();
        let lossy = EvalReport { faults: FrameFaults { undecodable: 2, ..FrameFaults::default() }, ..perfect.clone() };
        assert_eq!((faults(&perfect), &faults(&lossy).unwrap()["undecodable"]), (None, &2.into()));
        let mut rng = SynthRng::new("guess", 1);
        let guess = score::<Infallible>(&set, &mut |item| {
            let choices = &item.question.choices;
            Ok(if choices.is_empty() { String::new() } else { choices[rng.below(choices.len())].clone() })
        });
        let guess = guess.unwrap();
        assert!(guess.all.low <= guess.all.chance && guess.all.chance <= guess.all.high, "{guess}");
        assert_eq!(guess.misses.len(), 600 - guess.all.correct);
    }

    #[test]
    fn a_failure_of_the_model_stops_the_measurement() {
        let set = held_out_set(11, 24);
        let mut asked = 0;
        let outcome = score(&set, &mut |_| {
            asked += 1;
            if asked == 3 { Err("out of memory") } else { Ok(String::new()) }
        });
        assert_eq!((outcome.err(), asked), (Some("out of memory"), 3));
    }

    #[test]
    fn what_was_not_asked_has_no_row() {
        let pictures: Vec<_> = held_out_set(11, 96).into_iter().filter(|item| !item.scene.is_clip()).collect();
        let report = score::<Infallible>(&pictures, &mut |_| Ok(String::new())).unwrap();
        assert!(!pictures.is_empty() && report.media.iter().map(|row| row.kind.as_str()).eq(["pictures"]), "{report}");
    }

    #[test]
    fn the_report_prints_a_line_for_every_row() {
        let set = held_out_set(11, 24);
        let report = score::<Infallible>(&set, &mut |_| Ok(String::new())).unwrap();
        assert_eq!(report.to_string().lines().count(), 1 + 12 + 2 + 1);
        assert!(serde_json::to_string(&report).unwrap().contains("\"accuracy\""));
    }
}
