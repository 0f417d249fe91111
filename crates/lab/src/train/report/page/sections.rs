//! Sections that are charts of steps: loss, what the optimizer does, speed.

use std::collections::{BTreeMap, BTreeSet};

use super::super::chart::{Chart, Line};
use super::super::run_log::{Points, RunLog};
use super::super::smooth::window;

/// Most lines of one run in a chart; more are drawn in charts of their own.
const MOST_LINES: usize = 6;

/// A set of series that belong together.
struct Family<'a> {
    title: &'a str,
    unit: &'a str,
    of: fn(&RunLog) -> &BTreeMap<String, Points>,
    is_smooth: bool,
}

pub(super) fn loss(out: &mut String, runs: &[RunLog]) {
    out.push_str("<h2>Loss</h2>\n<div class=charts>");
    out.push_str(&series(runs, "All data", "nats per target token", |run| &run.loss, true));
    out.push_str("</div>\n");
    let kinds = Family {
        title: "By kind of data",
        unit: "nats per target token",
        of: |run| &run.loss_by_kind,
        is_smooth: true,
    };
    family(out, runs, &kinds);
}

/// Rewards of pairs, where preferences are learned.
pub(super) fn rewards(out: &mut String, runs: &[RunLog]) {
    let rewards = Family {
        title: "Rewards",
        unit: "beta times the nats gained over the reference",
        of: |run| &run.rewards,
        is_smooth: true,
    };
    if names(runs, &rewards).is_empty() {
        return;
    }
    out.push_str("<h2>Preferences</h2>\n<div class=charts>");
    let unit = "share of pairs whose chosen answer has more";
    out.push_str(&series(runs, "Reward accuracy", unit, |run| &run.reward_accuracy, true));
    out.push_str("</div>\n");
    family(out, runs, &rewards);
}

pub(super) fn optimization(out: &mut String, runs: &[RunLog]) {
    out.push_str("<h2>Optimization</h2>\n<div class=charts>");
    out.push_str(&series(runs, "Gradient norm", "all parameters, before clipping", |run| &run.gradient_norm, true));
    let lr = Family { title: "Learning rate", unit: "by group", of: |run| &run.lr, is_smooth: false };
    let one = names(runs, &lr).len() <= 1 || runs.len() == 1;
    if one {
        out.push_str(&overlay(runs, &lr));
    }
    out.push_str("</div>\n");
    if !one {
        family(out, runs, &lr);
    }
    let unit = "before clipping";
    let norms =
        Family { title: "Gradient norm by group", unit, of: |run| &run.gradient_norm_by_group, is_smooth: true };
    if names(runs, &norms).len() > 1 {
        family(out, runs, &norms);
    }
}

pub(super) fn speed(out: &mut String, runs: &[RunLog]) {
    let speed = series(runs, "Throughput", "tokens a second", |run| &run.tokens_per_second, true);
    let memory = series(runs, "Memory", "resident, GB", |run| &run.memory, false);
    let waited = series(runs, "Waiting for data", "percent of the time", |run| &run.waited, true);
    if !(speed.is_empty() && memory.is_empty()) {
        out.push_str("<h2>Speed and memory</h2>\n<div class=charts>");
        out.push_str(&speed);
        out.push_str(&memory);
        out.push_str(&waited);
        out.push_str("</div>\n");
    }
}

/// One series, a line for each run.
fn series(runs: &[RunLog], title: &str, unit: &str, of: fn(&RunLog) -> &Points, is_smooth: bool) -> String {
    let line = |(index, run): (usize, &RunLog)| {
        let name = if runs.len() == 1 { "mean" } else { &run.name };
        if !is_smooth {
            return Line::plain(if runs.len() == 1 { "at the step" } else { name }, index, of(run));
        }
        let line = Line::smoothed(name, index, of(run), window(run.loss.len()));
        if runs.len() > 3 { line.without_range() } else { line }
    };
    let lines = runs.iter().enumerate().map(line).collect();
    let over = window(runs[0].loss.len());
    let unit = match is_smooth && runs.len() == 1 && over > 1.0 {
        true => format!("{unit} · averaged over {over} steps"),
        false => unit.to_string(),
    };
    chart(runs, title, &unit, lines, false)
}

/// The series of a family: in one chart where one run has few, else each in a chart of its own.
fn family(out: &mut String, runs: &[RunLog], family: &Family) {
    let names = names(runs, family);
    if names.is_empty() {
        return;
    }
    if runs.len() == 1 && names.len() <= MOST_LINES {
        out.push_str("<div class=charts style=margin-top:16px>");
        out.push_str(&overlay(runs, family));
        out.push_str("</div>\n");
        return;
    }
    out.push_str("<h3 style=\"margin:24px 0 10px\">");
    out.push_str(family.title);
    out.push_str("</h3><div class=charts>");
    for name in &names {
        let of_run = |(index, run): (usize, &RunLog)| {
            let points = (family.of)(run).get(name)?;
            let shown = if runs.len() == 1 { "mean" } else { &run.name };
            let window = if family.is_smooth { window(run.loss.len()) } else { 1.0 };
            Some(Line::smoothed(shown, index, points, window))
        };
        let lines = runs.iter().enumerate().filter_map(of_run).collect();
        out.push_str(&chart(runs, name, "", lines, true));
    }
    out.push_str("</div>\n");
}

/// All series of a family in one chart.
fn overlay(runs: &[RunLog], family: &Family) -> String {
    let mut lines = Vec::new();
    for (index, name) in names(runs, family).iter().enumerate() {
        for (of_run, run) in runs.iter().enumerate() {
            let Some(points) = (family.of)(run).get(name) else { continue };
            let (shown, color) = if runs.len() == 1 { (name.as_str(), index) } else { (run.name.as_str(), of_run) };
            let window = if family.is_smooth { window(run.loss.len()) } else { 1.0 };
            lines.push(Line::smoothed(shown, color, points, window).without_range());
        }
    }
    chart(runs, family.title, family.unit, lines, false)
}

fn names(runs: &[RunLog], family: &Family) -> BTreeSet<String> {
    runs.iter().flat_map(|run| (family.of)(run).keys().cloned()).collect()
}

/// A chart over the steps of the longest run. Stages are shown where there is one run.
pub(super) fn chart(runs: &[RunLog], title: &str, unit: &str, lines: Vec<Line>, is_small: bool) -> String {
    let last = runs.iter().map(|run| run.step).max().unwrap_or(0).max(1);
    let stages = if let [run] = runs { run.stages.as_slice() } else { &[] };
    Chart { title, unit, lines, stages, last_step: last as f64, is_small }.html()
}
