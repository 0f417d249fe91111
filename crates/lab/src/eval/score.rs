//! Exact match after a little tidying of the answer, per kind, with Wilson intervals and the level of chance.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::drawn::Item;
use crate::draw::Kind;

/// Result of one kind, or of all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name of the kind; "all" in the last row.
    pub kind: String,
    /// Questions.
    pub n: usize,
    /// Right answers.
    pub correct: usize,
    /// Share of right answers.
    pub accuracy: f64,
    /// Share that one who guesses among the possible answers would have.
    pub chance: f64,
    /// Lower end of the 95 % Wilson interval of the accuracy.
    pub low: f64,
    /// Upper end of the 95 % Wilson interval of the accuracy.
    pub high: f64,
}

/// A wrong answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Miss {
    /// The item's position in the set.
    pub id: usize,
    /// Its kind.
    pub kind: Kind,
    /// Whether it was about a clip.
    pub clip: bool,
    /// The question.
    pub question: String,
    /// The right answer.
    pub expected: String,
    /// What was answered.
    pub given: String,
}

/// A measured set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// One row a kind, in the order of [`Kind::ALL`].
    pub kinds: Vec<Row>,
    /// Pictures and clips apart.
    pub media: Vec<Row>,
    /// All questions.
    pub all: Row,
    /// Every wrong answer.
    pub misses: Vec<Miss>,
}

/// Counts of one row.
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

    fn row(self, kind: &str) -> Row {
        let (low, high) = wilson(self.correct, self.n);
        let share = |sum: f64| if self.n == 0 { 0.0 } else { sum / self.n as f64 };
        Row {
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

/// Asks every item of `answer` and counts; stops at the first failure of `answer`.
pub fn score<E>(items: &[Item], answer: &mut dyn FnMut(&Item) -> Result<String, E>) -> Result<Report, E> {
    let mut kinds: BTreeMap<Kind, Tally> = BTreeMap::new();
    let (mut all, mut pictures, mut clips) = (Tally::default(), Tally::default(), Tally::default());
    let mut misses = Vec::new();
    for item in items {
        let (question, clip) = (&item.question, item.scene.is_clip());
        let given = answer(item)?;
        let correct = normalise(&given) == normalise(&question.answer);
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
    Ok(Report {
        kinds: kinds.iter().map(|(kind, tally)| tally.row(kind.name())).collect(),
        media: vec![pictures.row("pictures"), clips.row("clips")],
        all: all.row("all"),
        misses,
    })
}

/// An answer as it is compared: lower case, single spaces, no final mark, no leading article, British "colour",
/// American "center".
pub fn normalise(answer: &str) -> String {
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

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{:<10} {:>5} {:>8} {:>9} {:>8}   95 % interval", "kind", "n", "correct", "accuracy", "chance")?;
        for row in self.kinds.iter().chain(&self.media).chain([&self.all]) {
            writeln!(
                out,
                "{:<10} {:>5} {:>8} {:>8.1}% {:>7.1}%   {:.1} to {:.1} %",
                row.kind,
                row.n,
                row.correct,
                100.0 * row.accuracy,
                100.0 * row.chance,
                100.0 * row.low,
                100.0 * row.high
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::draw::Dice;
    use crate::eval::drawn_set;

    #[test]
    fn answers_are_compared_after_tidying() {
        assert_eq!(normalise(" The red  circle. "), "red circle");
        assert_eq!(normalise("CENTRE"), "center");
        assert_eq!(normalise("changes color"), "changes colour");
        assert_ne!(normalise("red"), normalise("red circle"));
        assert_eq!(normalise("a"), "a");
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
        let set = drawn_set(11, 600);
        let perfect = score::<Infallible>(&set, &mut |item| Ok(format!("{}.", item.question.answer))).unwrap();
        assert!(perfect.all.correct == 600 && perfect.misses.is_empty());
        let mut dice = Dice::new("guess", 1);
        let guess = score::<Infallible>(&set, &mut |item| {
            let choices = &item.question.choices;
            Ok(if choices.is_empty() { String::new() } else { choices[dice.below(choices.len())].clone() })
        });
        let guess = guess.unwrap();
        assert!(guess.all.low <= guess.all.chance && guess.all.chance <= guess.all.high, "{guess}");
        assert_eq!(guess.misses.len(), 600 - guess.all.correct);
    }

    #[test]
    fn a_failure_of_the_model_stops_the_measurement() {
        let set = drawn_set(11, 24);
        let mut asked = 0;
        let outcome = score(&set, &mut |_| {
            asked += 1;
            if asked == 3 { Err("out of memory") } else { Ok(String::new()) }
        });
        assert_eq!((outcome.err(), asked), (Some("out of memory"), 3));
    }

    #[test]
    fn the_report_prints_a_line_for_every_row() {
        let set = drawn_set(11, 24);
        let report = score::<Infallible>(&set, &mut |_| Ok(String::new())).unwrap();
        assert_eq!(report.to_string().lines().count(), 1 + 12 + 2 + 1);
        assert!(serde_json::to_string(&report).unwrap().contains("\"accuracy\""));
    }
}
