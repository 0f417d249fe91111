//! `zoetrope train RECIPE --dry-run`: what the run would take.

use std::sync::Arc;

use serde_json::json;
use zoetrope_lab::train::processes::Collectives;
use zoetrope_lab::train::{DryRun, Recipe, ReferenceEstimate, StageEstimate};
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_system::process_memory;

use super::duration::duration;
use crate::cli::Common;
use crate::failure::Failure;
use crate::output;

/// Every one of `processes` measures at the same time; the first one says what.
pub(super) fn run(
    processes: Arc<dyn Collectives>,
    template: &Checkpoint,
    recipe: Recipe,
    from_scratch: bool,
    common: &Common,
) -> Result<(), Failure> {
    let is_first = processes.is_first();
    let dry_run = DryRun::open(processes, template, recipe, from_scratch)?;
    let (mut all, mut seconds) = (Vec::new(), 0.0);
    for number in 0..dry_run.stages() {
        let stage = dry_run.stage(number)?;
        let peak = process_memory::peak();
        seconds += stage.step_seconds.unwrap_or(0.0) * stage.steps as f64;
        let stored = stage.reference.as_ref().filter(|reference| reference.is_stored);
        seconds += stored.map_or(0.0, |stored| stored.pair_seconds.unwrap_or(0.0) * stored.pairs as f64);
        if common.json {
            all.push(json!({ "stage": stage, "peak_bytes": peak }));
        } else if is_first {
            output::text(&text(number, &stage, peak))?;
        }
    }
    let (steps, processes) = (dry_run.steps(), dry_run.processes());
    if !is_first {
        return Ok(());
    }
    if common.json {
        return output::json(&json!({ "steps": steps, "seconds": seconds, "processes": processes, "stages": all }));
    }
    let among = match processes {
        1 => String::new(),
        _ => format!(", in {processes} processes with {} of their own", threads(rayon::current_num_threads())),
    };
    Ok(output::text(&format!("in all: {steps} steps, about {}{among}\n", duration(seconds)))?)
}

fn threads(threads: usize) -> String {
    if threads == 1 { "a thread".to_string() } else { format!("{threads} threads") }
}

fn text(number: usize, stage: &StageEstimate, peak: Option<u64>) -> String {
    let mut lines = Vec::new();
    let source = if stage.source.is_empty() { String::new() } else { format!(" ({})", stage.source) };
    lines.push(format!("stage {} {:?}{source}", number + 1, stage.name));
    let epochs = match stage.epoch {
        0 => String::new(),
        epoch => format!(", {:.2} epochs of {epoch}", stage.samples as f64 / epoch as f64),
    };
    lines.push(format!("  {} steps, {} samples{epochs}", stage.steps, stage.samples));
    for group in &stage.groups {
        let learned = match group.learned {
            0 => String::new(),
            learned => format!(", {} learned at {:.1e}", count(learned), group.lr),
        };
        let (name, values, held) = (group.group, count(group.values), group.held_as);
        lines.push(format!("  {name}: {values} parameters in {held}, {}{learned}", group.learn));
    }
    lines.push(format!(
        "  tokens: {:.0} a sample in the mean, {:.0} of them visual, {} at most; {:.0} a step \
         (of {} samples looked at)",
        stage.sample_tokens, stage.visual_tokens, stage.longest, stage.step_tokens, stage.looked_at
    ));
    if stage.bad + stage.too_long > 0 {
        lines.push(format!("  of these samples {} cannot be used and {} are too long", stage.bad, stage.too_long));
    }
    lines.extend(objective(stage));
    let peak = peak.map_or(String::new(), |peak| format!("; this process took {} at most", bytes(peak as usize)));
    lines.push(format!(
        "  memory: weights {}, gradients {}, moments {}{peak}",
        bytes(stage.weight_bytes),
        bytes(stage.gradient_bytes),
        bytes(stage.moment_bytes)
    ));
    if stage.feature_bytes > 0 {
        lines.push(format!(
            "  features of the frozen encoder: {} for all samples; at most {} are kept in memory, {} on disk",
            bytes(stage.feature_bytes as usize),
            bytes(stage.kept_bytes as usize),
            bytes(stage.disk_bytes as usize)
        ));
    }
    lines.push(match stage.step_seconds {
        Some(seconds) => format!(
            "  time: {seconds:.2} s a step (measured on {} samples), about {}",
            stage.measured_samples,
            duration(seconds * stage.steps as f64)
        ),
        None => "  time: unknown, because no sample was of use".to_string(),
    });
    lines.join("\n") + "\n"
}

/// What is learned of pairs of preferences, and what the reference costs.
fn objective(stage: &StageEstimate) -> Option<String> {
    let Some(reference) = &stage.reference else {
        let pairs = stage.pairs;
        let what = "only their chosen answers are learned, because the objective is cross-entropy";
        return (pairs > 0).then(|| format!("  of these samples {pairs} are pairs of preferences: {what}"));
    };
    let ReferenceEstimate { beta, is_stored, pairs, pair_seconds, file_bytes } = reference;
    let cost = match pair_seconds {
        Some(each) => {
            let all = each * *pairs as f64;
            format!("{each:.3} s a pair, about {}", if all < 1.0 { format!("{all:.2} s") } else { duration(all) })
        }
        None => "unknown, because no pair was of use".to_string(),
    };
    let how = match is_stored {
        true => format!("{pairs} pairs before the first step, {cost}, {} in reference/", bytes(*file_bytes as usize)),
        false => {
            format!("the model without its adapters, {pairs} pairs in each step, {cost} (part of the step's time)")
        }
    };
    Some(format!("  objective: preferences (DPO, beta {beta}); the reference: {how}"))
}

fn count(values: usize) -> String {
    match values {
        0..10_000 => values.to_string(),
        10_000..10_000_000 => format!("{:.1} thousand", values as f64 / 1e3),
        _ => format!("{:.1} million", values as f64 / 1e6),
    }
}

fn bytes(bytes: usize) -> String {
    if bytes < 1 << 30 { format!("{:.1} MB", bytes as f64 / 1e6) } else { format!("{:.2} GB", bytes as f64 / 1e9) }
}
