//! Frames of a video track as a stream: groups decoded side by side, frames handed over in presentation order.
//!
//! A group (plan.rs) is one job of one worker thread. Every group in flight has its own short queue, so memory is
//! bounded by threads times queue length plus the decoders' own reference pictures, however many frames are wanted.
//!
//! Damage: a group whose first decoder refuses or stumbles is decoded again from its key by the next one, and the last
//! decoder goes on after errors. A wanted frame that still does not come out is given as the nearest earlier picture of
//! its group (what a player would leave on the screen), else the nearest later one; a group without any picture gives
//! nothing. `Frames` counts both.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::codec::{Decode, Picture, Recipe};
use crate::colour::to_rgb;
use crate::container::Movie;
use crate::container::source::Source;
use crate::error::MediaError;
use crate::frame::{Frame, Rgb, Time};
use crate::plan::{Group, Order, Want};
use crate::quiet::guarded;
use crate::rotate::rotate;
use crate::track::Colour;

/// Frames a group may have ready before its worker waits.
const QUEUE: usize = 2;
/// Bytes a decoder takes for each pixel of the picture: up to 16 reference pictures of 1.5 bytes, and working space.
const BYTES_A_PIXEL: u64 = 40;
/// Bytes that all decoders of a clip may take together before fewer threads are used.
const MEMORY: u64 = 1 << 30;
/// A wanted picture is taken for lost when the decoder has had this many more samples (no codec reorders further).
const LOST_AFTER: usize = 24;

/// A video track that can be decoded here.
pub(crate) struct Track {
    pub(crate) source: Source,
    pub(crate) movie: Movie,
    pub(crate) order: Order,
    pub(crate) recipe: Recipe,
    pub(crate) colour: Colour,
    /// The decoder to start with; raised when one refuses the stream as unsupported.
    pub(crate) choice: AtomicUsize,
}

impl Track {
    /// Presentation time of `sample`.
    pub(crate) fn time(&self, sample: usize) -> Time {
        Time::new(self.movie.track.samples[sample].pts, self.movie.track.timescale)
    }

    fn picture(&self, picture: &Picture) -> Rgb {
        let colour = picture.colour.map_or(self.colour, |own| merge(own, self.colour));
        rotate(to_rgb(&picture.yuv, colour), self.movie.track.rotation)
    }
}

/// The bitstream's tags where it has them, else the container's.
pub(crate) fn merge(bitstream: Colour, container: Colour) -> Colour {
    Colour {
        matrix: bitstream.matrix.or(container.matrix),
        full_range: bitstream.full_range.or(container.full_range),
        primaries: bitstream.primaries.or(container.primaries),
        transfer: bitstream.transfer.or(container.transfer),
    }
}

/// What a worker says about its group.
enum Message {
    /// A frame, how often it is wanted, and whether it stands in for a lost one.
    Frame { frame: Frame, copies: usize, repeated: bool },
    /// Frames of the group for which there is no picture at all.
    Lost(usize),
    /// The group cannot be decoded.
    Failed(MediaError),
}

struct Job {
    group: Group,
    answers: SyncSender<Message>,
}

/// The iterator behind `Clip::at` for tracks.
pub(crate) struct TrackFrames {
    groups: std::vec::IntoIter<Group>,
    jobs: Option<Sender<Job>>,
    flight: VecDeque<Receiver<Message>>,
    workers: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    copies: VecDeque<Frame>,
    failed: bool,
    given: usize,
    /// Frames given as the picture of a neighbour.
    pub(crate) repeated: usize,
    /// Frames not given at all.
    pub(crate) lost: usize,
}

impl TrackFrames {
    /// Starts at most `threads` workers for the frames at ascending `indices`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn new(track: &Arc<Track>, indices: &[usize], threads: usize) -> Result<Self, MediaError> {
        let groups = track.order.groups(&track.movie.track.samples, indices);
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let stop = Arc::new(AtomicBool::new(false));
        let mut frames = TrackFrames {
            workers: Vec::new(),
            jobs: Some(jobs),
            flight: VecDeque::new(),
            stop: stop.clone(),
            copies: VecDeque::new(),
            failed: false,
            given: 0,
            repeated: 0,
            lost: 0,
            groups: Vec::new().into_iter(),
        };
        let (width, height) = (track.movie.track.width, track.movie.track.height);
        let each = (u64::from(width) * u64::from(height) * BYTES_A_PIXEL).max(1);
        let threads = threads.min((MEMORY / each) as usize).max(1);
        for _ in 0..threads.min(groups.len()) {
            let (track, queue, stop) = (track.clone(), queue.clone(), stop.clone());
            let work = move || work(&track, &queue, &stop);
            frames.workers.push(std::thread::Builder::new().name("decode".into()).spawn(work)?);
        }
        frames.groups = groups.into_iter();
        Ok(frames)
    }

    /// Keeps one job a worker in flight, plus one waiting.
    fn refill(&mut self) {
        while self.flight.len() <= self.workers.len() {
            let (Some(jobs), Some(group)) = (&self.jobs, self.groups.next()) else { return };
            let (answers, receiver) = sync_channel(QUEUE);
            if jobs.send(Job { group, answers }).is_err() {
                return;
            }
            self.flight.push_back(receiver);
        }
    }

    fn end(&mut self) -> Option<Result<Frame, MediaError>> {
        if self.given == 0 && self.lost > 0 && !self.failed {
            self.failed = true;
            let what = format!("none of the {} wanted frames could be decoded", self.lost);
            return Some(Err(MediaError::Malformed { part: "video stream", what }));
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
            let Some(receiver) = self.flight.front() else { return self.end() };
            match receiver.recv() {
                Ok(Message::Frame { frame, copies, repeated }) => {
                    self.given += 1;
                    self.repeated += usize::from(repeated);
                    self.copies.extend((1..copies).map(|_| frame.clone()));
                    return Some(Ok(frame));
                }
                Ok(Message::Lost(count)) => self.lost += count,
                Ok(Message::Failed(error)) => {
                    self.failed = true;
                    return Some(Err(error));
                }
                Err(_) => {
                    self.flight.pop_front();
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
        self.flight.clear();
        for worker in self.workers.drain(..) {
            // A worker that panicked has already closed its queue; there is nothing left to tell.
            let _ = worker.join();
        }
    }
}

fn work(track: &Track, queue: &Mutex<Receiver<Job>>, stop: &AtomicBool) {
    loop {
        let job = match queue.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return,
        };
        let Ok(job) = job else { return };
        decode_group(track, &job, stop);
    }
}

/// How one decoder fared with a group.
enum Outcome {
    /// All frames were given, or nobody wants them any more.
    Done,
    /// The next decoder should try.
    Failed(MediaError),
}

fn decode_group(track: &Track, job: &Job, stop: &AtomicBool) {
    let decoders = track.recipe.names().len();
    let mut emitter = Emitter::new(track, job);
    let mut choice = track.choice.load(Ordering::Relaxed).min(decoders.saturating_sub(1));
    loop {
        let last = choice + 1 >= decoders;
        match run(track, &job.group, choice, last, &mut emitter, stop) {
            Outcome::Done => return,
            Outcome::Failed(error @ MediaError::Limit { .. }) => return emitter.fail(error),
            Outcome::Failed(error) if last => return emitter.fail(error),
            Outcome::Failed(MediaError::Unsupported { .. }) => {
                choice += 1;
                track.choice.fetch_max(choice, Ordering::Relaxed);
            }
            Outcome::Failed(error) => {
                tracing::debug!("{} on group at {}: {error}", track.recipe.names()[choice], job.group.start);
                choice += 1;
            }
        }
    }
}

fn run(track: &Track, group: &Group, choice: usize, last: bool, emitter: &mut Emitter, stop: &AtomicBool) -> Outcome {
    let mut decoder = match guarded("video stream", || track.recipe.make(choice)) {
        Ok(decoder) => decoder,
        Err(error) => return Outcome::Failed(error),
    };
    emitter.restart(last);
    let samples = &track.movie.track.samples;
    let mut pictures = Vec::new();
    for sample in group.start..=group.last {
        if stop.load(Ordering::Relaxed) {
            return Outcome::Done;
        }
        if track.order.skipped(samples, group.start, sample) {
            continue;
        }
        let result = feed(track, decoder.as_mut(), sample, emitter.wants(sample), &mut pictures);
        if emitter.take(&mut pictures, sample) {
            return Outcome::Done;
        }
        match result {
            Ok(()) => {}
            Err(error @ (MediaError::Limit { .. } | MediaError::Unsupported { .. } | MediaError::Bug(_))) => {
                return Outcome::Failed(error);
            }
            Err(error) if !last => return Outcome::Failed(error),
            Err(error) => tracing::debug!("sample {sample}: {error}"),
        }
    }
    let result = guarded("video stream", || decoder.finish(&mut pictures));
    if emitter.take(&mut pictures, usize::MAX) {
        return Outcome::Done;
    }
    match result {
        Err(error) if !last => Outcome::Failed(error),
        _ if !last => {
            Outcome::Failed(MediaError::Malformed { part: "video stream", what: "a frame is missing".into() })
        }
        _ => {
            emitter.give_up();
            Outcome::Done
        }
    }
}

fn feed(
    track: &Track,
    decoder: &mut dyn Decode,
    sample: usize,
    wanted: bool,
    out: &mut Vec<Picture>,
) -> Result<(), MediaError> {
    let data = track.movie.read_sample(&track.source, sample)?;
    guarded("video stream", || decoder.push(sample, &data, wanted, out))
}

/// Turns pictures in decoding order into frames in presentation order.
struct Emitter<'a> {
    track: &'a Track,
    answers: &'a SyncSender<Message>,
    wants: &'a [Want],
    /// Position in `wants` by sample.
    place: BTreeMap<usize, usize>,
    next: usize,
    /// Wanted pictures that wait for earlier ones, by position in `wants`.
    ready: BTreeMap<usize, Picture>,
    /// The latest picture presented before the next wanted frame.
    earlier: Option<Picture>,
    /// Whether lost frames are replaced (the last decoder is at work).
    replace: bool,
}

impl<'a> Emitter<'a> {
    fn new(track: &'a Track, job: &'a Job) -> Self {
        let wants = &job.group.wants;
        let place = wants.iter().enumerate().map(|(i, want)| (want.sample, i)).collect();
        let (ready, earlier) = (BTreeMap::new(), None);
        Emitter { track, answers: &job.answers, wants, place, next: 0, ready, earlier, replace: false }
    }

    /// A new decoder starts from the key; frames already given stay given.
    fn restart(&mut self, last: bool) {
        self.replace = last;
        self.ready.clear();
    }

    fn wants(&self, sample: usize) -> bool {
        self.place.contains_key(&sample)
    }

    fn pts(&self, sample: usize) -> i64 {
        self.track.movie.track.samples[sample].pts
    }

    /// Takes pictures after `fed` was fed; true when all frames are given or nobody listens.
    fn take(&mut self, pictures: &mut Vec<Picture>, fed: usize) -> bool {
        for picture in pictures.drain(..) {
            match self.place.get(&picture.sample) {
                Some(&at) if at >= self.next => {
                    self.ready.insert(at, picture);
                }
                Some(_) => {}
                None => self.remember(picture),
            }
        }
        while let Some(want) = self.wants.get(self.next) {
            if let Some(picture) = self.ready.remove(&self.next) {
                if !self.send(&picture, false) {
                    return true;
                }
                self.earlier = Some(picture);
            } else if self.replace && fed != usize::MAX && fed > want.sample.saturating_add(LOST_AFTER) {
                let Some(picture) = self.earlier.take() else { return false };
                if !self.send(&picture, true) {
                    return true;
                }
                self.earlier = Some(picture);
            } else {
                return false;
            }
        }
        true
    }

    /// Keeps a picture nobody asked for while it may stand in for the next wanted one.
    fn remember(&mut self, picture: Picture) {
        let Some(want) = self.wants.get(self.next) else { return };
        let pts = self.pts(picture.sample);
        let newer = self.earlier.as_ref().is_none_or(|e| pts >= self.pts(e.sample));
        if newer && pts <= self.pts(want.sample) {
            self.earlier = Some(picture);
        }
    }

    /// The decoders are through: what is missing is replaced by a neighbour.
    fn give_up(&mut self) {
        while self.next < self.wants.len() {
            let (picture, own) = match self.ready.remove(&self.next) {
                Some(picture) => (picture, true),
                None => match self.earlier.take().or_else(|| self.ready.pop_first().map(|(_, p)| p)) {
                    Some(picture) => (picture, false),
                    None => {
                        // Nobody listening is no failure.
                        let _ = self.answers.send(Message::Lost(self.wants.len() - self.next));
                        return;
                    }
                },
            };
            if !self.send(&picture, !own) {
                return;
            }
            if self.wants.get(self.next).is_some_and(|w| w.sample == picture.sample) {
                self.ready.insert(self.next, picture);
            } else {
                self.earlier = Some(picture);
            }
        }
    }

    /// Gives `picture` as the next wanted frame; false when nobody listens any more.
    fn send(&mut self, picture: &Picture, repeated: bool) -> bool {
        let want = &self.wants[self.next];
        self.next += 1;
        let image = self.track.picture(picture);
        let frame = Frame { index: want.index, time: self.track.time(want.sample), image };
        self.answers.send(Message::Frame { frame, copies: want.copies, repeated }).is_ok()
    }

    fn fail(&self, error: MediaError) {
        // Nobody listening is no failure.
        let _ = self.answers.send(Message::Failed(error));
    }
}
