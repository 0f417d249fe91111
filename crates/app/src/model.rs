//! Which model: a folder, a name on the hub, or the embedded default.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::families::{self, Dtypes, KvDtype};
use zoetrope_models::hub::{self, HubOptions};

use crate::cli::{KvCacheDtype, ModelArgs, Precision};
use crate::embedded;
use crate::failure::Failure;
use crate::progress::Bars;

/// The name of the embedded model.
const EMBEDDED: &str = "zoetrope-nano";

/// A model ready for questions.
pub(crate) struct Loaded {
    /// As the user calls it.
    pub(crate) name: String,
    /// The model.
    pub(crate) model: Box<dyn VideoLanguageModel>,
}

/// Loads the model that the user named, or the embedded one; shows what takes time.
pub(crate) fn load(args: &ModelArgs, bars: &mut Bars) -> Result<Loaded, Failure> {
    open(args.model.as_deref(), dtypes(args), bars)
}

/// What the user's words mean to the models.
fn dtypes(args: &ModelArgs) -> Dtypes {
    Dtypes { weights: held(args.dtype), kv_cache: kept(args.kv_cache_dtype) }
}

/// Loads a model by folder or name; the embedded one for `None`.
pub(crate) fn open(name: Option<&str>, dtypes: Dtypes, bars: &mut Bars) -> Result<Loaded, Failure> {
    let shown = name.unwrap_or(EMBEDDED);
    let load = |folder: &Path| families::open(folder, dtypes, &Device::Cpu);
    let model = match name {
        Some(name) => {
            let folder = folder(name, bars)?;
            bars.spin(format!("loading {shown}"));
            load(&folder)?
        }
        None => load(embedded::unpack()?.path())?,
    };
    bars.clear();
    Ok(Loaded { name: shown.to_string(), model })
}

/// The model without its weights, for what needs none: planning, preparing frames, writing prompts.
pub(crate) fn outline(args: &ModelArgs, bars: &mut Bars) -> Result<Loaded, Failure> {
    let bare = |folder: &Path| families::outline(folder, dtypes(args), &Device::Cpu);
    let model = match &args.model {
        Some(name) => bare(&folder(name, bars)?)?,
        None => bare(embedded::unpack()?.path())?,
    };
    Ok(Loaded { name: args.model.as_deref().unwrap_or(EMBEDDED).to_string(), model })
}

/// The folder of a model that is named by folder or by hub name; fetched when the cache does not have it.
pub(crate) fn folder(name: &str, bars: &mut Bars) -> Result<PathBuf, Failure> {
    let options = HubOptions::from_env();
    match hub::cached(name, &options)? {
        Some(folder) => Ok(folder),
        None => fetch(name, &options, bars),
    }
}

/// Downloads a model into the cache.
pub(crate) fn fetch(name: &str, options: &HubOptions, bars: &mut Bars) -> Result<PathBuf, Failure> {
    bars.spin(format!("asking for {name}"));
    let folder = hub::pull(name, options, &mut |progress| bars.bytes(&progress.file, progress.done, progress.total))?;
    bars.clear();
    Ok(folder)
}

/// How matrices are held.
fn held(precision: Precision) -> families::Precision {
    match precision {
        Precision::Auto => families::Precision::Auto,
        Precision::F32 => DType::F32.into(),
        Precision::Bf16 => families::Precision::Packed(families::Kind::Bf16),
        Precision::Int8 => families::Precision::Packed(families::Kind::Int8),
        Precision::Int4 => families::Precision::Packed(families::Kind::Int4),
    }
}

/// The same of keys and values; `None` leaves it to the model.
fn kept(dtype: KvCacheDtype) -> Option<KvDtype> {
    match dtype {
        KvCacheDtype::Auto => None,
        KvCacheDtype::F32 => Some(DType::F32.into()),
        KvCacheDtype::Bf16 => Some(DType::BF16.into()),
        KvCacheDtype::Int8 => Some(KvDtype::Int8),
    }
}
