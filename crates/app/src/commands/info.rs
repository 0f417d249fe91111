//! `zoetrope info MODEL`.

use std::fmt::Write;

use zoetrope_models::contract::ModelInfo;
use zoetrope_models::families::Precision;

use crate::cli::{Common, InfoArgs};
use crate::failure::Failure;
use crate::model;
use crate::output;
use crate::progress::Bars;

/// Prints what the model is.
pub(crate) fn run(args: &InfoArgs, common: &Common) -> Result<(), Failure> {
    let loaded = model::open(args.model.as_deref(), Precision::Auto.into(), &mut Bars::new(common))?;
    let info = loaded.model.info();
    if common.json { output::json(&info) } else { Ok(output::text(&table(&loaded.name, &info))?) }
}

fn table(name: &str, info: &ModelInfo) -> String {
    let total: usize = info.parameters.iter().map(|(_, n)| n).sum();
    let mut rows = vec![
        ("model".to_string(), name.to_string()),
        ("family".to_string(), format!("{} ({} layout)", info.family, info.layout)),
        ("parameters".to_string(), millions(total)),
    ];
    rows.extend(info.parameters.iter().map(|(part, n)| (format!("  {part}"), millions(*n))));
    rows.push(("weights".to_string(), info.weights.clone()));
    rows.push(("vocabulary".to_string(), format!("{} rows", info.vocabulary)));
    rows.push(("positions".to_string(), info.max_positions.to_string()));
    rows.push(("cache".to_string(), format!("{} bytes a token, {}", info.cache_bytes_per_token, info.kv_cache)));
    rows.extend(info.details.iter().cloned());
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
