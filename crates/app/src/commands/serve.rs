//! `zoetrope serve`: the HTTP server.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use zoetrope_engine::{EngineOptions, Limits, ServiceOptions};
use zoetrope_hub::fetch::FetchLimits;
use zoetrope_serve::{LoadedModel, Loader, ModelName, SandboxOptions, ServeOptions};
use zoetrope_system::process_memory;

use super::request::limits;
use super::stored::{feature_index, open_store, with_store};
use crate::cli::{Common, ModelSource, ServeArgs};
use crate::embedded::EMBEDDED_NAME;
use crate::failure::Failure;
use crate::model;
use crate::progress::Bars;
use crate::terminal;

/// Bytes of the pixels of one picture: a sender pays little for many.
const PICTURE_BYTES: u64 = 192 << 20;
/// Rows of a step: fewer than alone, so that a short question does not wait long for a step that reads a film.
const STEP_ROWS: usize = 256;

/// Serves until it is told to end.
pub(crate) fn run(args: &ServeArgs, common: &Common) -> Result<(), Failure> {
    let memory = process_memory::total().unwrap_or(8 << 30);
    let limits = server_limits(args, common);
    let cache_bytes = args.cache_memory.map_or((memory / 4).min(8 << 30), |mb| mb << 20);
    let limits = Limits { cache_bytes, ..limits };
    let service = ServiceOptions {
        engine: EngineOptions {
            max_sequences: args.max_sequences,
            step_rows: STEP_ROWS,
            cache_bytes,
            prefix_bytes: cache_bytes / 2,
            encode_beside: true,
        },
        media_bytes: (memory / 16).min(1 << 30),
        encode_at_once: 4,
        wall_time: Duration::from_secs(args.request_time as u64),
    };
    let own = args.model.model.clone();
    let name = |source: Option<OsString>| ModelName { id: id_of(source.as_deref()), source };
    let models: Vec<ModelName> =
        std::iter::once(own).chain(args.also_model.iter().cloned().map(Some)).map(name).collect();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let options = ServeOptions {
        address: SocketAddr::new(args.host, args.port),
        models,
        loader: loader(args, common, &limits)?,
        api_key: args.api_key.clone(),
        hosts: args.allow_host.clone(),
        origins: args.allow_origin.clone(),
        media_root: args.media_root.clone(),
        limits,
        service,
        threads: common.threads.unwrap_or(cores),
        requests: args.max_requests,
        weight_bytes: args.model_memory.map_or(memory / 2, |gb| gb << 30),
        file_bytes: (args.max_file as u64) << 20,
        spool_bytes: (args.max_files as u64) << 20,
        fetch: FetchLimits {
            bytes: (args.max_fetch as u64) << 20,
            domains: args.fetch_domain.clone(),
            allow_private: args.fetch_private,
            ..FetchLimits::default()
        },
        sandbox: (!args.no_sandbox).then(SandboxOptions::default),
        body_bytes: args.max_body << 20,
        frames: args.max_frames,
        drain: Duration::from_secs(args.drain_time as u64),
    };
    if !args.host.is_loopback() && args.api_key.is_none() {
        terminal::note("anyone who reaches this machine can ask: --api-key asks them for a key");
    }
    let quiet = common.quiet;
    zoetrope_serve::run(options, |address| {
        if !quiet {
            terminal::note(&format!("listening on http://{address}"));
        }
    })
    .map_err(|error| Failure::new(error.to_string()))
}

/// Limits of one request, which may come from anybody.
fn server_limits(args: &ServeArgs, common: &Common) -> Limits {
    let mut limits = Limits { answer_tokens: args.max_new_tokens, ..limits(common) };
    limits.files.limits.file_bytes = (args.max_file as u64) << 20;
    limits.files.limits.picture_bytes = PICTURE_BYTES;
    limits.files.limits.pixels = PICTURE_BYTES / 3;
    limits.files.limits.child_time = Duration::from_secs(120);
    limits
}

/// What a model is called in requests: its name on the hub, or the last part of its folder.
fn id_of(source: Option<&OsStr>) -> String {
    let Some(source) = source else { return EMBEDDED_NAME.to_string() };
    let path = std::path::Path::new(source);
    match path.is_dir() {
        true => path.canonicalize().ok().and_then(|whole| Some(whole.file_name()?.to_string_lossy().into_owned())),
        false => None,
    }
    .unwrap_or_else(|| source.to_string_lossy().into_owned())
}

fn loader(args: &ServeArgs, common: &Common, limits: &Limits) -> Result<Loader, Failure> {
    let options = args.model.load_options()?;
    let (base, adapter, own) =
        (args.model.base.base.clone(), args.model.base.adapter.clone(), args.model.model.clone());
    let (limits, common) = (limits.clone(), common.clone());
    let store = if args.no_cache { None } else { open_store() };
    Ok(Arc::new(move |source: Option<&OsStr>| {
        // Base and adapter belong to the first model.
        let of_first = |other: &'_ Option<OsString>| other.clone().filter(|_| source == own.as_deref());
        let (base, adapter) = (of_first(&base), of_first(&adapter));
        let source = ModelSource { name: source, base: base.as_deref(), adapter: adapter.as_deref() };
        let loaded = model::open(source, options.clone(), &mut Bars::new(&common));
        let loaded = loaded.map_err(words)?;
        let index = feature_index(&loaded, &limits, None);
        let index = index.and_then(|index| with_store(index, store.as_ref(), &loaded, &limits)).map_err(words)?;
        Ok(LoadedModel { model: loaded.model, index: Some(index) })
    }))
}

/// The cause of a failure.
fn words(failure: Failure) -> String {
    failure.words().map(|(text, _)| text.to_string()).unwrap_or_default()
}
