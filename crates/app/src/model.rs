//! Which checkpoint: a folder, a name on the hub, or the embedded default.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zoetrope_hub::{DownloadProgress, Extent, HubOptions, Preview, Retry, Watch};
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
    /// Its files.
    pub(crate) checkpoint: Checkpoint,
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
    let checkpoint = outline(args.model.as_deref(), bars)?;
    bars.spin(format!("making {name}"));
    let model = loading::open_with(&checkpoint, vec![Archive::random(0, RandomFor::Everything)], options)?;
    bars.clear();
    Ok(Loaded { name, model, checkpoint })
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
    Ok(Loaded { name, model, checkpoint })
}

/// What the user's model is called.
pub(crate) fn shown(name: Option<&str>) -> String {
    name.unwrap_or("zoetrope-nano").to_string()
}

/// The checkpoint that is named by folder or by hub name (downloaded when the cache does not have it); the embedded one
/// for `None`.
pub(crate) fn checkpoint(name: Option<&str>, bars: &mut Bars) -> Result<Checkpoint, Failure> {
    resolve(name, Extent::Whole, bars)
}

/// As [`checkpoint`], without weights that are not there yet: configuration, tokenizer, templates.
pub(crate) fn outline(name: Option<&str>, bars: &mut Bars) -> Result<Checkpoint, Failure> {
    resolve(name, Extent::Outline, bars)
}

fn resolve(name: Option<&str>, extent: Extent, bars: &mut Bars) -> Result<Checkpoint, Failure> {
    let Some(name) = name else { return Ok(EMBEDDED) };
    let options = HubOptions::from_env()?;
    let folder = zoetrope_hub::resolve(name, extent, &options, &mut Watcher(bars))?;
    bars.clear();
    Ok(Checkpoint::Folder(folder))
}

/// A checkpoint to look at: weights that are not there yet are stood for by their headers.
pub(crate) struct Previewed {
    /// The checkpoint.
    pub(crate) checkpoint: Checkpoint,
    /// Keeps the folder.
    _preview: Option<Preview>,
}

/// The checkpoint that is named by folder or by hub name, without fetching weights; the embedded one for `None`.
pub(crate) fn preview(name: Option<&str>, bars: &mut Bars) -> Result<Previewed, Failure> {
    let Some(name) = name else { return Ok(Previewed { checkpoint: EMBEDDED, _preview: None }) };
    let preview = zoetrope_hub::preview(name, &HubOptions::from_env()?, &mut Watcher(bars))?;
    bars.clear();
    Ok(Previewed { checkpoint: Checkpoint::Folder(preview.folder().to_path_buf()), _preview: Some(preview) })
}

/// Downloads a model into the cache, or its newest revision.
pub(crate) fn download(name: &str, bars: &mut Bars) -> Result<PathBuf, Failure> {
    bars.spin(format!("asking for {name}"));
    let folder = zoetrope_hub::pull(name, &HubOptions::from_env()?, &mut Watcher(bars))?;
    bars.clear();
    Ok(folder)
}

/// Shows a download, and refuses models that cannot run here before their weights are fetched.
struct Watcher<'b>(&'b mut Bars);

impl Watch for Watcher<'_> {
    fn progress(&mut self, progress: DownloadProgress) {
        self.0.bytes(&progress.file, progress.done, progress.total);
    }

    fn retry(&mut self, retry: Retry<'_>) {
        let Retry { url, why, pause, attempt, most } = retry;
        let seconds = pause.as_secs_f32();
        self.0.say(&format!("{url}: {why}; attempt {attempt} of {most} in {seconds:.1} s"));
    }

    fn admit(&mut self, folder: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
        loading::family(&Checkpoint::from(folder))?;
        Ok(())
    }
}
