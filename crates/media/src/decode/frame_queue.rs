//! The queue between a worker and the reader of its run. Runs that are not read yet may decode ahead as long as the
//! frames of all runs together stay within a budget of bytes.

use std::sync::mpsc::{Receiver, RecvError, SendError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::MediaError;
use crate::frame::Frame;

/// What a worker says about its run.
pub(super) enum WorkerMessage {
    /// A frame, how often it was requested, and whether it stands in for a lost one.
    Frame {
        /// The frame.
        frame: Frame,
        /// How often it was requested.
        copies: usize,
        /// Whether it is concealed with a neighbor's image.
        repeated: bool,
        /// Whether its image may show damage.
        damaged: bool,
    },
    /// Number of frames of the run that have no image at all.
    Lost(usize),
    /// The run cannot be decoded.
    Failed(MediaError),
}

impl WorkerMessage {
    /// Bytes of the image it carries.
    fn bytes(&self) -> usize {
        match self {
            WorkerMessage::Frame { frame, .. } => frame.image.data.len(),
            _ => 0,
        }
    }
}

/// Frames that a run may have ready whatever the other runs hold, so that the run being read never waits for them.
const OWN_FRAMES: usize = 2;
/// Bytes of frames that all runs of a clip may have ready together.
const MAX_READY_BYTES: usize = 128 << 20;

/// Bytes of frames that wait to be read.
#[derive(Clone, Default)]
pub(super) struct ReadyFrames(Arc<(Mutex<Ready>, Condvar)>);

#[derive(Default)]
struct Ready {
    bytes: usize,
    /// Whether nobody reads any more.
    closed: bool,
}

impl ReadyFrames {
    /// Both ends of a queue for one run.
    pub(super) fn queue(&self) -> (FrameSender, FrameReceiver) {
        let (sender, receiver) = channel();
        let own = Arc::new(Mutex::new(0));
        let (ready, other) = (self.clone(), own.clone());
        (FrameSender { sender, ready, own }, FrameReceiver { receiver, ready: self.clone(), own: other })
    }

    /// Lets every sender go on; their messages are dropped.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.0.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Ready> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The worker's end.
pub(super) struct FrameSender {
    sender: Sender<WorkerMessage>,
    ready: ReadyFrames,
    /// Frames of this run that wait to be read; changed while `ready` is locked.
    own: Arc<Mutex<usize>>,
}

impl FrameSender {
    /// Waits for room and sends.
    ///
    /// # Errors
    /// When nobody receives any more.
    pub(super) fn send(&self, message: WorkerMessage) -> Result<(), SendError<WorkerMessage>> {
        let bytes = message.bytes();
        if bytes > 0 {
            let mut ready = self.ready.lock();
            while !ready.closed && ready.bytes + bytes > MAX_READY_BYTES && *lock(&self.own) >= OWN_FRAMES {
                ready = self.ready.0.1.wait(ready).unwrap_or_else(PoisonError::into_inner);
            }
            ready.bytes += bytes;
            *lock(&self.own) += 1;
        }
        self.sender.send(message)
    }
}

/// The reader's end.
pub(super) struct FrameReceiver {
    receiver: Receiver<WorkerMessage>,
    ready: ReadyFrames,
    own: Arc<Mutex<usize>>,
}

impl FrameReceiver {
    /// Waits for the next message.
    ///
    /// # Errors
    /// When the run has ended and everything was read.
    pub(super) fn recv(&self) -> Result<WorkerMessage, RecvError> {
        let message = self.receiver.recv()?;
        let bytes = message.bytes();
        if bytes > 0 {
            self.ready.lock().bytes -= bytes;
            *lock(&self.own) -= 1;
            self.ready.0.1.notify_all();
        }
        Ok(message)
    }
}

fn lock(own: &Mutex<usize>) -> MutexGuard<'_, usize> {
    own.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::frame::{Rgb, Time};

    /// A frame of a third of the budget.
    fn message(index: usize) -> WorkerMessage {
        let image = Rgb { width: 1, height: 1, data: vec![0; MAX_READY_BYTES / 3] };
        WorkerMessage::Frame {
            frame: Frame { index, time: Time::new(0, 1), image },
            copies: 1,
            repeated: false,
            damaged: false,
        }
    }

    #[test]
    fn runs_decode_ahead_within_the_budget_and_the_first_one_never_waits_for_others() {
        let ready = ReadyFrames::default();
        let (first, read_first) = ready.queue();
        let (second, read_second) = ready.queue();
        let sent = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for index in 0..5 {
                    second.send(message(index)).unwrap();
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                drop(second);
            });
            while sent.load(Ordering::Relaxed) < 3 {
                std::thread::sleep(Duration::from_millis(1));
            }
            // The budget is used up, and the first run still goes on.
            first.send(message(0)).unwrap();
            assert!(read_first.recv().is_ok());
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(sent.load(Ordering::Relaxed), 3, "the second run waits");
            for _ in 0..5 {
                assert!(read_second.recv().is_ok());
            }
            assert!(read_second.recv().is_err());
        });
        assert_eq!(ready.lock().bytes, 0);
    }

    #[test]
    fn a_closed_queue_lets_its_worker_go() {
        let ready = ReadyFrames::default();
        let (sender, receiver) = ready.queue();
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| (0..5).all(|index| sender.send(message(index)).is_ok()));
            std::thread::sleep(Duration::from_millis(5));
            drop(receiver);
            ready.close();
            assert!(!worker.join().unwrap());
        });
    }
}
