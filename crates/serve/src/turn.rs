//! One request at a model, from its messages to its last event.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout_at;
use zoetrope_engine::{EngineError, FinishReason, MediaClock, PreparedTurn, TurnEvent, TurnReport, TurnRequest};

use crate::error::ApiError;
use crate::host::{Events, ServedModel, Slot};
use crate::log::RequestLog;
use crate::media::{WebFiles, media_count, prepare, web_addresses};
use crate::state::{OPEN_MEDIA, Server};
use crate::wire::content::Message;
use crate::wire::media_options::MediaOptions;
use crate::wire::usage;

/// How long a stream waits with its head for the prompt, so that what is refused until then has a status of its own.
const HEAD_WAIT: Duration = Duration::from_secs(5);

/// A request that is being answered. Dropping it cancels the request.
pub(crate) struct Turn {
    pub(crate) server: Arc<Server>,
    model: Arc<ServedModel>,
    pub(crate) clocks: Vec<MediaClock>,
    pub(crate) log: RequestLog,
    /// Events that came before the stream began.
    early: std::collections::VecDeque<TurnEvent>,
    events: Events,
    has_token: bool,
    begun: Instant,
    /// What the fault of an error is told at.
    at: &'static str,
    _slot: Slot,
}

/// A complete reply.
#[derive(Default)]
pub(crate) struct Reply {
    pub(crate) text: String,
    pub(crate) reason: Option<FinishReason>,
    /// Its tokens with their log-probabilities, where they were asked for.
    pub(crate) logprobs: Option<Vec<Value>>,
}

/// A turn whose media are open, and their share of what may be open at once.
pub(crate) struct Planned {
    pub(crate) turn: PreparedTurn,
    open: Option<OwnedSemaphorePermit>,
}

impl From<PreparedTurn> for Planned {
    /// A turn without media.
    fn from(turn: PreparedTurn) -> Self {
        Planned { turn, open: None }
    }
}

/// Opens and plans the media of a conversation, on threads that may block.
///
/// # Errors
/// With the path of the part that is at fault.
pub(crate) async fn plan(
    server: &Arc<Server>,
    model: &Arc<ServedModel>,
    messages: Vec<Message>,
    options: MediaOptions,
) -> Result<Planned, ApiError> {
    let web = fetch(server, &messages, model.limits.media).await?;
    // A film that is open holds a process. A request takes all that it needs at once, so that none waits half done.
    let media = media_count(&messages).min(OPEN_MEDIA);
    let open = match media {
        0 => None,
        n => Some(Arc::clone(&server.open_media).acquire_many_owned(n as u32).await.map_err(|e| ApiError::bug(&e))?),
    };
    let _permit = server.opening.acquire().await.map_err(|error| ApiError::bug(&error))?;
    let (server, model) = (Arc::clone(server), Arc::clone(model));
    let work = move || prepare(&server.media, &model, messages, &options, &web);
    let turn = tokio::task::spawn_blocking(work).await.map_err(|error| ApiError::bug(&error))??;
    Ok(Planned { turn, open })
}

/// Fetches what messages name of the web, one file after the other.
async fn fetch(server: &Arc<Server>, messages: &[Message], most: usize) -> Result<WebFiles, ApiError> {
    let addresses = web_addresses(messages);
    if addresses.len() > most {
        let text = format!("{} addresses of the web are more than {most}", addresses.len());
        return Err(ApiError::invalid("messages", text).code("limit_exceeded"));
    }
    let mut files = WebFiles::new();
    for (url, at) in addresses {
        let _permit = server.fetching.acquire().await.map_err(|error| ApiError::bug(&error))?;
        let (server, own) = (Arc::clone(server), url.clone());
        let fetched = tokio::task::spawn_blocking(move || server.media.fetch(&own)).await;
        let file = fetched.map_err(|error| ApiError::bug(&error))?;
        files.insert(url, Arc::new(file.map_err(|error| ApiError { param: Some(at), ..error })?));
    }
    Ok(files)
}

impl Turn {
    /// Submits what was planned.
    ///
    /// # Errors
    /// 500 when the model's thread has ended.
    pub(crate) fn begin(
        server: &Arc<Server>,
        (model, slot): (Arc<ServedModel>, Slot),
        planned: Planned,
        request: TurnRequest,
        log: RequestLog,
        at: &'static str,
    ) -> Result<Self, ApiError> {
        let Planned { turn, open } = planned;
        let clocks = turn.clocks();
        let events = model.worker.submit(turn, request, open)?;
        Ok(Turn {
            server: Arc::clone(server),
            model,
            clocks,
            log,
            early: std::collections::VecDeque::new(),
            events,
            has_token: false,
            begun: Instant::now(),
            at,
            _slot: slot,
        })
    }

    /// Waits until it is known that the request can be answered, or for some seconds.
    ///
    /// # Errors
    /// What the engine says against it.
    pub(crate) async fn settle(&mut self) -> Result<(), ApiError> {
        let until = tokio::time::Instant::now() + HEAD_WAIT;
        while let Ok(event) = timeout_at(until, self.events.recv()).await {
            match event {
                Some(TurnEvent::Failed(error)) => return Err(self.error(&error)),
                Some(event) => {
                    let settled = !matches!(event, TurnEvent::Progress { .. });
                    self.early.push_back(event);
                    if settled {
                        return Ok(());
                    }
                }
                None => return Err(ApiError::bug(&"a request ended without an event")),
            }
        }
        Ok(())
    }

    /// The next event; `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<TurnEvent> {
        let event = match self.early.pop_front() {
            Some(event) => event,
            None => self.events.recv().await?,
        };
        match &event {
            TurnEvent::Token { .. } if !self.has_token => {
                self.has_token = true;
                self.server.metrics.first_token(self.begun.elapsed());
            }
            TurnEvent::Done(report) => {
                self.server.metrics.finished(report);
                self.model.rates.learn(report);
                self.log.answered(report);
            }
            TurnEvent::Failed(error) => self.log.failed(&error.to_string()),
            _ => {}
        }
        Some(event)
    }

    /// All replies and the report.
    ///
    /// # Errors
    /// What the engine says.
    pub(crate) async fn collect(&mut self, replies: usize) -> Result<(Vec<Reply>, Box<TurnReport>), ApiError> {
        let mut all: Vec<Reply> = (0..replies).map(|_| Reply::default()).collect();
        while let Some(event) = self.next().await {
            match event {
                TurnEvent::Text { reply, text } => {
                    if let Some(reply) = all.get_mut(reply) {
                        reply.text.push_str(&text);
                    }
                }
                TurnEvent::Logprobs { reply, logprobs } => {
                    if let Some(reply) = all.get_mut(reply) {
                        reply.logprobs.get_or_insert_default().push(usage::logprobs(&logprobs));
                    }
                }
                TurnEvent::Finished { reply, reason, .. } => {
                    if let Some(reply) = all.get_mut(reply) {
                        reply.reason = Some(reason);
                    }
                }
                TurnEvent::Done(report) => return Ok((all, report)),
                TurnEvent::Failed(error) => return Err(self.error(&error)),
                _ => {}
            }
        }
        Err(ApiError::bug(&"a request ended without an event"))
    }

    /// What the client is told of an error of the engine.
    pub(crate) fn error(&self, error: &EngineError) -> ApiError {
        let fits = match error {
            EngineError::Limit { what, limit, .. } if what.contains("tokens") => {
                Some(format!("{limit} {what} fit: fewer frames, a shorter part (start, end), or max_visual_tokens"))
            }
            _ => None,
        };
        ApiError::engine(error, self.at).fits(fits)
    }
}
