//! Listening, accepting, ending.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use zoetrope_engine::{Limits, ServiceOptions};
use zoetrope_hub::fetch::{FetchLimits, Fetcher};

use crate::error::ApiError;
use crate::guard::guard;
use crate::host::{HostOptions, Loader, ModelName, Models};
use crate::media::{Cage, Gathered, MediaRoot, SandboxOptions, Spool, Uploads};
use crate::metrics::Metrics;
use crate::routes::{chat, completions, files, models, openapi, page, plan, responses, status, tokenize};
use crate::state::{Access, BODY_UNIT, Bounds, OPEN_MEDIA, Server};

/// Time for the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Bytes of the head of a request, before those of the last read, which are as many at most.
const HEAD_BYTES: usize = 32 << 10;
/// Header lines of a request.
const HEAD_LINES: usize = 100;
/// Connections at once.
const CONNECTIONS: usize = 2048;
/// Files that are fetched at once.
const FETCHES: usize = 16;
/// Uploaded files at once.
const UPLOADS: usize = 1000;
/// Bytes of the decoded pictures of one list of frames.
const LIST_BYTES: u64 = 384 << 20;

/// What is served, to whom, and what it may cost.
pub struct ServeOptions {
    /// Where it listens.
    pub address: SocketAddr,
    /// The models; the first one is loaded at once and means the same as no name.
    pub models: Vec<ModelName>,
    /// Loads them.
    pub loader: Loader,
    /// The key that requests must have.
    pub api_key: Option<String>,
    /// Names of this machine beside those of loopback.
    pub hosts: Vec<String>,
    /// Other sites whose pages may ask.
    pub origins: Vec<String>,
    /// The folder that `file:` addresses may name files in.
    pub media_root: Option<PathBuf>,
    /// Limits of a conversation.
    pub limits: Limits,
    /// What each model's service may use.
    pub service: ServiceOptions,
    /// Threads to compute with.
    pub threads: usize,
    /// Requests of one model at once, running or waiting.
    pub requests: usize,
    /// Bytes of the weights of all models.
    pub weight_bytes: usize,
    /// Bytes of one file of media.
    pub file_bytes: u64,
    /// Bytes of all uploaded and fetched media.
    pub spool_bytes: u64,
    /// What fetching a file of the web may cost, and whence it may come.
    pub fetch: FetchLimits,
    /// The processes that media are opened and decoded in; in this one where there is none.
    pub sandbox: Option<SandboxOptions>,
    /// Bytes of a body of JSON.
    pub body_bytes: usize,
    /// Most frames of one film.
    pub frames: usize,
    /// How long running answers may go on when the server is to end.
    pub drain: Duration,
}

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not allowed.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The media root.
    #[error("{0}: {1}")]
    MediaRoot(PathBuf, std::io::Error),
    /// The first model.
    #[error("{0}")]
    Model(String),
    /// The processes that decode.
    #[error("media cannot be decoded in processes without rights: {0}")]
    Sandbox(String),
    /// Threads or temporary files.
    #[error("the system refuses: {0}")]
    System(#[from] std::io::Error),
}

/// Serves until the process is told to end. `listening` is called once, when requests are taken.
///
/// # Errors
/// When it cannot begin.
pub fn run(options: ServeOptions, listening: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(serve(options, listening));
    // A model that computes is not waited for: its clients are gone.
    runtime.shutdown_timeout(Duration::from_millis(500));
    result
}

async fn serve(options: ServeOptions, listening: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let (address, drain) = (options.address, options.drain);
    let listener = TcpListener::bind(address).await.map_err(|error| ServeError::Listen(address, error))?;
    let address = listener.local_addr()?;
    let server = Arc::new(server(options)?);
    server.models.get(None).await.map_err(|error| ServeError::Model(error.message))?;
    let router = router(&server);
    listening(address);
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut end = std::pin::pin!(told_to_end());
    loop {
        let permit = Arc::clone(&connections).acquire_owned();
        let accepted = async { (permit.await, listener.accept().await) };
        let (permit, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut end => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: others must end first.
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let connection = graceful.watch(connection(stream, router.clone()));
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("answers that were not complete after {} s are broken off", drain.as_secs());
    }
    Ok(())
}

fn connection(stream: TcpStream, router: Router) -> http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>> {
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_BYTES).max_headers(HEAD_LINES);
    builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
}

/// Waits for Ctrl-C, or for what a supervisor sends.
async fn told_to_end() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

fn server(options: ServeOptions) -> Result<Server, ServeError> {
    let ServeOptions { media_root, limits, service, .. } = options;
    let answer_tokens = limits.answer_tokens;
    let root = MediaRoot::new(media_root.as_deref());
    let root = root.map_err(|error| ServeError::MediaRoot(media_root.unwrap_or_default(), error))?;
    let cage = options.sandbox.map(Cage::start).transpose();
    let cage = cage.map_err(|error| ServeError::Sandbox(error.to_string()))?;
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let host = HostOptions {
        service,
        limits,
        threads: options.threads,
        requests: options.requests,
        weight_bytes: options.weight_bytes,
    };
    let access = Access {
        key: options.api_key,
        loopback: options.address.ip().is_loopback(),
        hosts: options.hosts,
        origins: options.origins,
    };
    let bounds = Bounds {
        body: options.body_bytes,
        pause: Duration::from_secs(30),
        whole: Duration::from_secs(3600),
        answer_tokens,
    };
    Ok(Server {
        models: Models::new(options.models, options.loader, host),
        media: Gathered {
            spool: Spool::new(None, options.spool_bytes)?,
            uploads: Uploads::new(UPLOADS),
            root,
            file_bytes: options.file_bytes,
            frames: options.frames,
            list_bytes: LIST_BYTES,
            fetcher: Fetcher::new(options.fetch),
            cage,
        },
        metrics: Metrics::new(),
        access,
        bounds,
        open_media: Arc::new(Semaphore::new(OPEN_MEDIA)),
        opening: Semaphore::new(cores.max(2)),
        fetching: Semaphore::new(FETCHES),
        bodies: Arc::new(Semaphore::new(4 * options.body_bytes.max(64 << 20) / BODY_UNIT)),
    })
}

fn router(server: &Arc<Server>) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/page/{name}", get(page::page))
        .route("/health", get(status::health))
        .route("/ready", get(status::ready))
        .route("/metrics", get(status::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*model}", get(models::get))
        .route("/v1/chat/completions", post(chat::chat))
        .route("/v1/completions", post(completions::completions))
        .route("/v1/responses", post(responses::responses))
        .route("/v1/plan", post(plan::plan))
        .route("/tokenize", post(tokenize::tokenize))
        .route("/v1/files", post(files::create).get(files::list))
        .route("/v1/files/{file}", get(files::get).delete(files::delete))
        .route("/v1/files/{file}/content", get(files::content))
        .route("/v1/files/{file}/frame", get(files::frame))
        .route("/v1/files/{file}/subtitles", get(files::subtitles))
        .fallback(missing)
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn_with_state(Arc::clone(server), guard))
        .with_state(Arc::clone(server))
}

async fn missing() -> ApiError {
    ApiError::not_found("not_found", "there is no such route; GET /openapi.json lists all")
}
