//! The page of one run or of several: sections of charts, tables and examples. It loads nothing: style, script and
//! pictures are in it.

mod evals;
mod examples;
mod sections;

use std::fmt::Write;

use super::axis::{duration, number, whole};
use super::chart::{COLORS, escape};
use super::run_log::RunLog;
use super::smooth::{smooth, window};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("chart.js");
/// The page may do nothing but show itself.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// The page of `runs`, of which there is at least one.
pub(super) fn html(runs: &[RunLog]) -> String {
    let title = match runs {
        [run] => run.name.clone(),
        _ => format!("{} runs compared", runs.len()),
    };
    let title = escape(&title);
    let mut out = format!(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=Content-Security-Policy content=\"{POLICY}\">\
         <title>{title} · training report</title><style>{STYLE}</style></head>\n<body><main>\n<h1>{title}</h1>\n"
    );
    match runs {
        [run] => facts(&mut out, run),
        _ => comparison(&mut out, runs),
    }
    sections::loss(&mut out, runs);
    sections::rewards(&mut out, runs);
    evals::section(&mut out, runs);
    examples::section(&mut out, runs);
    sections::optimization(&mut out, runs);
    sections::speed(&mut out, runs);
    recipes(&mut out, runs);
    let _ = write!(
        out,
        "<footer>Made by zoetrope {} from metrics.jsonl.</footer>\n</main><script>{SCRIPT}</script></body></html>\n",
        env!("CARGO_PKG_VERSION")
    );
    out
}

/// The loss at the end, averaged as in the chart.
fn final_loss(run: &RunLog) -> Option<f64> {
    smooth(&run.loss, window(run.loss.len())).last().map(|(_, loss)| *loss)
}

/// Tokens a second over the steps that counted them.
fn speed(run: &RunLog) -> Option<f64> {
    let mut speeds: Vec<f64> = run.tokens_per_second.iter().map(|(_, speed)| *speed).collect();
    speeds.sort_by(f64::total_cmp);
    speeds.get(speeds.len() / 2).copied()
}

fn peak_memory(run: &RunLog) -> Option<f64> {
    run.memory.iter().map(|(_, gigabytes)| *gigabytes).reduce(f64::max)
}

fn facts(out: &mut String, run: &RunLog) {
    let planned = run.run.steps.max(run.step);
    let state = match run.step == planned {
        true => format!("{} steps, finished", whole(run.step)),
        false => format!(
            "<progress max={planned} value={step}></progress>{} of {} steps",
            whole(run.step),
            whole(planned),
            step = run.step
        ),
    };
    let stages: Vec<String> = run.stages.iter().map(|(_, name)| escape(name)).collect();
    let stages = if stages.len() > 1 { format!(" · {}", stages.join(" → ")) } else { String::new() };
    let _ = write!(out, "<p class=under>{state}{stages}</p>\n<dl class=facts>");
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
        }
    };
    fact("loss", final_loss(run).map(|loss| number(loss, 4)));
    for (name, value) in evals::headlines(run) {
        fact(&escape(&name), Some(number(value, 3)));
    }
    fact("training time", Some(duration(run.seconds)));
    fact("samples", Some(number(run.samples as f64, 4)));
    fact("tokens", (run.tokens > 0).then(|| number(run.tokens as f64, 4)));
    fact("tokens a second", speed(run).map(|speed| number(speed, 4)));
    fact("peak memory", peak_memory(run).map(|gigabytes| format!("{} GB", number(gigabytes, 3))));
    out.push_str("</dl>\n");
}

fn comparison(out: &mut String, runs: &[RunLog]) {
    let mut headlines: Vec<String> = runs.iter().flat_map(evals::headlines).map(|(name, _)| name).collect();
    headlines.sort();
    headlines.dedup();
    out.push_str("<div class=scroll style=margin-top:28px><table><thead><tr><th>run<th>steps<th>loss");
    for name in &headlines {
        let _ = write!(out, "<th>{}", escape(name));
    }
    out.push_str("<th>time<th>samples<th>tokens<th>tokens/s<th>memory</tr></thead><tbody>");
    for (index, run) in runs.iter().enumerate() {
        let (color, name) = (index % COLORS, escape(&run.name));
        let loss = cell(final_loss(run), 4);
        let _ = write!(out, "<tr><th><ul class=legend style=margin:0><li class=c{color}>{name}</ul><td>");
        let _ = write!(out, "{}<td>{loss}", whole(run.step));
        let own = evals::headlines(run);
        for name in &headlines {
            let found = own.iter().find(|(other, _)| other == name).map(|(_, value)| *value);
            let _ = write!(out, "<td>{}", cell(found, 3));
        }
        let tokens = cell((run.tokens > 0).then_some(run.tokens as f64), 4);
        let memory = peak_memory(run).map_or("–".to_string(), |gigabytes| format!("{} GB", number(gigabytes, 3)));
        let (time, samples) = (duration(run.seconds), number(run.samples as f64, 4));
        let _ = write!(out, "<td>{time}<td>{samples}<td>{tokens}<td>{}<td>{memory}</tr>", cell(speed(run), 4));
    }
    out.push_str("</tbody></table></div>\n");
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".to_string(), |value| number(value, digits))
}

fn recipes(out: &mut String, runs: &[RunLog]) {
    let with_recipe: Vec<&RunLog> = runs.iter().filter(|run| !run.run.recipe.is_empty()).collect();
    if with_recipe.is_empty() {
        return;
    }
    out.push_str("<h2>Recipe</h2>\n");
    for run in &with_recipe {
        let open = if with_recipe.len() == 1 { " open" } else { "" };
        let (name, recipe) = (escape(&run.name), escape(&run.run.recipe));
        let _ = write!(out, "<details{open}><summary>{name}</summary><pre tabindex=0>{recipe}</pre></details>");
    }
    out.push('\n');
}
