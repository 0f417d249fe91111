//! What a folder or file is that is no model here, and the way out: adapters, caches, other programs' formats.

use std::path::Path;

use serde_json::Value;

use super::adapter::ADAPTER_CONFIG;
use crate::checkpoint::Checkpoint;
use crate::error::{ModelError, ModelResult};

/// Names that are listed when nothing better can be said.
const LISTED: usize = 3;

impl Checkpoint {
    /// `config.json`, which every checkpoint has.
    ///
    /// # Errors
    /// [`ModelError::File`] when it is missing, with a word about what the folder then is.
    pub fn config(&self) -> ModelResult<Value> {
        self.json("config.json")?.ok_or_else(|| no_model(self))
    }
}

/// Refuses a checkpoint whose small files say that it is no model to be run here: an adapter, or weights that another
/// program has quantized.
///
/// # Errors
/// [`ModelError::Unsupported`].
pub(crate) fn check(checkpoint: &Checkpoint, config: &Value) -> ModelResult<()> {
    // Trainers put the configuration of the base beside an adapter; a merged model may keep the adapter's.
    let weights = ["model.safetensors", "pytorch_model.bin"];
    let is_whole = |name: &&str| checkpoint.has(name) || checkpoint.has(&format!("{name}.index.json"));
    let has_base = matches!(checkpoint, Checkpoint::Stage { .. });
    if let (Some(kind), false) = (adapter(checkpoint).filter(|_| !has_base), weights.iter().any(is_whole)) {
        return Err(ModelError::Unsupported(format!("{}: {kind}", checkpoint.path("").display())));
    }
    let quantized = &config["quantization_config"];
    if !quantized.is_object() {
        return Ok(());
    }
    let method = quantized["quant_method"].as_str().unwrap_or("another program");
    let file = checkpoint.path("config.json");
    let text = format!(
        "{}: weights quantized by {method}; take the original model, which --dtype int8 or int4 quantizes here",
        file.display()
    );
    Err(ModelError::Unsupported(text))
}

fn adapter(checkpoint: &Checkpoint) -> Option<String> {
    if !checkpoint.has(ADAPTER_CONFIG) {
        return None;
    }
    let config = checkpoint.json(ADAPTER_CONFIG).ok().flatten().unwrap_or_default();
    let base = config["base_model_name_or_path"].as_str().unwrap_or("another model");
    Some(format!(
        "an adapter (LoRA) of {base}, not a whole model; name the model that it was made from, too: --base {base}"
    ))
}

/// The error for a checkpoint without `config.json`: what it is instead.
fn no_model(checkpoint: &Checkpoint) -> ModelError {
    let place = match checkpoint {
        Checkpoint::Folder(folder) => folder.clone(),
        _ => checkpoint.path(""),
    };
    match (checkpoint, kind(checkpoint, &place)) {
        (_, Some(kind)) => ModelError::Unsupported(format!("{}: {kind}", place.display())),
        (Checkpoint::Folder(folder), None) if !folder.exists() => checkpoint.error("config.json", "no such folder"),
        _ => checkpoint.incomplete("config.json", "missing; this is not a model folder"),
    }
}

/// The error for a checkpoint without weights: what there is instead.
pub(crate) fn no_weights(checkpoint: &Checkpoint) -> ModelError {
    let found = |ending: &str| checkpoint.names().ok()?.into_iter().find(|name| name.ends_with(ending));
    match found(".gguf") {
        Some(gguf) => ModelError::Unsupported(format!(
            "{}: no weights but {gguf}; `zoetrope convert ORIGINAL OUT --language {gguf}` puts its language part into \
             the original model",
            checkpoint.path("").display()
        )),
        None => checkpoint.incomplete("model.safetensors", "weight file is missing from the model folder"),
    }
}

fn kind(checkpoint: &Checkpoint, place: &Path) -> Option<String> {
    if place.is_file() {
        return Some(match place.extension().and_then(|ending| ending.to_str()) {
            Some("gguf") => "a GGUF file, which holds a language model alone; `zoetrope convert MODEL OUT --language \
                             FILE` puts it into a whole model"
                .to_string(),
            _ => "a file; --model takes the folder that config.json lies in".to_string(),
        });
    }
    if let Some(adapter) = adapter(checkpoint) {
        return Some(adapter);
    }
    if checkpoint.has("model_index.json") {
        return Some("a pipeline of diffusers, not a video-language model".to_string());
    }
    let Checkpoint::Folder(folder) = checkpoint else { return None };
    let inside = |name: &str| folder.join(name).is_dir();
    if inside("snapshots") && (inside("refs") || inside("blobs")) {
        let name = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("models--"));
        let name = name.map_or("ORG/NAME".to_string(), |name| name.replacen("--", "/", 1));
        return Some(format!("a model's place in the cache of the Hugging Face hub; name it as {name}"));
    }
    if inside("manifests") && inside("blobs") {
        return Some("a store of Ollama, whose files are not read; take a model of the Hugging Face hub".to_string());
    }
    let mut folders: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    folders.sort();
    if folders.iter().any(|name| name.starts_with("models--")) {
        return Some("the cache of the Hugging Face hub; name one model of it, such as ORG/NAME".to_string());
    }
    folders.retain(|name| folder.join(name).join("config.json").is_file());
    // The newest of checkpoint-500 and checkpoint-1000 is the last by number.
    folders.sort_by_key(|name| (name.rsplit('-').next().and_then(|n| n.parse::<u64>().ok()), name.clone()));
    match &folders[..] {
        [] => None,
        [.., last] => {
            let names = folders.iter().rev().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
            Some(format!(
                "holds {} model folders ({names}); name one, such as {}",
                folders.len(),
                folder.join(last).display()
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loading;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        folder
    }

    #[test]
    fn what_is_no_model_is_named_with_the_way_out() {
        let lora = r#"{"base_model_name_or_path": "org/base"}"#;
        let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
        let quantized = r#"{"model_type": "video_llama_3", "quantization_config": {"quant_method": "awq"}}"#;
        type Files<'a> = &'a [(&'a str, &'a str)];
        let cases: [(Files<'_>, &[&str]); 12] = [
            (&[("adapter_config.json", lora)], &["adapter", "--base org/base"]),
            (&[("adapter_config.json", "{"), ("x.safetensors", "")], &["adapter", "another model"]),
            (
                &[("adapter_config.json", lora), ("config.json", r#"{"model_type": "video_llama_3"}"#)],
                &["adapter", "org/base"],
            ),
            (&[("config.json", lfs)], &["config.json", "git lfs pull"]),
            (&[("config.json", quantized)], &["quantized by awq", "original"]),
            (&[("snapshots/ab/config.json", "{}"), ("refs/main", "ab")], &["ORG/NAME"]),
            (&[("models--org--name/refs/main", "")], &["cache of the Hugging Face hub"]),
            (&[("manifests/a", ""), ("blobs/b", "")], &["Ollama"]),
            (&[("model_index.json", "{}")], &["diffusers"]),
            (
                &[("checkpoint-500/config.json", "{}"), ("checkpoint-1000/config.json", "{}")],
                &["2 model", "checkpoint-1000"],
            ),
            (&[("notes.txt", "")], &["config.json", "not a model folder"]),
            (&[("config.json", r#"{"model_type": "qwen2_5_vl"}"#)], &["qwen2_5_vl", "supported"]),
        ];
        for (files, words) in cases {
            let folder = folder(files);
            let text = loading::open_processor(&Checkpoint::from(folder.path())).err().unwrap().to_string();
            for word in words {
                assert!(text.contains(word), "{files:?}: {text}");
            }
        }
        let gguf = folder(&[("a.gguf", "GGUF")]);
        let text = no_model(&Checkpoint::Folder(gguf.path().join("a.gguf"))).to_string();
        assert!(text.contains("GGUF") && text.contains("--language"), "{text}");
        assert!(no_weights(&Checkpoint::from(gguf.path())).to_string().contains("a.gguf"));
        assert!(no_model(&Checkpoint::Folder(gguf.path().join("none"))).to_string().contains("no such folder"));
    }
}
