//! `zoetrope info MODEL`: what a checkpoint is and which settings it has.

use std::fmt::Write;

use serde::Serialize;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::model_info::{GenerationDefaults, ModelInfo};
use zoetrope_models::contract::settings::Setting;
use zoetrope_models::weights::{LoadOptions, Precision, WeightSummary};

use crate::cli::{Common, InfoArgs};
use crate::failure::Failure;
use crate::model;
use crate::output;
use crate::progress::Bars;

/// The object that `--json` prints.
#[derive(Serialize)]
struct InfoOutput<'a> {
    model: &'a str,
    family: &'static str,
    weights: &'a WeightSummary,
    vocabulary: usize,
    hidden: usize,
    max_positions: usize,
    kv_cache: &'static str,
    cache_bytes_per_token: usize,
    settings: &'a [Setting],
    generation: &'a GenerationDefaults,
    details: &'a [(String, String)],
}

/// Prints what the model is.
pub(crate) fn run(args: &InfoArgs, common: &Common) -> Result<(), Failure> {
    let name = model::shown(args.model.as_deref());
    let preview = model::preview(args.base.under(args.model.as_deref()), &mut Bars::new(common))?;
    let model = preview.open(LoadOptions::cpu(Precision::Auto))?;
    let (summary, info) = (model.weights().summary(), model.processor().info());
    let output = output_of(&name, model.as_ref(), &summary, info);
    if common.json { output::json(&output) } else { Ok(output::text(&table(&output))?) }
}

fn output_of<'a>(
    name: &'a str,
    model: &dyn VideoLanguageModel,
    weights: &'a WeightSummary,
    info: &'a ModelInfo,
) -> InfoOutput<'a> {
    let kv_dtype = model.weights().kv_dtype();
    InfoOutput {
        model: name,
        family: info.family,
        weights,
        vocabulary: info.vocabulary,
        hidden: info.hidden,
        max_positions: info.max_positions,
        kv_cache: kv_dtype.name(),
        cache_bytes_per_token: info.kv.bytes_per_token(kv_dtype),
        settings: &info.settings,
        generation: &info.generation,
        details: &info.details,
    }
}

fn table(info: &InfoOutput<'_>) -> String {
    let parameters = &info.weights.parameters;
    let total: usize = parameters.iter().map(|(_, n)| n).sum();
    let layouts = match &info.weights.layouts[..] {
        [] => "no weights here".to_string(),
        layouts => format!("{} layout", layouts.join(", ")),
    };
    let mut rows = vec![
        ("model".to_string(), info.model.to_string()),
        ("family".to_string(), format!("{} ({layouts})", info.family)),
        ("parameters".to_string(), millions(total)),
    ];
    rows.extend(parameters.iter().map(|(group, n)| (format!("  {}", group.name()), millions(*n))));
    rows.push(("weights".to_string(), info.weights.held_as.to_string()));
    rows.push(("vocabulary".to_string(), format!("{} rows", info.vocabulary)));
    rows.push(("positions".to_string(), info.max_positions.to_string()));
    rows.push(("cache".to_string(), format!("{} bytes a token, {}", info.cache_bytes_per_token, info.kv_cache)));
    rows.extend(info.details.iter().cloned());
    let setting = |setting: &Setting| {
        (format!("--set {}", setting.name), format!("{} [default: {}]", setting.meaning, setting.default))
    };
    rows.extend(info.settings.iter().map(setting));
    let width = rows.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    rows.iter().fold(String::new(), |mut text, (key, value)| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{key:width$}  {value}");
        text
    })
}

fn millions(n: usize) -> String {
    if n < 10_000 { n.to_string() } else { format!("{:.2} million ({n})", n as f64 / 1e6) }
}
