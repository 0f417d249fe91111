//! `zoetrope pull NAME`.

use crate::cli::{Common, PullArgs};
use crate::failure::Failure;
use crate::model;
use crate::output;
use crate::progress::Bars;

/// Downloads a model into the Hugging Face cache, or the newest revision of one that is there; prints its folder.
pub(crate) fn run(args: &PullArgs, common: &Common) -> Result<(), Failure> {
    let folder = model::download(&args.name, &mut Bars::new(common))?;
    if common.json {
        return output::json(&serde_json::json!({ "model": args.name, "folder": folder.display().to_string() }));
    }
    Ok(output::text(&format!("{}\n", folder.display()))?)
}
