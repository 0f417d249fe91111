//! AV1 through a decoder process. Every sample is decoded: hidden frames update what later ones refer to.

use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::super::decoder_process::ARGUMENT;
use super::super::decoder_process::av1_worker::Av1Worker;
use super::super::decoder_process::limited_command::limited_command;
use super::super::decoder_process::running::{kill, started};
use super::super::decoder_process::wire::{
    HELLO, WireFrame, read_answers, request_decode, request_finish, request_reset,
};
use super::decoder::{DecodedFrame, VideoDecoder};
use crate::color::description::Color;
use crate::color::yuv::{Plane, YuvImage};
use crate::error::{MediaError, malformed};
use crate::options::OpenOptions;

/// The longest time a process may take over one sample.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Idle processes that wait for the next run of samples of the same clip.
#[derive(Clone, Default)]
pub(super) struct ProcessPool(Arc<Mutex<Vec<DecoderProcess>>>);

impl std::fmt::Debug for ProcessPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProcessPool")
    }
}

/// The decoder for AV1: the parent's side of a decoder process.
pub(super) struct Av1Client {
    /// `None` after the process has failed.
    process: Option<DecoderProcess>,
    pool: ProcessPool,
    max_pixels: u64,
}

impl Av1Client {
    /// Takes an idle process or starts one, which decodes on `threads` threads.
    pub(super) fn new(options: &OpenOptions, pool: &ProcessPool, threads: usize) -> Result<Self, MediaError> {
        let idle = pool.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut process = match idle {
            Some(process) => process,
            None => DecoderProcess::start(options)?,
        };
        let max_pixels = options.limits.pixels;
        let (_, error) =
            process.ask(max_pixels, |input| request_reset(input, max_pixels, threads as u32)).map_err(failed)?;
        match error {
            Some(text) => Err(MediaError::Bug(text)),
            None => Ok(Av1Client { process: Some(process), pool: pool.clone(), max_pixels }),
        }
    }
}

impl VideoDecoder for Av1Client {
    fn push(
        &mut self,
        sample: usize,
        data: &[u8],
        _requested: bool,
        out: &mut Vec<DecodedFrame>,
    ) -> Result<(), MediaError> {
        self.ask(out, |input| request_decode(input, sample as u64, data))
    }

    fn finish(&mut self, out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        self.ask(out, request_finish)
    }
}

impl Av1Client {
    /// Sends one request to the process and takes the frames of its answer.
    fn ask(
        &mut self,
        out: &mut Vec<DecodedFrame>,
        request: impl FnOnce(&mut ChildStdin) -> io::Result<()>,
    ) -> Result<(), MediaError> {
        let Some(process) = &mut self.process else { return Err(failed("it has ended")) };
        let (frames, error) = match process.ask(self.max_pixels, request) {
            Ok(answer) => answer,
            Err(error) => {
                self.process = None;
                return Err(failed(error));
            }
        };
        for frame in frames {
            out.push(decoded_frame(frame)?);
        }
        error.map_or(Ok(()), |text| Err(malformed("AV1 stream", text)))
    }
}

impl Drop for Av1Client {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).push(process);
        }
    }
}

/// The decoder for AV1 in this process, which it can abort.
pub(super) struct Av1Here(Av1Worker);

impl Av1Here {
    /// A decoder on `threads` threads.
    pub(super) fn new(options: &OpenOptions, threads: usize) -> Result<Self, MediaError> {
        let mut worker = Av1Worker::default();
        worker.reset(options.limits.pixels, threads as u32).map_err(MediaError::Bug)?;
        Ok(Av1Here(worker))
    }

    fn decode(
        &mut self,
        out: &mut Vec<DecodedFrame>,
        work: impl FnOnce(&mut Av1Worker, &mut dyn FnMut(WireFrame)) -> Result<(), String>,
    ) -> Result<(), MediaError> {
        let mut frames = Vec::new();
        let result = work(&mut self.0, &mut |frame| frames.push(frame));
        for frame in frames {
            out.push(decoded_frame(frame)?);
        }
        result.map_err(|text| malformed("AV1 stream", text))
    }
}

impl VideoDecoder for Av1Here {
    fn push(
        &mut self,
        sample: usize,
        data: &[u8],
        _requested: bool,
        out: &mut Vec<DecodedFrame>,
    ) -> Result<(), MediaError> {
        self.decode(out, |worker, emit| worker.push(sample as u64, data, emit))
    }

    fn finish(&mut self, out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        self.decode(out, |worker, emit| worker.finish(emit))
    }
}

/// The error for a process that failed.
fn failed(why: impl std::fmt::Display) -> MediaError {
    malformed("AV1 stream", format!("the decoder process gave up on it ({why})"))
}

fn decoded_frame(frame: WireFrame) -> Result<DecodedFrame, MediaError> {
    // Code 2 means unspecified.
    let specified = |code: u8| (code != 2).then_some(code);
    let [matrix, primaries, transfer] = frame.color_codes.map(specified);
    let bit_depth = frame.bit_depth;
    let yuv = YuvImage {
        width: frame.width as usize,
        height: frame.height as usize,
        bit_depth,
        half_width_chroma: matches!(frame.layout, 1 | 2),
        half_height_chroma: frame.layout == 1,
        interlaced: false,
        left_sited_chroma: false,
        planes: frame.planes.map(|plane| Plane::from_le_bytes(plane, bit_depth)),
    };
    yuv.check().map_err(|what| malformed("AV1 picture", what))?;
    let color = Color { matrix, full_range: Some(frame.full_range), primaries, transfer };
    Ok(DecodedFrame { sample: frame.sample as usize, yuv, color: Some(color) })
}

/// A running decoder process. Dropping it ends it.
struct DecoderProcess {
    child: Arc<Mutex<Child>>,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    timeout: Duration,
    /// Starts (`true`) and ends (`false`) the watch over one request.
    watchdog: Sender<bool>,
}

impl DecoderProcess {
    fn start(options: &OpenOptions) -> Result<Self, MediaError> {
        let program: PathBuf = match &options.child_program {
            Some(program) => program.clone(),
            None => std::env::current_exe()?,
        };
        let arguments = [OsString::from(ARGUMENT)];
        let mut command = limited_command(program.as_os_str(), &arguments, options.limits.child_bytes);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(MediaError::Bug("the AV1 decoder process was started without pipes".into()));
        };
        let timeout = SAMPLE_TIMEOUT.min(options.limits.child_time);
        let child = started(child);
        let watchdog = start_watchdog(child.clone(), timeout)?;
        let mut process = DecoderProcess { child, input, output: BufReader::new(output), timeout, watchdog };
        let mut hello = [0; HELLO.len()];
        process.watched(|process| process.output.read_exact(&mut hello)).map_err(|_| no_decoder_process())?;
        if hello != *HELLO { Err(no_decoder_process()) } else { Ok(process) }
    }

    /// Sends one request and reads its answers.
    fn ask(
        &mut self,
        max_pixels: u64,
        request: impl FnOnce(&mut ChildStdin) -> io::Result<()>,
    ) -> io::Result<(Vec<WireFrame>, Option<String>)> {
        self.watched(|process| {
            request(&mut process.input)?;
            read_answers(&mut process.output, max_pixels)
        })
    }

    /// Runs `work` under the watchdog. The error says so when the time was over.
    fn watched<T>(&mut self, work: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        let start = std::time::Instant::now();
        // A watchdog that is gone means a process that is gone; the work itself will say so.
        let _ = self.watchdog.send(true);
        let result = work(self);
        let _ = self.watchdog.send(false);
        let late = start.elapsed() >= self.timeout;
        result.map_err(|e| if late { io::Error::from(io::ErrorKind::TimedOut) } else { e })
    }
}

impl Drop for DecoderProcess {
    fn drop(&mut self) {
        kill(&self.child);
    }
}

/// Starts a thread that kills `child` when a request takes longer than `timeout`.
fn start_watchdog(child: Arc<Mutex<Child>>, timeout: Duration) -> io::Result<Sender<bool>> {
    let (sender, events) = channel::<bool>();
    std::thread::Builder::new().name("av1 watch".into()).spawn(move || {
        while let Ok(started) = events.recv() {
            if started && events.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout) {
                return kill(&child);
            }
        }
    })?;
    Ok(sender)
}

fn no_decoder_process() -> MediaError {
    MediaError::Unsupported {
        what: "AV1 without a decoder process".into(),
        remedy: format!("run through the zoetrope program, or set child_program to one that answers to {ARGUMENT}"),
    }
}
