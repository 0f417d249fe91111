//! One model on a thread of its own: a service that steps while there is something to do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use zoetrope_engine::{PreparedTurn, Service, ServiceState, TurnClient, TurnEvent, TurnRequest};

use crate::error::ApiError;

/// How often a thread that waits for the encoder looks for new requests.
const LOOK: Duration = Duration::from_millis(1);

/// Events of one request. Dropping it cancels the request.
pub(crate) type Events = UnboundedReceiver<TurnEvent>;

/// A request on its way to the service.
struct Submission {
    turn: PreparedTurn,
    request: TurnRequest,
    client: Client,
}

/// The sending end of a request's events.
struct Client {
    events: UnboundedSender<TurnEvent>,
    /// The share of media that may be open at once, until it is encoded; given back here and not by whoever reads the
    /// events, who may take as long as a client likes.
    open: Option<OwnedSemaphorePermit>,
}

impl TurnClient for Client {
    fn event(&mut self, event: TurnEvent) {
        if matches!(event, TurnEvent::Prompt(_)) {
            self.open = None;
        }
        // Nobody listens after a cancellation.
        let _ = self.events.send(event);
    }

    fn is_gone(&self) -> bool {
        self.events.is_closed()
    }
}

/// The thread of a model, seen from outside.
pub(crate) struct Worker {
    submissions: Sender<Submission>,
    state: Arc<Mutex<ServiceState>>,
    /// Requests between their arrival and their last event.
    active: Arc<AtomicUsize>,
    most: usize,
}

/// A place among the requests of a model; given back when it is dropped.
pub(crate) struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Worker {
    /// Starts a thread for `service` that computes with `threads` threads and takes `most` requests at once.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub(crate) fn start(service: Service, threads: usize, most: usize) -> std::io::Result<Self> {
        let (submissions, receiver) = channel();
        let state = Arc::new(Mutex::new(service.state()));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(std::io::Error::other)?;
        let told = Arc::clone(&state);
        // On a thread of the pool, so that parallel work begins without waking anyone to hand it over.
        let work = move || pool.install(move || run(service, &receiver, &told));
        std::thread::Builder::new().name("model".to_string()).spawn(work)?;
        Ok(Worker { submissions, state, active: Arc::default(), most })
    }

    /// A place for one more request.
    ///
    /// # Errors
    /// 429 when there are too many.
    pub(crate) fn slot(&self) -> Result<Slot, ApiError> {
        let taken = self.active.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n < self.most).then_some(n + 1));
        match taken {
            Ok(_) => Ok(Slot(Arc::clone(&self.active))),
            Err(all) => {
                let text = format!("{all} requests are running or waiting, which is the limit: try again later");
                Err(ApiError::busy(text, 1))
            }
        }
    }

    /// Requests between their arrival and their last event.
    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::SeqCst)
    }

    /// How busy the service is.
    pub(crate) fn state(&self) -> ServiceState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Submits a request, whose media are `open`; its events come through the receiver.
    ///
    /// # Errors
    /// 500 when the thread has ended.
    pub(crate) fn submit(
        &self,
        turn: PreparedTurn,
        request: TurnRequest,
        open: Option<OwnedSemaphorePermit>,
    ) -> Result<Events, ApiError> {
        let (sender, events) = unbounded_channel();
        let submission = Submission { turn, request, client: Client { events: sender, open } };
        match self.submissions.send(submission) {
            Ok(()) => Ok(events),
            Err(_) => Err(ApiError::bug(&"the thread of the model has ended")),
        }
    }
}

/// Steps until nobody can submit any more and all is done.
fn run(mut service: Service, submissions: &Receiver<Submission>, state: &Mutex<ServiceState>) {
    loop {
        let next = if service.is_idle() {
            submissions.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else if service.waits_for_media() {
            submissions.recv_timeout(LOOK)
        } else {
            submissions.recv_timeout(Duration::ZERO)
        };
        match next {
            Ok(submission) => {
                submit(&mut service, submission);
                submissions.try_iter().for_each(|submission| submit(&mut service, submission));
            }
            Err(RecvTimeoutError::Disconnected) if service.is_idle() => return,
            Err(_) => {}
        }
        service.step();
        *state.lock().unwrap_or_else(PoisonError::into_inner) = service.state();
    }
}

fn submit(service: &mut Service, Submission { turn, request, client }: Submission) {
    service.submit(turn, request, Box::new(client));
}
