//! `zoetrope families`: which families of models run here, and what each can be given.

use serde::Serialize;
use zoetrope_models::families;
use zoetrope_models::family::{Abilities, Published};

use crate::cli::Common;
use crate::failure::Failure;
use crate::output;

/// One family of the list that `--json` prints.
#[derive(Serialize)]
struct FamilyRow {
    family: &'static str,
    #[serde(flatten)]
    abilities: Abilities,
    checkpoints: &'static [Published],
}

/// Prints the families.
pub(crate) fn run(common: &Common) -> Result<(), Failure> {
    let rows = families::ALL.iter().map(|family| FamilyRow {
        family: family.name,
        abilities: family.abilities,
        checkpoints: family.published,
    });
    let rows: Vec<FamilyRow> = rows.collect();
    if common.json {
        return output::json(&serde_json::json!({ "families": rows }));
    }
    Ok(output::text(&rows.iter().map(described).collect::<Vec<_>>().join("\n"))?)
}

fn described(row: &FamilyRow) -> String {
    let Abilities { images, several, video, frames, sampling, tokens, context, times } = row.abilities;
    let takes: Vec<&str> = [(images, "a picture"), (several, "several"), (video, "video")]
        .into_iter()
        .filter_map(|(can, what)| can.then_some(what))
        .collect();
    let lines = [
        ("takes", takes.join(", ")),
        ("frames", frames.to_string()),
        ("sampling", sampling.to_string()),
        ("visual tokens", tokens.to_string()),
        ("positions", context.to_string()),
        ("times", times.to_string()),
    ];
    let mut text = format!("{}\n", row.family);
    for (name, value) in lines {
        text.push_str(&format!("  {name:<14}{value}\n"));
    }
    for (at, checkpoint) in row.checkpoints.iter().enumerate() {
        let name = if at == 0 { "checkpoints" } else { "" };
        text.push_str(&format!("  {name:<14}{}\n", checkpoint.name));
        if !checkpoint.needs.is_empty() {
            text.push_str(&format!("  {:<16}needs {}\n", "", checkpoint.needs));
        }
    }
    text
}
