//! A thread that does one job after the other, with a bound on what waits for it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Something to do.
type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<(usize, Job)>,
    /// Bytes of these and of the one that is done now.
    bytes: usize,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A job that panicked has not held the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, waiting: MutexGuard<'a, Waiting>) -> MutexGuard<'a, Waiting> {
        self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner)
    }

    /// Does jobs until the queue is closed and empty.
    fn work(&self) {
        let mut waiting = self.lock();
        loop {
            if let Some((bytes, job)) = waiting.jobs.pop_front() {
                drop(waiting);
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::error!("a job of the store's thread has panicked");
                }
                waiting = self.lock();
                waiting.bytes -= bytes;
                self.changed.notify_all();
            } else if waiting.closed {
                return;
            } else {
                waiting = self.wait(waiting);
            }
        }
    }
}

/// The jobs. Dropping it waits until all are done.
pub(super) struct WriteQueue {
    shared: Arc<Shared>,
    most: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl WriteQueue {
    /// A queue of jobs that hold at most `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        WriteQueue { shared: Arc::default(), most, thread: Mutex::new(None) }
    }

    /// Whether a job of `bytes` would be taken now. One is always taken when there is no other.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let waiting = self.shared.lock();
        waiting.bytes == 0 || waiting.bytes.saturating_add(bytes) <= self.most
    }

    /// Takes a job that holds `bytes` bytes; `false`, and it is not done, when too much waits already.
    pub(super) fn push(&self, bytes: usize, job: impl FnOnce() + Send + 'static) -> bool {
        let bytes = bytes.max(1);
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.has_room(bytes) {
            return false;
        }
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let spawned = std::thread::Builder::new().name("store".into()).spawn(move || shared.work());
            match spawned {
                Ok(handle) => *thread = Some(handle),
                Err(error) => {
                    tracing::warn!("the store has no thread to write: {error}");
                    return false;
                }
            }
        }
        let mut waiting = self.shared.lock();
        waiting.bytes += bytes;
        waiting.jobs.push_back((bytes, Box::new(job)));
        self.shared.changed.notify_all();
        true
    }

    /// Waits until all jobs are done.
    pub(super) fn flush(&self) {
        let mut waiting = self.shared.lock();
        while waiting.bytes > 0 {
            waiting = self.shared.wait(waiting);
        }
    }
}

impl Drop for WriteQueue {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the store's thread has panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_is_too_much_is_not_taken_and_all_that_is_taken_is_done() {
        let queue = WriteQueue::new(10);
        let (go, wait) = channel::<()>();
        let (done, finished) = channel();
        let mut taken = vec![queue.push(100, move || wait.recv().unwrap_or_default())];
        taken.push(queue.push(1, || ()));
        assert!(!queue.has_room(1));
        go.send(()).expect("the thread waits");
        queue.flush();
        for number in 0..3 {
            let done = done.clone();
            let slow = move || {
                std::thread::sleep(std::time::Duration::from_millis(20));
                done.send(number).expect("the test waits");
            };
            taken.push(queue.push(5, slow));
        }
        drop((queue, done));
        assert_eq!(taken, [true, false, true, true, false]);
        assert_eq!(finished.into_iter().collect::<Vec<_>>(), [0, 1]);
    }
}
