//! `zoetrope families`: which families of models run here, and what each can be given.

use serde::Serialize;
use zoetrope_models::families;
use zoetrope_models::family::{Abilities, Published};

use crate::cli::Common;
use crate::failure::Failure;
use crate::output;

/// Heads of the table's columns.
const COLUMNS: [&str; 7] = ["family", "images", "several", "video", "frames", "positions", "times"];

/// One family of the list that `--json` prints.
#[derive(Serialize)]
struct FamilyRow {
    family: &'static str,
    #[serde(flatten)]
    abilities: Abilities,
    checkpoints: &'static [Published],
}

/// Prints the families: a table, then how each sees media and its checkpoints.
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
    let mut text = table(&rows);
    rows.iter().for_each(|row| text.push_str(&details(row)));
    Ok(output::text(&text)?)
}

fn table(rows: &[FamilyRow]) -> String {
    let yes = |can: bool| if can { "yes" } else { "no" };
    let cells = |row: &FamilyRow| {
        let Abilities { images, several, video, frames, context, times, .. } = row.abilities;
        [row.family, yes(images), yes(several), yes(video), frames, context, times]
    };
    let lines: Vec<[&str; 7]> = std::iter::once(COLUMNS).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let line = |cells: &[&str; 7]| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    lines.iter().map(line).collect()
}

fn details(row: &FamilyRow) -> String {
    let Abilities { sampling, tokens, .. } = row.abilities;
    let mut text = format!("\n{}\n  sampling       {sampling}\n  visual tokens  {tokens}\n", row.family);
    let mut last = "";
    for (at, checkpoint) in row.checkpoints.iter().enumerate() {
        let name = if at == 0 { "checkpoints" } else { "" };
        text.push_str(&format!("  {name:<15}{}\n", checkpoint.name));
        if !checkpoint.needs.is_empty() && checkpoint.needs != last {
            text.push_str(&format!("  {:<15}  needs {}\n", "", checkpoint.needs));
        }
        last = checkpoint.needs;
    }
    text
}
