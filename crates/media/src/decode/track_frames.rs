//! Frames of a video track as an iterator: runs are decoded side by side, frames handed over in presentation order.
//!
//! A run (`seek.rs`) is one job of one worker thread. Where there are fewer runs than threads, decoders that can share
//! their work get the rest. Every run in flight has its own queue, and all queues together a budget of bytes. Memory is
//! therefore bounded by that budget plus the decoders' own reference pictures, however many frames are requested.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::decodable_track::DecodableTrack;
use super::frame_queue::{FrameReceiver, ReadyFrames, WorkerMessage};
use super::seek::DecodeRun;
use super::worker::{DecodeJob, work};
use crate::error::{MediaError, malformed};
use crate::frame::Frame;

/// Bytes a decoder takes per pixel of the frame: up to 16 reference pictures of 1.5 bytes, and working space.
const BYTES_PER_PIXEL: u64 = 40;
/// Bytes that all decoders of a clip may take together before fewer threads are used.
const MAX_DECODER_BYTES: u64 = 1 << 30;

/// Requested frames of a track, decoded as they are taken.
pub(crate) struct TrackFrames {
    runs: std::vec::IntoIter<DecodeRun>,
    jobs: Option<Sender<DecodeJob>>,
    /// The queues of the runs in flight, in presentation order.
    in_flight: VecDeque<FrameReceiver>,
    ready: ReadyFrames,
    workers: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    copies: VecDeque<Frame>,
    failed: bool,
    given: usize,
    /// Frames given with the image of a neighbor.
    pub(crate) repeated: usize,
    /// Frames given that may show damage.
    pub(crate) damaged: usize,
    /// Frames not given at all.
    pub(crate) lost: usize,
}

impl TrackFrames {
    /// Starts at most `threads` workers for the frames at ascending `indices`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn new(track: &Arc<DecodableTrack>, indices: &[usize], threads: usize) -> Result<Self, MediaError> {
        let runs = track.index.runs(track.samples(), indices);
        let (jobs, queue) = channel::<DecodeJob>();
        let queue = Arc::new(Mutex::new(queue));
        let stop = Arc::new(AtomicBool::new(false));
        let mut frames = TrackFrames {
            workers: Vec::new(),
            jobs: Some(jobs),
            in_flight: VecDeque::new(),
            ready: ReadyFrames::default(),
            stop: stop.clone(),
            copies: VecDeque::new(),
            failed: false,
            given: 0,
            repeated: 0,
            damaged: 0,
            lost: 0,
            runs: Vec::new().into_iter(),
        };
        let (width, height) = (track.movie.track.width, track.movie.track.height);
        let decoder_bytes = (u64::from(width) * u64::from(height) * BYTES_PER_PIXEL).max(1);
        let threads = threads.min((MAX_DECODER_BYTES / decoder_bytes) as usize).max(1);
        // With a few runs of unequal length each gets more than its share, so that the last one is not left alone.
        let threads_per_run = (2 * threads).div_ceil(runs.len().max(1)).min(threads);
        for _ in 0..threads.min(runs.len()) {
            let (track, queue, stop) = (track.clone(), queue.clone(), stop.clone());
            let work = move || work(&track, threads_per_run, &queue, &stop);
            frames.workers.push(std::thread::Builder::new().name("decode".into()).spawn(work)?);
        }
        frames.runs = runs.into_iter();
        Ok(frames)
    }

    /// Keeps one job per worker in flight, plus one waiting.
    fn refill(&mut self) {
        while self.in_flight.len() <= self.workers.len() {
            let (Some(jobs), Some(run)) = (&self.jobs, self.runs.next()) else { return };
            let (answers, receiver) = self.ready.queue();
            if jobs.send(DecodeJob { run, answers }).is_err() {
                return;
            }
            self.in_flight.push_back(receiver);
        }
    }

    /// The end of the iterator: an error when frames were requested and none came.
    fn end(&mut self) -> Option<Result<Frame, MediaError>> {
        if self.given == 0 && self.lost > 0 && !self.failed {
            self.failed = true;
            let what = format!("none of the {} wanted frames could be decoded", self.lost);
            return Some(Err(malformed("video stream", what)));
        }
        None
    }
}

impl Iterator for TrackFrames {
    type Item = Result<Frame, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(frame) = self.copies.pop_front() {
            return Some(Ok(frame));
        }
        while !self.failed {
            self.refill();
            let Some(receiver) = self.in_flight.front() else { return self.end() };
            match receiver.recv() {
                Ok(WorkerMessage::Frame { frame, copies, repeated, damaged }) => {
                    self.given += 1;
                    self.repeated += usize::from(repeated);
                    self.damaged += usize::from(damaged && !repeated);
                    self.copies.extend((1..copies).map(|_| frame.clone()));
                    return Some(Ok(frame));
                }
                Ok(WorkerMessage::Lost(count)) => self.lost += count,
                Ok(WorkerMessage::Failed(error)) => {
                    self.failed = true;
                    return Some(Err(error));
                }
                Err(_) => {
                    self.in_flight.pop_front();
                }
            }
        }
        None
    }
}

impl Drop for TrackFrames {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        self.in_flight.clear();
        self.ready.close();
        for worker in self.workers.drain(..) {
            // A worker that panicked has already closed its queue; there is nothing left to tell.
            let _ = worker.join();
        }
    }
}
