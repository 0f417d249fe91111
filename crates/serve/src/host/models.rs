//! The served models: loaded when they are asked for, as far as the memory budget allows.

use std::ffi::{OsStr, OsString};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;
use zoetrope_engine::{
    Constraint, EngineError, FeatureIndex, Grammar, GrammarCompiler, Limits, Service, ServiceOptions,
};
use zoetrope_models::contract::{Processor, VideoLanguageModel};

use super::rates::Rates;
use super::worker::Worker;
use crate::error::{ApiError, quoted};

/// The name that means the first model, for clients that know no other.
const ALIASES: &[&str] = &["default", "zoetrope"];

/// How long the preparing of a form may take, and how many are prepared at once.
const GRAMMAR_TIME: Duration = Duration::from_secs(3);
const GRAMMARS: usize = 2;

/// How a model is called: by clients, and by the loader.
#[derive(Clone, Debug)]
pub struct ModelName {
    /// In requests and in `/v1/models`.
    pub id: String,
    /// What the loader is given.
    pub source: Option<OsString>,
}

/// A model that was loaded.
pub struct LoadedModel {
    /// The model.
    pub model: Arc<dyn VideoLanguageModel>,
    /// Where features of films are looked for, and where they are kept when it has a store.
    pub index: Option<FeatureIndex>,
}

/// Loads a model by its source. Called on a thread that may block.
pub type Loader = Arc<dyn Fn(Option<&OsStr>) -> Result<LoadedModel, String> + Send + Sync>;

/// A model that runs.
pub(crate) struct ServedModel {
    pub(crate) id: String,
    pub(crate) worker: Worker,
    pub(crate) processor: Arc<dyn Processor>,
    pub(crate) index: Option<FeatureIndex>,
    pub(crate) limits: Limits,
    pub(crate) facts: ModelFacts,
    grammars: Arc<GrammarCompiler>,
    compiling: Arc<Semaphore>,
    pub(crate) rates: Rates,
}

impl ServedModel {
    /// The grammar of a constraint, compiled on a thread that may block.
    ///
    /// # Errors
    /// For one that cannot be read, is not supported, or is too large.
    pub(crate) async fn grammar(&self, constraint: Constraint) -> Result<Grammar, EngineError> {
        let grammars = Arc::clone(&self.grammars);
        let slow = || EngineError::Caller("this form takes too long to prepare: make it simpler".to_string());
        let permit = Arc::clone(&self.compiling).acquire_owned();
        let permit = timeout(GRAMMAR_TIME, permit).await.map_err(|_| slow())?;
        let compiled = tokio::task::spawn_blocking(move || {
            // A thread cannot be stopped: what takes too long keeps its place until it is done.
            let _permit = permit;
            grammars.compile(&constraint)
        });
        let compiled = timeout(GRAMMAR_TIME, compiled).await.map_err(|_| slow())?;
        compiled.unwrap_or_else(|error| Err(EngineError::Bug(error.to_string())))
    }
}

/// What `/v1/models` says of a model that was loaded once.
#[derive(Clone, Debug)]
pub(crate) struct ModelFacts {
    pub(crate) family: &'static str,
    pub(crate) max_positions: usize,
    pub(crate) parameters: usize,
    pub(crate) held_as: &'static str,
    pub(crate) settings: serde_json::Value,
    pub(crate) bytes: usize,
    pub(crate) kv_bytes_per_token: usize,
    pub(crate) kv_dtype: zoetrope_models::kv::KvDtype,
}

struct Place {
    name: ModelName,
    running: Mutex<Option<Arc<ServedModel>>>,
    facts: OnceLock<ModelFacts>,
    used: AtomicU64,
}

/// What models may use.
#[derive(Clone, Debug)]
pub(crate) struct HostOptions {
    pub(crate) service: ServiceOptions,
    pub(crate) limits: Limits,
    pub(crate) threads: usize,
    /// Requests of one model at once, running or waiting.
    pub(crate) requests: usize,
    /// Bytes of the weights of all models.
    pub(crate) weight_bytes: usize,
}

/// All models of a server.
pub(crate) struct Models {
    places: Vec<Place>,
    loader: Loader,
    options: HostOptions,
    clock: AtomicU64,
    pub(crate) created: u64,
    /// Held while a model is loaded or dropped, so that the budget is counted once.
    loading: Mutex<()>,
}

impl Models {
    pub(crate) fn new(names: Vec<ModelName>, loader: Loader, options: HostOptions) -> Self {
        let place = |name| Place { name, running: Mutex::new(None), facts: OnceLock::new(), used: AtomicU64::new(0) };
        let places = names.into_iter().map(place).collect();
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Models { places, loader, options, clock: AtomicU64::new(0), created, loading: Mutex::new(()) }
    }

    /// What requests of any model may cost.
    pub(crate) fn limits(&self) -> &Limits {
        &self.options.limits
    }

    /// The names, with what is known of each.
    pub(crate) fn list(&self) -> impl Iterator<Item = (&str, Option<&ModelFacts>)> {
        self.places.iter().map(|place| (&place.name.id[..], place.facts.get()))
    }

    /// The place of a model; the first one for no name and for the aliases.
    fn place(&self, name: Option<&str>) -> Result<&Place, ApiError> {
        let first = || self.places.first().ok_or_else(|| ApiError::bug(&"no model is served"));
        let Some(name) = name else { return first() };
        match self.places.iter().find(|place| place.name.id == name) {
            Some(place) => Ok(place),
            None if ALIASES.contains(&name) => first(),
            None => {
                let known: Vec<&str> = self.places.iter().map(|place| &place.name.id[..]).collect();
                let text = format!("there is no model {}; served: {}", quoted(name), known.join(", "));
                Err(ApiError::not_found("model_not_found", text).at("model"))
            }
        }
    }

    /// Whether there is such a model.
    pub(crate) fn id(&self, name: Option<&str>) -> Result<&str, ApiError> {
        Ok(&self.place(name)?.name.id)
    }

    /// A model that runs; loads it when it does not yet.
    pub(crate) async fn get(&self, name: Option<&str>) -> Result<Arc<ServedModel>, ApiError> {
        let place = self.place(name)?;
        place.used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let mut running = place.running.lock().await;
        if let Some(model) = &*running {
            return Ok(Arc::clone(model));
        }
        let _loading = self.loading.lock().await;
        let (loader, source) = (Arc::clone(&self.loader), place.name.source.clone());
        // What is known of an earlier time tells what must go first; what is not is measured after it is loaded.
        self.make_room(place.facts.get().map_or(0, |facts| facts.bytes)).await?;
        let loaded = tokio::task::spawn_blocking(move || loader(source.as_deref())).await;
        let loaded = loaded.map_err(|error| ApiError::bug(&error))?.map_err(|text| {
            tracing::error!("{}: {text}", place.name.id);
            ApiError::unavailable(format!("the model {} cannot be loaded; the log says why", place.name.id))
        })?;
        let model = self.start(&place.name.id, loaded)?;
        // Noted also when there is no room, so that the next time it is known before the model is loaded.
        let _ = place.facts.set(model.facts.clone());
        self.make_room(model.facts.bytes).await?;
        let model = Arc::new(model);
        *running = Some(Arc::clone(&model));
        Ok(model)
    }

    fn start(&self, id: &str, loaded: LoadedModel) -> Result<ServedModel, ApiError> {
        let processor = Arc::clone(loaded.model.processor());
        let facts = facts(loaded.model.as_ref());
        let mut service = Service::new(loaded.model, self.options.service).map_err(|error| ApiError::bug(&error))?;
        service.use_index(loaded.index.as_ref());
        let worker = Worker::start(service, self.options.threads, self.options.requests);
        let worker = worker.map_err(|error| ApiError::bug(&error))?;
        let limits = self.options.limits.clone();
        let grammars = Arc::new(GrammarCompiler::new(processor.as_ref()));
        let first = Arc::clone(&grammars);
        // The vocabulary is prepared at the first form, which a client should not wait for.
        tokio::task::spawn_blocking(move || first.compile(&Constraint::JsonObject).map(|_| ()));
        let compiling = Arc::new(Semaphore::new(GRAMMARS));
        let (id, index) = (id.to_string(), loaded.index);
        Ok(ServedModel { id, worker, processor, index, limits, facts, grammars, compiling, rates: Rates::default() })
    }

    /// Drops models that nobody uses, the longest unused first, until `bytes` more fit.
    async fn make_room(&self, bytes: usize) -> Result<(), ApiError> {
        loop {
            let mut held = 0;
            let mut idle: Option<(u64, &Place)> = None;
            for place in &self.places {
                // A place that is locked is the one that is being loaded, or about to be used.
                let Ok(running) = place.running.try_lock() else { continue };
                let Some(model) = &*running else { continue };
                held += model.facts.bytes;
                let used = place.used.load(Ordering::Relaxed);
                if model.worker.active() == 0 && idle.is_none_or(|(oldest, _)| used < oldest) {
                    idle = Some((used, place));
                }
            }
            if held + bytes <= self.options.weight_bytes || held == 0 {
                return Ok(());
            }
            let Some((_, place)) = idle else {
                return Err(ApiError::unavailable("all memory for models is in use: try again later"));
            };
            tracing::info!("{} is dropped to make room", place.name.id);
            *place.running.lock().await = None;
        }
    }

    /// The models that run.
    pub(crate) fn running(&self) -> Vec<Arc<ServedModel>> {
        self.places.iter().filter_map(|place| place.running.try_lock().ok()?.clone()).collect()
    }
}

fn facts(model: &dyn VideoLanguageModel) -> ModelFacts {
    let (weights, info) = (model.weights(), model.processor().info());
    let summary = weights.summary();
    ModelFacts {
        family: info.family,
        max_positions: info.max_positions,
        parameters: summary.parameters.iter().map(|(_, n)| n).sum(),
        held_as: summary.held_as,
        settings: serde_json::to_value(&info.settings).unwrap_or_default(),
        bytes: summary.resident_bytes,
        kv_bytes_per_token: info.kv.bytes_per_token(weights.kv_dtype()),
        kv_dtype: weights.kv_dtype(),
    }
}
