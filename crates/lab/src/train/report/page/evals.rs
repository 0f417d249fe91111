//! Measurements on held-out data: a chart of each score over the steps, a table of the values.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::super::axis::{number, whole};
use super::super::chart::{COLORS, Line, escape};
use super::super::record::EvalMetrics;
use super::super::run_log::{Points, RunLog};
use super::sections::chart;

/// What "accuracy" is compared with.
const CHANCE: &str = "chance";
/// Between a score and what it was measured on: "accuracy of order".
const OF: &str = " of ";

/// The last value of the score of each set that is about all of it, without those to compare with.
pub(super) fn headlines(run: &RunLog) -> Vec<(String, f64)> {
    let is_one = run.evals.iter().all(|eval| eval.set == run.evals[0].set);
    let mut last = BTreeMap::new();
    for eval in &run.evals {
        let of_all = |(name, _): &(&String, &f64)| !name.contains(OF) && *name != CHANCE;
        for (name, value) in eval.scores.iter().filter(of_all) {
            let name = if name == "loss" { "held-out loss" } else { name };
            last.insert(if is_one { name.to_string() } else { format!("{name}, {}", eval.set) }, *value);
        }
    }
    last.into_iter().collect()
}

pub(super) fn section(out: &mut String, runs: &[RunLog]) {
    let mut sets: Vec<&str> = runs.iter().flat_map(|run| &run.evals).map(|eval| eval.set.as_str()).collect();
    sets.sort_unstable();
    sets.dedup();
    for set in sets {
        let items = runs.iter().flat_map(|run| of_set(run, set)).map(|eval| eval.items).max().unwrap_or(0);
        let _ = write!(
            out,
            "<h2>Held out: {} <span class=unit>{} items</span></h2>\n<div class=charts>",
            escape(set),
            whole(items)
        );
        charts(out, runs, set);
        out.push_str("</div>\n");
        if let [run] = runs {
            table(out, run, set);
        }
    }
}

fn of_set<'a>(run: &'a RunLog, set: &'a str) -> impl Iterator<Item = &'a EvalMetrics> {
    run.evals.iter().filter(move |eval| eval.set == set)
}

/// The values of every score of a set, by name.
fn scores(run: &RunLog, set: &str) -> BTreeMap<String, Points> {
    let mut scores = BTreeMap::<String, Points>::new();
    for eval in of_set(run, set) {
        for (name, value) in &eval.scores {
            scores.entry(name.clone()).or_default().push((eval.step as f64, *value));
        }
    }
    scores
}

/// A chart of each score of the whole set with a line for each run.
fn charts(out: &mut String, runs: &[RunLog], set: &str) {
    let all: Vec<_> = runs.iter().map(|run| scores(run, set)).collect();
    let mut names: Vec<&String> = all.iter().flat_map(BTreeMap::keys).collect();
    names.sort();
    names.dedup();
    for name in names.into_iter().filter(|name| !name.contains(OF) && *name != CHANCE) {
        let mut lines = Vec::new();
        for (index, (run, scores)) in runs.iter().zip(&all).enumerate() {
            let shown = if runs.len() == 1 { "all" } else { &run.name };
            lines.extend(scores.get(name).map(|points| Line::measured(shown, index, points)));
        }
        if name == "accuracy"
            && let Some(points) = all.iter().find_map(|scores| scores.get(CHANCE))
        {
            lines.push(Line::baseline(CHANCE, COLORS - 1, points));
        }
        out.push_str(&chart(runs, &capitalized(name), "", lines, false));
    }
}

/// The first value, the last and the best of each score.
fn table(out: &mut String, run: &RunLog, set: &str) {
    let scores = scores(run, set);
    out.push_str("<div class=scroll style=margin-top:16px><table><thead><tr><th>score<th>first<th>last<th>best</tr>");
    out.push_str("</thead><tbody>");
    for (name, points) in scores.iter().filter(|(_, points)| !points.is_empty()) {
        let lowest_is_best = name.starts_with("loss");
        let better =
            |a: &&(f64, f64), b: &&(f64, f64)| if lowest_is_best { b.1.total_cmp(&a.1) } else { a.1.total_cmp(&b.1) };
        let _ = write!(out, "<tr><th>{}", escape(name));
        let best = if name == CHANCE { None } else { points.iter().max_by(better) };
        for point in [points.first(), points.last(), best] {
            let text = point.map_or("–".to_string(), |(step, value)| {
                format!("{} <small>at {}</small>", number(*value, 4), whole(*step as u64))
            });
            let _ = write!(out, "<td>{text}");
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>\n");
}

fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().collect::<String>() + letters.as_str())
}
