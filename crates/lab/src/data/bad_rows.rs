//! Bad rows, counted by kind, with a limit.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::dataset::BadSample;
use crate::error::LabError;

/// Examples that are kept of each kind.
const EXAMPLES: usize = 3;

/// How many bad rows are borne.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BadLimit {
    /// A share of all rows, from 0 to 1.
    Share(f64),
    /// A number of rows.
    Number(u64),
}

impl Default for BadLimit {
    /// One in a hundred.
    fn default() -> Self {
        BadLimit::Share(0.01)
    }
}

impl BadLimit {
    /// The most of `rows` that may be bad.
    pub fn of(self, rows: u64) -> u64 {
        match self {
            BadLimit::Share(share) => (rows as f64 * share).floor() as u64,
            BadLimit::Number(number) => number,
        }
    }

    /// Whether `bad` of `rows` are more than may be: the rule of checks and of training runs.
    pub fn is_exceeded(self, bad: u64, rows: u64) -> bool {
        bad > self.of(rows)
    }
}

impl FromStr for BadLimit {
    type Err = String;

    /// `1%`, `0.5%`, `25`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.trim().parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent));
            return percent.map(|percent| BadLimit::Share(percent / 100.0)).ok_or("not a share from 0% to 100%".into());
        }
        text.parse().map(BadLimit::Number).map_err(|_| "neither a share (1%) nor a number of rows (25)".into())
    }
}

impl fmt::Display for BadLimit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Rounded, because 0.07 times 100 is not 7.
            BadLimit::Share(share) => write!(out, "{}%", (share * 1e8).round() / 1e6),
            BadLimit::Number(number) => write!(out, "{number}"),
        }
    }
}

/// Bad rows of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BadKind {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<BadSample>,
}

/// Bad rows of a run or of a check.
#[derive(Clone, Debug)]
pub struct BadRows {
    limit: BadLimit,
    rows: u64,
    kinds: BTreeMap<String, BadKind>,
}

impl BadRows {
    /// Nothing is bad yet of the `rows` that will be read in all.
    pub fn new(limit: BadLimit, rows: u64) -> Self {
        BadRows { limit, rows, kinds: BTreeMap::new() }
    }

    /// Counts a bad row.
    ///
    /// # Errors
    /// [`LabError::Caller`] when more are bad than may be; with the reason of this one.
    pub fn add(&mut self, bad: BadSample) -> Result<(), LabError> {
        let kind = self.kinds.entry(bad.kind().to_string()).or_default();
        kind.count += 1;
        let text = bad.to_string();
        if kind.examples.len() < EXAMPLES {
            kind.examples.push(bad);
        }
        if self.is_over() { Err(LabError::Caller(format!("{}; the last: {text}", self.verdict()))) } else { Ok(()) }
    }

    /// How many rows are bad.
    pub fn count(&self) -> u64 {
        self.kinds.values().map(|kind| kind.count).sum()
    }

    /// Whether more are bad than may be.
    pub fn is_over(&self) -> bool {
        self.limit.is_exceeded(self.count(), self.rows)
    }

    /// In words: "3 of 200 rows are bad, at most 1% may be".
    pub fn verdict(&self) -> String {
        format!("{} of {} rows are bad, at most {} may be", self.count(), self.rows, self.limit)
    }

    /// The kinds, the most frequent first.
    pub fn kinds(&self) -> Vec<(&str, &BadKind)> {
        let mut kinds: Vec<_> = self.kinds.iter().map(|(name, kind)| (name.as_str(), kind)).collect();
        kinds.sort_by_key(|(_, kind)| std::cmp::Reverse(kind.count));
        kinds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(row: u64, reason: &str) -> BadSample {
        BadSample { file: "a.jsonl".into(), row, reason: reason.into() }
    }

    #[test]
    fn limits_are_shares_or_numbers() {
        let of = |text: &str| text.parse::<BadLimit>().map(|limit| (limit.to_string(), limit.of(250)));
        assert_eq!(of("1%"), Ok(("1%".into(), 2)));
        assert_eq!(of("7%"), Ok(("7%".into(), 17)));
        assert_eq!(of("0"), Ok(("0".into(), 0)));
        assert_eq!(of("30"), Ok(("30".into(), 30)));
        assert_eq!(BadLimit::default().to_string(), "1%");
        for wrong in ["", "-1", "101%", "1.5", "x%", "nan%"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bad_rows_are_counted_by_kind_up_to_the_limit() {
        let mut rows = BadRows::new(BadLimit::Share(0.05), 100);
        for row in 1..=4 {
            rows.add(bad(row, "media missing: a.png")).expect("few are borne");
        }
        rows.add(bad(9, "not JSON: x")).expect("few are borne");
        assert!(!rows.is_over());
        let error = rows.add(bad(11, "not JSON: y")).expect_err("one too many").to_string();
        assert_eq!(error, "6 of 100 rows are bad, at most 5% may be; the last: a.jsonl: row 11: not JSON: y");
        let kinds: Vec<_> = rows.kinds().iter().map(|(name, kind)| (*name, kind.count, kind.examples.len())).collect();
        assert_eq!(kinds, [("media missing", 4, 3), ("not JSON", 2, 2)]);
    }
}
