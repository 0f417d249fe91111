//! Media that waits for the encoder. A chunk is encoded at once with all threads while nobody generates, and beside the
//! generating sequences on a pool of fewer threads otherwise, so that it never stalls them.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use super::job::{JobEvent, JobId, JobOutput};
use crate::error::EngineError;
use crate::media_input::{EncodeJob, EncodeProgress};

/// A job, and whether its patches and features are events (`trace`).
struct Queued {
    id: JobId,
    trace: bool,
    job: EncodeJob,
}

type Advanced = (Queued, Result<EncodeProgress, EngineError>);

/// Encoding jobs, a chunk of each in turn, so that a picture does not wait for the end of a film.
pub(super) struct EncodeQueue {
    waiting: VecDeque<Queued>,
    /// The job whose next chunk is computed on a pool.
    beside: Option<(JobId, Receiver<Advanced>)>,
    /// Whether chunks are computed on a pool even while nobody generates.
    always_beside: bool,
    /// Half of the threads, for chunks beside others.
    half: Option<rayon::ThreadPool>,
    /// All threads, for chunks while nobody generates.
    all: Option<rayon::ThreadPool>,
}

impl EncodeQueue {
    pub(super) fn new(always_beside: bool) -> Self {
        EncodeQueue { waiting: VecDeque::new(), beside: None, always_beside, half: None, all: None }
    }

    /// Whether a chunk is being computed, of a queue that never waits for one.
    pub(super) fn is_busy_beside(&self) -> bool {
        self.always_beside && self.beside.is_some()
    }

    pub(super) fn push(&mut self, id: JobId, job: EncodeJob, trace: bool) {
        self.waiting.push_back(Queued { id, trace, job });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.beside.is_none()
    }

    /// Forgets a job; whether it was there. A chunk that is being computed is thrown away when it is done.
    pub(super) fn cancel(&mut self, id: JobId) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|queued| queued.id != id);
        let beside = self.beside.as_ref().is_some_and(|(own, _)| *own == id);
        if beside {
            self.beside = None;
        }
        beside || self.waiting.len() < before
    }

    /// Goes on with the next job: with a chunk here and now, or, `beside_others`, with what the pool has done
    /// meanwhile.
    pub(super) fn advance(&mut self, beside_others: bool) -> Result<Vec<JobOutput>, EngineError> {
        if let Some((_, receiver)) = &self.beside {
            // Without others there is nothing else to do than to wait.
            let advanced = match beside_others || self.always_beside {
                true => receiver.try_recv(),
                false => receiver.recv().map_err(|_| TryRecvError::Disconnected),
            };
            return match advanced {
                Ok(advanced) => {
                    self.beside = None;
                    Ok(self.take_back(advanced))
                }
                Err(TryRecvError::Empty) => Ok(Vec::new()),
                Err(TryRecvError::Disconnected) => Err(EngineError::Bug("the encoder's thread ended".to_string())),
            };
        }
        let Some(mut queued) = self.waiting.pop_front() else { return Ok(Vec::new()) };
        // On an accelerator all products go through one library handle, which two threads must not use at once.
        if !(beside_others || self.always_beside) || queued.job.needs_accelerator() {
            let progress = queued.job.advance();
            return Ok(self.take_back((queued, progress)));
        }
        let (sender, receiver) = channel();
        self.beside = Some((queued.id, receiver));
        self.pool(beside_others)?.spawn(move || {
            let progress = queued.job.advance();
            // Nobody listens after a cancellation.
            let _ = sender.send((queued, progress));
        });
        Ok(Vec::new())
    }

    /// Half of the threads, one at least, beside others; else all.
    fn pool(&mut self, beside_others: bool) -> Result<&rayon::ThreadPool, EngineError> {
        let all = rayon::current_num_threads();
        let (pool, threads) = if beside_others { (&mut self.half, (all / 2).max(1)) } else { (&mut self.all, all) };
        match pool {
            Some(pool) => Ok(pool),
            None => {
                let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                Ok(pool.insert(built.map_err(|error| EngineError::Bug(format!("threads for the encoder: {error}")))?))
            }
        }
    }

    /// The events of a chunk; the job goes to the end of the queue unless it is over.
    fn take_back(&mut self, (queued, progress): Advanced) -> Vec<JobOutput> {
        let (id, trace) = (queued.id, queued.trace);
        let (event, over) = match progress {
            Ok(EncodeProgress::Prepared(patches)) => {
                let decoded = queued.job.decoded();
                (JobEvent::Prepared { decoded, patches: trace.then_some(patches) }, false)
            }
            Ok(EncodeProgress::Encoded(features)) => (JobEvent::Encoded { features: trace.then_some(features) }, false),
            Ok(EncodeProgress::Done(media, timings)) => (JobEvent::MediaReady(media, timings), true),
            Err(error) => (JobEvent::Failed(error), true),
        };
        if !over {
            self.waiting.push_back(queued);
        }
        vec![JobOutput { job: id, event }]
    }
}
