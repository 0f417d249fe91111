//! Line charts as HTML with inline SVG. Lines are drawn in a square of 1000 that is stretched to whatever width the
//! page has; labels are text of the page beside it, so that they keep their size.

use std::fmt::Write;

use serde::Serialize;

use super::axis::{Axis, number};
use super::run_log::Points;
use super::smooth::{range, smooth, thin};

/// Number of colors of the style sheet.
pub(super) const COLORS: usize = 8;
/// Side of the square that lines are drawn in.
const SIDE: f64 = 1000.0;

/// A chart over the steps of a run.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    /// What the values are, after the title.
    pub(super) unit: &'a str,
    pub(super) lines: Vec<Line>,
    /// Step before the first one of each stage, and its name.
    pub(super) stages: &'a [(f64, String)],
    pub(super) last_step: f64,
    /// A chart of a row of several.
    pub(super) is_small: bool,
}

/// A line of a chart.
pub(super) struct Line {
    name: String,
    color: usize,
    style: Style,
    points: Points,
    /// Lowest and highest values around the line, drawn faintly.
    range: Vec<(f64, f64, f64)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Line,
    /// Few values, each with a dot.
    Dots,
    /// A line to compare with.
    Dashes,
}

impl Line {
    /// Noisy values: their moving average over `window` values, and faintly what they are.
    pub(super) fn smoothed(name: &str, color: usize, points: &[(f64, f64)], window: f64) -> Self {
        let range = if window > 1.0 { range(points) } else { Vec::new() };
        Line { range, ..Line::plain(name, color, &smooth(points, window)) }
    }

    /// Values as they are.
    pub(super) fn plain(name: &str, color: usize, points: &[(f64, f64)]) -> Self {
        Line { name: name.to_string(), color, style: Style::Line, points: thin(points), range: Vec::new() }
    }

    /// Values that were measured now and then.
    pub(super) fn measured(name: &str, color: usize, points: &[(f64, f64)]) -> Self {
        Line { style: Style::Dots, ..Line::plain(name, color, points) }
    }

    /// Values that others are compared with.
    pub(super) fn baseline(name: &str, color: usize, points: &[(f64, f64)]) -> Self {
        Line { style: Style::Dashes, ..Line::plain(name, color, points) }
    }

    /// Without what is drawn faintly: for charts of many lines.
    pub(super) fn without_range(self) -> Self {
        Line { range: Vec::new(), ..self }
    }
}

/// What the page's script reads of a line.
#[derive(Serialize)]
struct LineData {
    x: Vec<f64>,
    y: Vec<String>,
}

impl Chart<'_> {
    /// The chart; nothing when there is nothing to draw.
    pub(super) fn html(&self) -> String {
        let lines: Vec<&Line> = self.lines.iter().filter(|line| !line.points.is_empty()).collect();
        if lines.is_empty() {
            return String::new();
        }
        // A little room, so that a dot at the end is whole.
        let width = 1.01 * self.last_step;
        let (x, y) = (Axis::from_zero(width), y_axis(&lines));
        let mut out = String::new();
        let small = if self.is_small { " small" } else { "" };
        let scale = if y.is_log() { " · log scale" } else { "" };
        let unit = if self.is_small || self.unit.is_empty() && scale.is_empty() {
            String::new()
        } else {
            format!("<span class=unit>{}{scale}</span>", escape(self.unit))
        };
        let title = escape(self.title);
        let _ = write!(out, "<figure class=\"chart{small}\"><figcaption><h3>{title}</h3>{unit}</figcaption>");
        legend(&mut out, &lines);
        out.push_str("<div class=plot><div class=ys>");
        for tick in y.ticks(if self.is_small { 3 } else { 5 }) {
            let _ = write!(out, "<span style=bottom:{:.2}%>{}</span>", 100.0 * y.place(tick), number(tick, 3));
        }
        out.push_str("</div><div class=area>");
        self.drawing(&mut out, &lines, x, y);
        if self.stages.len() > 1 && !self.is_small {
            self.stage_names(&mut out, x);
        }
        out.push_str("<i class=cursor hidden></i></div><div class=xs>");
        for tick in x.ticks(if self.is_small { 2 } else { 4 }) {
            let _ = write!(out, "<span style=left:{:.2}%>{}</span>", 100.0 * x.place(tick), number(tick, 4));
        }
        let data: Vec<LineData> = lines.iter().map(|line| line.data()).collect();
        let data = serde_json::to_string(&(width, data)).unwrap_or_default().replace('<', "\\u003c");
        let _ = write!(out, "</div></div><script type=\"application/json\">{data}</script></figure>");
        out
    }

    /// The names of the stages over the chart, each as wide as its stage.
    fn stage_names(&self, out: &mut String, x: Axis) {
        for (number, (first, name)) in self.stages.iter().enumerate() {
            let end = self.stages.get(number + 1).map_or(self.last_step, |(next, _)| *next);
            let (left, width) = (100.0 * x.place(*first), 100.0 * (x.place(end) - x.place(*first)));
            let name = escape(name);
            let _ = write!(
                out,
                "<span class=stage title=\"{name}\" style=\"left:{left:.2}%;width:{width:.2}%\">{name}</span>"
            );
        }
    }

    fn drawing(&self, out: &mut String, lines: &[&Line], x: Axis, y: Axis) {
        let description = lines.iter().map(|line| format!("{} {}", line.name, last(line))).collect::<Vec<_>>();
        let label = escape(&format!("{} by step; at the end {}", self.title, description.join(", ")));
        let _ =
            write!(out, "<svg viewBox=\"0 0 {SIDE} {SIDE}\" preserveAspectRatio=none role=img aria-label=\"{label}\">");
        let mut grid = String::new();
        for tick in y.ticks(if self.is_small { 3 } else { 5 }) {
            let _ = write!(grid, "M0 {:.1}H{SIDE}", SIDE * (1.0 - y.place(tick)));
        }
        let mut stages = String::new();
        for (first, _) in self.stages.iter().filter(|(first, _)| *first > 0.0) {
            let _ = write!(stages, "M{:.1} 0V{SIDE}", SIDE * x.place(*first));
        }
        let _ = write!(out, "<path class=grid d=\"{grid}\"/><path class=stages d=\"{stages}\"/>");
        for line in lines {
            if !line.range.is_empty() {
                let _ = write!(out, "<path class=\"range c{}\" d=\"{}\"/>", line.color % COLORS, line.outline(x, y));
            }
        }
        for line in lines {
            let class = if line.style == Style::Dashes { "line dashes" } else { "line" };
            let color = line.color % COLORS;
            let _ = write!(out, "<path class=\"{class} c{color}\" d=\"{}\"/>", line.path(x, y));
            if line.style == Style::Dots || line.points.len() == 1 {
                let dots = line.points.iter().map(|&(a, b)| format!("M{}h0", at(x, y, a, b)));
                let _ = write!(out, "<path class=\"dots c{color}\" d=\"{}\"/>", dots.collect::<String>());
            }
        }
        out.push_str("</svg>");
    }
}

impl Line {
    fn path(&self, x: Axis, y: Axis) -> String {
        let mut path = String::new();
        for &(a, b) in self.points.iter().filter(|(_, b)| b.is_finite()) {
            path.push(if path.is_empty() { 'M' } else { 'L' });
            path.push_str(&at(x, y, a, b));
        }
        path
    }

    fn outline(&self, x: Axis, y: Axis) -> String {
        let there = self.range.iter().map(|&(a, _, high)| at(x, y, a, high));
        let back = self.range.iter().rev().map(|&(a, low, _)| at(x, y, a, low));
        format!("M{}Z", there.chain(back).collect::<Vec<_>>().join("L"))
    }

    fn data(&self) -> LineData {
        let finite = || self.points.iter().filter(|(_, y)| y.is_finite());
        LineData { x: finite().map(|(x, _)| *x).collect(), y: finite().map(|(_, y)| number(*y, 4)).collect() }
    }
}

/// A place in the square, kept near it so that an outlier does not stretch numbers.
fn at(x: Axis, y: Axis, a: f64, b: f64) -> String {
    format!("{:.1} {:.1}", SIDE * x.place(a), (SIDE * (1.0 - y.place(b))).clamp(-SIDE, 2.0 * SIDE))
}

/// Around what is drawn boldly, and around what is drawn faintly but for the hundredth that lies farthest out.
fn y_axis(lines: &[&Line]) -> Axis {
    let mut values: Vec<f64> = lines.iter().flat_map(|line| line.points.iter().map(|(_, y)| *y)).collect();
    for line in lines {
        let mut ends: Vec<f64> = line.range.iter().flat_map(|(_, low, high)| [*low, *high]).collect();
        ends.sort_by(f64::total_cmp);
        let cut = ends.len() / 100;
        values.extend(&ends[cut..ends.len() - cut]);
    }
    Axis::around(values.into_iter())
}

fn last(line: &Line) -> String {
    line.points.last().map_or(String::new(), |(_, y)| number(*y, 4))
}

fn legend(out: &mut String, lines: &[&Line]) {
    out.push_str("<ul class=legend>");
    for line in lines {
        let (color, value) = (line.color % COLORS, last(line));
        let dashes = if line.style == Style::Dashes { " dashes" } else { "" };
        let name = escape(&line.name);
        let _ = write!(out, "<li class=\"c{color}{dashes}\"><b>{name}</b> <output>{value}</output></li>");
    }
    out.push_str("</ul>");
}

/// Text as HTML.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(letter),
        }
    }
    out
}
