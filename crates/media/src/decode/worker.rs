//! The worker threads: each decodes one run at a time, with the next decoder when the first one fails.
//!
//! A run whose decoder refuses it or meets an error is decoded again from its keyframe by the next one. The last
//! decoder goes on after errors. With threads to spare, a decoder that shares its work among threads comes first.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use super::codec::decoder::{DecodedFrame, VideoDecoder};
use super::decodable_track::DecodableTrack;
use super::decoder_panic::catch_decoder_panic;
use super::frame_queue::FrameSender;
use super::reorder::ReorderBuffer;
use super::seek::DecodeRun;
use crate::error::{MediaError, malformed};

/// One run to decode and where its frames go.
pub(super) struct DecodeJob {
    pub(super) run: DecodeRun,
    pub(super) answers: FrameSender,
}

/// Decodes jobs of `queue` until it is closed, each on up to `threads` threads. `stop` ends the job at hand.
pub(super) fn work(track: &DecodableTrack, threads: usize, queue: &Mutex<Receiver<DecodeJob>>, stop: &AtomicBool) {
    loop {
        let job = match queue.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return,
        };
        let Ok(job) = job else { return };
        decode_job(track, threads, &job, stop);
    }
}

/// How one decoder fared with a run.
enum Outcome {
    /// All frames were sent, or nobody receives them any more.
    Done,
    /// The next decoder should try.
    Failed(MediaError),
}

fn decode_job(track: &DecodableTrack, threads: usize, job: &DecodeJob, stop: &AtomicBool) {
    let decoders = track.factory.names().len();
    let mut buffer = ReorderBuffer::new(track, &job.run.requested, &job.answers);
    let mut decoder_index = track.decoder_index.load(Ordering::Relaxed).min(decoders.saturating_sub(1));
    let mut threads = if track.one_thread.load(Ordering::Relaxed) { 1 } else { threads };
    loop {
        let threaded = threads > 1 && track.factory.has_threads(decoder_index);
        let last = !threaded && decoder_index + 1 >= decoders;
        let make = || track.factory.make_with_threads(decoder_index, if threaded { threads } else { 1 });
        match decode_run(track, &job.run, make, last, &mut buffer, stop) {
            Outcome::Done => return,
            Outcome::Failed(error @ MediaError::Limit { .. }) => return buffer.fail(error),
            Outcome::Failed(error) if last => return buffer.fail(error),
            Outcome::Failed(error) if threaded => {
                let refused = matches!(error, MediaError::Unsupported { .. });
                track.one_thread.fetch_or(refused, Ordering::Relaxed);
                tracing::debug!("{} threads on the run at {}: {error}", threads, job.run.start);
                threads = 1;
            }
            Outcome::Failed(MediaError::Unsupported { .. }) => {
                decoder_index += 1;
                track.decoder_index.fetch_max(decoder_index, Ordering::Relaxed);
            }
            Outcome::Failed(error) => {
                let name = track.factory.names()[decoder_index];
                tracing::debug!("{name} on the run at {}: {error}", job.run.start);
                decoder_index += 1;
            }
        }
    }
}

fn decode_run(
    track: &DecodableTrack,
    run: &DecodeRun,
    make: impl Fn() -> Result<Box<dyn VideoDecoder>, MediaError>,
    last_decoder: bool,
    buffer: &mut ReorderBuffer,
    stop: &AtomicBool,
) -> Outcome {
    let mut decoder = match catch_decoder_panic("video stream", make) {
        Ok(decoder) => decoder,
        Err(error) => return Outcome::Failed(error),
    };
    buffer.restart(last_decoder);
    let mut frames = Vec::new();
    for sample in run.start..=run.last {
        if stop.load(Ordering::Relaxed) {
            return Outcome::Done;
        }
        if track.index.is_skipped(track.samples(), run.start, sample) {
            continue;
        }
        let result = feed(track, decoder.as_mut(), sample, buffer, &mut frames);
        if result.is_err() {
            buffer.note_damage(sample);
        }
        if buffer.take(&mut frames, sample) {
            return Outcome::Done;
        }
        match result {
            Ok(()) => {}
            Err(error @ (MediaError::Limit { .. } | MediaError::Unsupported { .. } | MediaError::Bug(_))) => {
                return Outcome::Failed(error);
            }
            Err(error) if !last_decoder => return Outcome::Failed(error),
            Err(error) => tracing::debug!("sample {sample}: {error}"),
        }
    }
    let result = catch_decoder_panic("video stream", || decoder.finish(&mut frames));
    if buffer.take(&mut frames, usize::MAX) {
        return Outcome::Done;
    }
    match result {
        Err(error) if !last_decoder => Outcome::Failed(error),
        _ if !last_decoder => Outcome::Failed(malformed("video stream", "a frame is missing")),
        _ => {
            buffer.conceal_rest();
            Outcome::Done
        }
    }
}

fn feed(
    track: &DecodableTrack,
    decoder: &mut dyn VideoDecoder,
    sample: usize,
    buffer: &mut ReorderBuffer,
    out: &mut Vec<DecodedFrame>,
) -> Result<(), MediaError> {
    let (data, requested) = (track.movie.read_sample(&track.source, sample)?, buffer.is_requested(sample));
    if track.factory.is_overwritten(&data) {
        buffer.note_damage(sample);
    }
    catch_decoder_panic("video stream", || decoder.push(sample, &data, requested, out))
}
