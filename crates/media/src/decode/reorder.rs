//! Reordering: decoded frames come in decoding order (or in a decoder's output order) and leave in presentation order.
//!
//! A requested frame that does not come out is concealed with the nearest earlier frame of its run, which is what a
//! player would leave on the screen. Without one, the nearest later frame is taken.

use std::collections::BTreeMap;

use super::codec::decoder::DecodedFrame;
use super::decodable_track::DecodableTrack;
use super::frame_queue::{FrameSender, WorkerMessage};
use super::seek::RequestedFrame;
use crate::error::MediaError;
use crate::frame::Frame;

/// A requested frame is taken for lost after this many more samples, because no codec reorders further.
const LOST_AFTER: usize = 24;

/// Turns decoded frames into requested frames in presentation order, and sends them.
pub(super) struct ReorderBuffer<'a> {
    track: &'a DecodableTrack,
    answers: &'a FrameSender,
    requested: &'a [RequestedFrame],
    /// Position in `requested` by sample.
    position: BTreeMap<usize, usize>,
    /// Position in `requested` of the next frame to send.
    next: usize,
    /// Requested frames that wait for earlier ones, by position in `requested`.
    ready: BTreeMap<usize, DecodedFrame>,
    /// The latest frame presented before the next requested one.
    earlier: Option<DecodedFrame>,
    /// Whether lost frames are concealed (the last decoder is at work).
    conceal: bool,
    /// The sample at which the decoder met its first error. What is decoded from there on may refer to it.
    damaged_from: Option<usize>,
}

impl<'a> ReorderBuffer<'a> {
    pub(super) fn new(track: &'a DecodableTrack, requested: &'a [RequestedFrame], answers: &'a FrameSender) -> Self {
        let position = requested.iter().enumerate().map(|(i, frame)| (frame.sample, i)).collect();
        let (ready, earlier) = (BTreeMap::new(), None);
        let (conceal, damaged_from) = (false, None);
        ReorderBuffer { track, answers, requested, position, next: 0, ready, earlier, conceal, damaged_from }
    }

    /// Prepares for a new decoder that starts from the keyframe. Frames already sent stay sent.
    pub(super) fn restart(&mut self, last_decoder: bool) {
        self.conceal = last_decoder;
        self.damaged_from = None;
        self.ready.clear();
    }

    /// Notes that the decoder met an error in `sample` and goes on.
    pub(super) fn note_damage(&mut self, sample: usize) {
        self.damaged_from.get_or_insert(sample);
    }

    /// Whether the frame of `sample` is requested.
    pub(super) fn is_requested(&self, sample: usize) -> bool {
        self.position.contains_key(&sample)
    }

    fn pts(&self, sample: usize) -> i64 {
        self.track.samples()[sample].pts
    }

    /// Takes the frames that came after sample `fed` was fed (`usize::MAX` after the last). True when all requested
    /// frames are sent or nobody receives any more.
    pub(super) fn take(&mut self, frames: &mut Vec<DecodedFrame>, fed: usize) -> bool {
        for frame in frames.drain(..) {
            match self.position.get(&frame.sample) {
                Some(&at) if at >= self.next => {
                    self.ready.insert(at, frame);
                }
                Some(_) => {}
                None => self.remember(frame),
            }
        }
        while let Some(request) = self.requested.get(self.next) {
            if let Some(frame) = self.ready.remove(&self.next) {
                if !self.send(&frame, false) {
                    return true;
                }
                self.earlier = Some(frame);
            } else if self.conceal && fed != usize::MAX && fed > request.sample.saturating_add(LOST_AFTER) {
                let Some(frame) = self.earlier.take() else { return false };
                if !self.send(&frame, true) {
                    return true;
                }
                self.earlier = Some(frame);
            } else {
                return false;
            }
        }
        true
    }

    /// Keeps a frame that nobody requested while it may stand in for the next requested one.
    fn remember(&mut self, frame: DecodedFrame) {
        let Some(request) = self.requested.get(self.next) else { return };
        let pts = self.pts(frame.sample);
        let newer = self.earlier.as_ref().is_none_or(|e| pts >= self.pts(e.sample));
        if newer && pts <= self.pts(request.sample) {
            self.earlier = Some(frame);
        }
    }

    /// Ends the run: every frame still missing is concealed with a neighbor, or reported as lost when there is none.
    pub(super) fn conceal_rest(&mut self) {
        while self.next < self.requested.len() {
            let (frame, own) = match self.ready.remove(&self.next) {
                Some(frame) => (frame, true),
                None => match self.earlier.take().or_else(|| self.ready.pop_first().map(|(_, f)| f)) {
                    Some(frame) => (frame, false),
                    None => {
                        // A receiver that is gone is no failure.
                        let _ = self.answers.send(WorkerMessage::Lost(self.requested.len() - self.next));
                        return;
                    }
                },
            };
            if !self.send(&frame, !own) {
                return;
            }
            if self.requested.get(self.next).is_some_and(|r| r.sample == frame.sample) {
                self.ready.insert(self.next, frame);
            } else {
                self.earlier = Some(frame);
            }
        }
    }

    /// Sends `frame` as the next requested one; false when nobody receives any more.
    fn send(&mut self, frame: &DecodedFrame, repeated: bool) -> bool {
        let request = &self.requested[self.next];
        self.next += 1;
        let image = self.track.to_image(frame);
        let damaged = self.damaged_from.is_some_and(|first| first <= frame.sample);
        let frame = Frame { index: request.index, time: self.track.time(request.sample), image };
        self.answers.send(WorkerMessage::Frame { frame, copies: request.copies, repeated, damaged }).is_ok()
    }

    /// Reports that the run cannot be decoded.
    pub(super) fn fail(&self, error: MediaError) {
        // A receiver that is gone is no failure.
        let _ = self.answers.send(WorkerMessage::Failed(error));
    }
}
