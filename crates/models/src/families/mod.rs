//! The model families. One folder and one line in [`open`] each.

pub mod videollama3;

use std::path::Path;

use candle_core::{DType, Device};

use crate::contract::VideoLanguageModel;
use crate::error::ModelError;
use crate::parts::weights::Weights;

/// Loads a checkpoint folder of whichever family its `config.json` names.
pub fn open(folder: &Path, dtype: DType, device: &Device) -> Result<Box<dyn VideoLanguageModel>, ModelError> {
    match family(folder)? {
        Family::VideoLlama3 => Ok(Box::new(videollama3::VideoLlama3::open(folder, dtype, device)?)),
    }
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
pub fn outline(folder: &Path, dtype: DType, device: &Device) -> Result<Box<dyn VideoLanguageModel>, ModelError> {
    over(folder, Weights::hollow(dtype, device))
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
