//! Which checkpoint: a folder, a name on the hub, or the embedded default.

use std::path::PathBuf;
use std::sync::Arc;

use zoetrope_hub::HubOptions;
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::loading;
use zoetrope_models::weights::{Archive, LoadOptions, RandomFor};

use crate::cli::ModelArgs;
use crate::embedded::EMBEDDED;
use crate::failure::Failure;
use crate::progress::Bars;

/// A model ready for questions.
pub(crate) struct Loaded {
    /// As the user calls it.
    pub(crate) name: String,
    /// The model.
    pub(crate) model: Arc<dyn VideoLanguageModel>,
}

/// Loads the model that the user named, or the embedded one; shows what takes time.
pub(crate) fn load(args: &ModelArgs, bars: &mut Bars) -> Result<Loaded, Failure> {
    // A device that there is not is told before anything is downloaded.
    open(args.model.as_deref(), args.load_options()?, bars)
}

/// The user's model with random weights: of the checkpoint only configuration and tokenizer are read.
pub(crate) fn load_random(args: &ModelArgs, bars: &mut Bars) -> Result<Loaded, Failure> {
    let name = format!("{} (random weights)", shown(args.model.as_deref()));
    let options = args.load_options()?;
    let checkpoint = checkpoint(args.model.as_deref(), bars)?;
    bars.spin(format!("making {name}"));
    let model = loading::open_with(&checkpoint, vec![Archive::random(0, RandomFor::Everything)], options)?;
    bars.clear();
    Ok(Loaded { name, model })
}

/// Loads a model by folder or name; the embedded one for `None`.
pub(crate) fn open(named: Option<&str>, options: LoadOptions, bars: &mut Bars) -> Result<Loaded, Failure> {
    let name = shown(named);
    let checkpoint = checkpoint(named, bars)?;
    if named.is_some() {
        bars.spin(format!("loading {name}"));
    }
    let model = loading::open(&checkpoint, options)?;
    bars.clear();
    Ok(Loaded { name, model })
}

/// What the user's model is called.
pub(crate) fn shown(name: Option<&str>) -> String {
    name.unwrap_or("zoetrope-nano").to_string()
}

/// The checkpoint that is named by folder or by hub name (downloaded when the cache does not have it); the embedded one
/// for `None`.
pub(crate) fn checkpoint(name: Option<&str>, bars: &mut Bars) -> Result<Checkpoint, Failure> {
    name.map_or(Ok(EMBEDDED), |name| folder(name, bars).map(Checkpoint::Folder))
}

fn folder(name: &str, bars: &mut Bars) -> Result<PathBuf, Failure> {
    let options = HubOptions::from_env();
    match zoetrope_hub::cached(name, &options)? {
        Some(folder) => Ok(folder),
        None => download(name, &options, bars),
    }
}

/// Downloads a model into the cache.
pub(crate) fn download(name: &str, options: &HubOptions, bars: &mut Bars) -> Result<PathBuf, Failure> {
    bars.spin(format!("asking for {name}"));
    let mut show = |file: zoetrope_hub::DownloadProgress| bars.bytes(&file.file, file.done, file.total);
    let folder = zoetrope_hub::pull(name, options, &mut show)?;
    bars.clear();
    Ok(folder)
}
