//! Progress for those who read lines: what is at work, said every few seconds while it takes long.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::terminal;

/// Between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

/// A thread that says what is at work until this is dropped.
pub(crate) struct Heartbeat {
    work: Arc<Mutex<Option<String>>>,
    /// Closed when this is dropped, which ends the thread.
    _end: Sender<()>,
}

impl Heartbeat {
    /// Lines on standard error. `None` where the system has no thread left: then there are no lines.
    pub(crate) fn start() -> Option<Self> {
        Self::every(INTERVAL, |words, seconds| terminal::note(&format!("[{seconds} s] {words}")))
    }

    fn every(interval: Duration, say: impl Fn(&str, u64) + Send + 'static) -> Option<Self> {
        let (end, ended) = channel::<()>();
        let work = Arc::new(Mutex::new(None::<String>));
        let heartbeat = Heartbeat { work: work.clone(), _end: end };
        let begun = std::time::Instant::now();
        let beat = move || {
            while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                if let Some(words) = work.lock().unwrap_or_else(PoisonError::into_inner).as_deref() {
                    say(words, begun.elapsed().as_secs());
                }
            }
        };
        std::thread::Builder::new().name("heartbeat".into()).spawn(beat).ok().map(|_| heartbeat)
    }

    /// What is at work; nothing is said for `None`.
    pub(crate) fn set(&self, work: Option<String>) {
        *self.work.lock().unwrap_or_else(PoisonError::into_inner) = work;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_work_is_told_again_and_again_until_it_ends() {
        let (said, heard) = channel();
        let heartbeat = Heartbeat::every(Duration::from_millis(5), move |words, _| {
            let _ = said.send(words.to_string());
        });
        let heartbeat = heartbeat.expect("a thread");
        heartbeat.set(Some("encode 3/9 frames".into()));
        let wait = Duration::from_secs(20);
        assert_eq!(heard.recv_timeout(wait).as_deref(), Ok("encode 3/9 frames"));
        assert_eq!(heard.recv_timeout(wait).as_deref(), Ok("encode 3/9 frames"));
        drop(heartbeat);
        while heard.recv_timeout(wait).is_ok() {}
        assert_eq!(heard.recv_timeout(wait), Err(RecvTimeoutError::Disconnected), "the thread is gone");
    }
}
