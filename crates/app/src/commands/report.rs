//! `zoetrope report FOLDER...`: the page of a training run, or of several compared.

use std::path::{Path, PathBuf};

use zoetrope_lab::train::report;

use crate::cli::{Common, ReportArgs};
use crate::failure::Failure;
use crate::output;

/// Page of several runs, in the working folder.
const COMPARISON: &str = "comparison.html";

/// Reads the metrics of the runs, writes the page and prints its path.
pub(crate) fn run(args: &ReportArgs, common: &Common) -> Result<(), Failure> {
    let folders: Vec<&Path> = args.folders.iter().map(PathBuf::as_path).collect();
    let page = match (&args.out, folders.as_slice()) {
        (Some(page), _) => page.clone(),
        (None, [folder]) => report::default_page(folder),
        (None, _) => PathBuf::from(COMPARISON),
    };
    report::write_report(&folders, &page)?;
    if common.json {
        return output::json(&serde_json::json!({ "report": page.display().to_string() }));
    }
    Ok(output::text(&format!("{}\n", page.display()))?)
}
