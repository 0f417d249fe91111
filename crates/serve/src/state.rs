//! What all routes share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::host::Models;
use crate::media::Gathered;
use crate::metrics::Metrics;

/// A server.
pub(crate) struct Server {
    pub(crate) models: Models,
    pub(crate) media: Gathered,
    pub(crate) metrics: Metrics,
    pub(crate) access: Access,
    pub(crate) bounds: Bounds,
    /// Media that are open and not encoded yet.
    pub(crate) open_media: Arc<Semaphore>,
    /// Requests whose media are opened at once.
    pub(crate) opening: Semaphore,
    /// Files that are fetched at once.
    pub(crate) fetching: Semaphore,
    /// Bodies that are held in memory, in units of [`BODY_UNIT`].
    pub(crate) bodies: Arc<Semaphore>,
}

/// Media that are open at once, over all requests: each holds a process.
pub(crate) const OPEN_MEDIA: usize = 32;
/// Bytes of a permit of [`Server::bodies`].
pub(crate) const BODY_UNIT: usize = 1 << 16;

/// Who may ask.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// The key that every request must have.
    pub(crate) key: Option<String>,
    /// Whether only this machine is listened to: then names of other machines are refused.
    pub(crate) loopback: bool,
    /// Names of hosts that are this one, beside those of loopback.
    pub(crate) hosts: Vec<String>,
    /// Other sites whose pages may ask.
    pub(crate) origins: Vec<String>,
}

/// What a request may cost before it reaches a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes of a body of JSON.
    pub(crate) body: usize,
    /// Time between two pieces of a body.
    pub(crate) pause: Duration,
    /// Time of a whole body.
    pub(crate) whole: Duration,
    /// Tokens of a reply.
    pub(crate) answer_tokens: usize,
}
