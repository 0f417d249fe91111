//! Checkpoints to processors and models, of whichever family their `config.json` names.

use std::path::Path;
use std::sync::Arc;

use candle_core::DType;
use zoetrope_kernels::gemm::WeightType;

use crate::checkpoint::Checkpoint;
use crate::contract::{Processor, VideoLanguageModel};
use crate::error::{ModelError, ModelResult};
use crate::families;
use crate::family::{Family, Implied};
use crate::folder::archives::{find_archives, implied_archives};
use crate::folder::kind;
use crate::folder::writer::{ModelFolder, check_place};
use crate::weights::{Archive, ConversionPlan, LoadOptions, RandomFor, Weights};

/// The family of a checkpoint, from its small files alone: asked before its weights are fetched, too.
///
/// # Errors
/// [`ModelError::Unsupported`] with the families there are, for weights that another program has quantized, and for
/// what is no model: adapters, caches.
pub fn family(checkpoint: &Checkpoint) -> ModelResult<&'static Family> {
    let config = checkpoint.json("config.json")?;
    if let Some(config) = &config {
        kind::check(checkpoint, config)?;
        if let Some(family) = families::ALL.iter().find(|family| (family.matches)(config)) {
            return Ok(family);
        }
    }
    for family in families::ALL {
        if (family.implied)(checkpoint)?.is_some() {
            return Ok(family);
        }
    }
    let config = checkpoint.config()?;
    let model_type = config["model_type"].as_str().unwrap_or("(none)");
    let supported: Vec<&str> = families::ALL.iter().flat_map(|family| family.model_types).copied().collect();
    let (file, supported) = (checkpoint.path("config.json"), supported.join(", "));
    Err(ModelError::Unsupported(format!("{}: model_type {model_type:?}; supported: {supported}", file.display())))
}

/// What the names of a checkpoint's files imply, where its `config.json` is not the family's.
fn implied(checkpoint: &Checkpoint, family: &Family) -> ModelResult<Option<Implied>> {
    match checkpoint.json("config.json")? {
        Some(config) if (family.matches)(&config) => Ok(None),
        _ => (family.implied)(checkpoint),
    }
}

/// The weight files of a checkpoint, the first to be looked up first; none when there are none.
fn archives(checkpoint: &Checkpoint, family: &Family) -> ModelResult<Vec<Archive>> {
    let tables = (family.tables)(checkpoint)?;
    match implied(checkpoint, family)? {
        Some(implied) => implied_archives(checkpoint, &implied.files, &tables),
        None => find_archives(checkpoint, &tables),
    }
}

/// The same; an error when there are none.
fn some_archives(checkpoint: &Checkpoint, family: &Family) -> ModelResult<Vec<Archive>> {
    let all = archives(checkpoint, family)?;
    if all.is_empty() { Err(kind::no_weights(checkpoint)) } else { Ok(all) }
}

/// What needs no weights: plans, prompts, pictures.
///
/// # Errors
/// When a JSON file or the tokenizer is missing or damaged.
pub fn open_processor(checkpoint: &Checkpoint) -> ModelResult<Arc<dyn Processor>> {
    (family(checkpoint)?.processor)(checkpoint)
}

/// A model that says what it is and cannot run: of its weights only the headers are read. Without weight files the
/// numbers follow from the configuration.
///
/// # Errors
/// As [`open`].
pub fn open_listed(checkpoint: &Checkpoint, options: LoadOptions) -> ModelResult<Arc<dyn VideoLanguageModel>> {
    let family = family(checkpoint)?;
    let mut archives = archives(checkpoint, family)?;
    if archives.is_empty() {
        archives.push(Archive::random(0, RandomFor::Everything));
    }
    (family.model)(checkpoint, Weights::listed(archives, options)?)
}

/// A model with the weights of its checkpoint.
///
/// # Errors
/// When a file is missing or damaged, or `options` do not fit the weights or the device.
pub fn open(checkpoint: &Checkpoint, options: LoadOptions) -> ModelResult<Arc<dyn VideoLanguageModel>> {
    let family = family(checkpoint)?;
    let weights = Weights::open(some_archives(checkpoint, family)?, options)?;
    let model = (family.model)(checkpoint, weights.clone())?;
    weights.refuse_left_over()?;
    let unused = weights.unused();
    if let Some(first) = unused.first() {
        let folder = checkpoint.path("");
        tracing::warn!("{} tensors of {} are not used, such as {first}", unused.len(), folder.display());
    }
    Ok(model)
}

/// A model over the weights of other archives (from scratch, from a training checkpoint); configuration and tokenizer
/// come from `checkpoint`.
///
/// # Errors
/// As [`open`].
pub fn open_with(
    checkpoint: &Checkpoint,
    archives: Vec<Archive>,
    options: LoadOptions,
) -> ModelResult<Arc<dyn VideoLanguageModel>> {
    (family(checkpoint)?.model)(checkpoint, Weights::open(archives, options)?)
}

/// A model over `first`, which are looked up before the weights of `checkpoint`: what training has changed so far.
///
/// # Errors
/// As [`open`].
pub fn open_over(
    checkpoint: &Checkpoint,
    first: Vec<Archive>,
    options: LoadOptions,
) -> ModelResult<Arc<dyn VideoLanguageModel>> {
    (family(checkpoint)?.model)(checkpoint, weights_over(checkpoint, first, options)?)
}

/// A model of `checkpoint` whose language part's weights are those of a GGUF file, where one is given.
///
/// # Errors
/// As [`open`].
pub fn open_with_language(
    checkpoint: &Checkpoint,
    language: Option<&Path>,
    options: LoadOptions,
) -> ModelResult<Arc<dyn VideoLanguageModel>> {
    open_over(checkpoint, language_part(checkpoint, language)?, options)
}

/// The archive of a GGUF file, where one is given.
fn language_part(checkpoint: &Checkpoint, language: Option<&Path>) -> ModelResult<Vec<Archive>> {
    let tables = || (family(checkpoint)?.tables)(checkpoint);
    language.map(|file| Archive::gguf(file, &tables()?)).into_iter().collect()
}

/// The weights of such a model, to read single tensors.
///
/// # Errors
/// When a file is missing or damaged.
pub fn weights_over(checkpoint: &Checkpoint, first: Vec<Archive>, options: LoadOptions) -> ModelResult<Weights> {
    let mut archives = first;
    archives.extend(some_archives(checkpoint, family(checkpoint)?)?);
    Weights::open(archives, options)
}

/// Writes all weights of such a model to the new file `file`, as floats of the type `dtype` under our own names, which
/// are those of transformers. One tensor at a time is in memory.
///
/// # Errors
/// When a tensor is missing or damaged, which is checked first, and when the file cannot be written.
pub fn write_floats(checkpoint: &Checkpoint, first: Vec<Archive>, dtype: DType, file: &Path) -> ModelResult<()> {
    let family = family(checkpoint)?;
    let mut all = first;
    all.extend(archives(checkpoint, family)?);
    let weights = Weights::survey(all, WeightType::F32)?;
    let model = (family.model)(checkpoint, weights.clone())?;
    // The heads of a first stage go on with the model, where there are any.
    model.aligner(None)?;
    ConversionPlan::floats(&weights, dtype)?.write(file)
}

/// Quantizes a model: writes that of `checkpoint` to `out` with its matrices packed as `weight_type`, and everything
/// else that it needs; the new folder loads by mapping. Where a GGUF file is given as `language`, the language part's
/// weights are read from it. One tensor at a time is in memory.
///
/// # Errors
/// When `out` is neither new nor an empty folder, and when a tensor is missing, has another shape or type than the
/// configuration asks for, or is cut off; all of that is checked before anything is written.
pub fn convert(
    checkpoint: &Checkpoint,
    out: &Path,
    weight_type: WeightType,
    language: Option<&Path>,
) -> ModelResult<()> {
    check_place(checkpoint, out)?;
    let family = family(checkpoint)?;
    let mut archives = language_part(checkpoint, language)?;
    archives.extend(some_archives(checkpoint, family)?);
    let weights = Weights::survey(archives, weight_type)?;
    (family.model)(checkpoint, weights.clone())?;
    let plan = ConversionPlan::new(&weights)?;
    let folder = ModelFolder::begin(checkpoint, out)?;
    if let Some(implied) = implied(checkpoint, family)? {
        folder.write_config(&implied.config)?;
    }
    plan.write(&folder.path().join("model.safetensors"))?;
    folder.finish()
}
