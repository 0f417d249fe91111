//! Stage files: published checkpoints that are a few `.pth` files beside or over a language model, without a
//! `config.json` of their own.

use serde_json::{Map, Value, json};

use crate::checkpoint::Checkpoint;
use crate::error::ModelResult;
use crate::family::Implied;

/// The family's name, and its `model_type`.
pub(super) const NAME: &str = "videochat2";

/// The file of the first stage: encoder and Q-Former.
const FIRST: &str = "umt_l16_qformer.pth";

/// What the names of the files in a folder imply; `None` when none is a stage of this family.
///
/// A later stage holds newer values of what the earlier ones hold, so files are looked up from the last stage to the
/// first. The configuration of the language model, where it lies beside them, says its sizes.
///
/// # Errors
/// When the folder or that configuration cannot be read.
pub(super) fn implied(checkpoint: &Checkpoint) -> ModelResult<Option<Implied>> {
    let mut files: Vec<(u32, String)> =
        checkpoint.names()?.into_iter().filter_map(|name| Some((stage(&name)?, name))).collect();
    // The first stage alone is no model that speaks, but says what is missing.
    files.sort_by(|a, b| b.cmp(a));
    let Some((_, newest)) = files.first() else { return Ok(None) };
    let name = newest.to_lowercase();
    let class = match (name.contains("mistral"), name.contains("phi")) {
        (true, _) if name.contains("hd") => "VideoChat2_it_hd_mistral",
        (true, _) => "VideoChat2_it_mistral",
        (_, true) => "VideoChat2_it_phi",
        _ => "VideoChat2_it_vicuna",
    };
    let mut config = Map::new();
    config.insert("model_type".to_string(), json!(NAME));
    let mut model = json!({"model_cls": class});
    if name.contains("hd") {
        model["dynamic_config"] = json!({"local_size": 224, "hd_num": 6, "padding": false, "add_global": true});
    }
    config.insert("model_config".to_string(), model);
    if let Some(base) = checkpoint.json("config.json")?.filter(|base| base["hidden_size"].is_number()) {
        config.insert("llm_config".to_string(), base);
    }
    let files = files.into_iter().map(|(_, name)| name).collect();
    Ok(Some(Implied { config: Value::Object(config), files }))
}

/// The stage that a file holds, by its name: `videochat2_7b_stage3.pth`, `videochat2_hd_mistral_7b_stage4.pth`.
fn stage(file: &str) -> Option<u32> {
    if file == FIRST {
        return Some(1);
    }
    let name = file.to_lowercase();
    let stem = [".pth", ".pt", ".bin"].iter().find_map(|ending| name.strip_suffix(ending))?;
    if !stem.starts_with(NAME) {
        return None;
    }
    let (_, after) = stem.rsplit_once("stage")?;
    after.parse().ok()
}
