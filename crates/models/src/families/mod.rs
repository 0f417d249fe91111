//! The model families. One folder and one line in [`open`] each.

pub mod videollama3;

use std::path::Path;

use candle_core::Device;
pub use zoetrope_kernels::packed::Kind;

use crate::contract::VideoLanguageModel;
use crate::error::ModelError;
pub use crate::parts::cache::KvDtype;
pub use crate::parts::precision::{Dtypes, Precision};
use crate::parts::save;
use crate::parts::weights::Weights;

/// Loads a checkpoint folder of whichever family its `config.json` names. Packed matrices, and keys and values in int8,
/// need the CPU.
pub fn open(
    folder: &Path,
    dtypes: impl Into<Dtypes>,
    device: &Device,
) -> Result<Box<dyn VideoLanguageModel>, ModelError> {
    match family(folder)? {
        Family::VideoLlama3 => Ok(Box::new(videollama3::VideoLlama3::open(folder, dtypes, device)?)),
    }
}

/// Writes the model of `folder` to `out` with its matrices packed as `kind`, and everything else that it needs; the
/// new folder loads by mapping. Where a GGUF file is given as `language`, the language part's weights are read from it.
/// One tensor at a time is in memory.
///
/// # Errors
/// When `out` holds a model already, and when a tensor is missing, has another shape or type than the configuration of
/// `folder` asks for, or is cut off; all of that is checked before anything is written.
pub fn convert(folder: &Path, out: &Path, kind: Kind, language: Option<&Path>) -> Result<(), ModelError> {
    let wrong = |file: &Path, error: std::io::Error| ModelError::File { file: file.into(), what: error.to_string() };
    let file = out.join("model.safetensors");
    if file.exists() {
        let what = "exists already; name another folder, or remove it first".to_string();
        return Err(ModelError::File { file, what });
    }
    let weights = match family(folder)? {
        Family::VideoLlama3 => videollama3::VideoLlama3::list(folder, kind, language)?,
    };
    let tensors = weights.found()?;
    std::fs::create_dir_all(out).map_err(|error| wrong(out, error))?;
    for entry in std::fs::read_dir(folder).map_err(|error| wrong(folder, error))? {
        let from = entry.map_err(|error| wrong(folder, error))?.path();
        let index = from.ends_with("model.safetensors.index.json");
        let small = from.extension().is_some_and(|e| ["json", "jinja", "txt", "md"].iter().any(|own| e == *own));
        if let Some(name) = from.file_name().filter(|_| small && !index) {
            std::fs::copy(&from, out.join(name)).map_err(|error| wrong(&from, error))?;
        }
    }
    save::write(&tensors, &file)
}

/// Loads a checkpoint folder as f32 variables, to go on training it; the variables are those of the weights.
pub fn open_to_train(folder: &Path, device: &Device) -> Result<(Box<dyn VideoLanguageModel>, Weights), ModelError> {
    match family(folder)? {
        Family::VideoLlama3 => {
            let model = videollama3::VideoLlama3::open_to_train(folder, device)?;
            let weights = model.weights().clone();
            Ok((Box::new(model), weights))
        }
    }
}

/// A model over `weights` (to train, say); configuration, tokenizer and template come from `folder`.
pub fn over(folder: &Path, weights: Weights) -> Result<Box<dyn VideoLanguageModel>, ModelError> {
    match family(folder)? {
        Family::VideoLlama3 => {
            let config = videollama3::Config::load(folder)?;
            Ok(Box::new(videollama3::VideoLlama3::load(folder, config, weights, "transformers")?))
        }
    }
}

/// A model without weights that plans, prepares frames and writes prompts: all it needs are the JSON files of `folder`.
/// It counts the memory of keys and values as a model that is opened with `dtypes` holds them.
pub fn outline(folder: &Path, dtypes: Dtypes, device: &Device) -> Result<Box<dyn VideoLanguageModel>, ModelError> {
    over(folder, Weights::hollow(folder, dtypes, device))
}

enum Family {
    VideoLlama3,
}

fn family(folder: &Path) -> Result<Family, ModelError> {
    let file = folder.join("config.json");
    let wrong = |what: String| ModelError::File { file: file.clone(), what };
    let text = std::fs::read_to_string(&file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound if folder.is_dir() => wrong("missing; this is not a model folder".to_string()),
        _ => wrong(error.to_string()),
    })?;
    let config: serde_json::Value = serde_json::from_str(&text).map_err(|e| wrong(format!("not valid JSON: {e}")))?;
    if videollama3::Config::claims(&config) {
        return Ok(Family::VideoLlama3);
    }
    let kind = config["model_type"].as_str().unwrap_or("(none)");
    let supported = "supported: video_llama_3, videollama3_qwen2";
    Err(ModelError::Unsupported(format!("{}: model type {kind}; {supported}", file.display())))
}
