//! AV1 through a decoder process (child.rs). Nothing is dropped: hidden frames update what later ones refer to.

use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::nal::malformed;
use super::{Decode, Picture};
use crate::child::{ARGUMENT, HELLO, Plain, answers, ask_push, ask_reset};
use crate::clip::OpenOptions;
use crate::error::MediaError;
use crate::process::bounded;
use crate::track::Colour;
use crate::yuv::{Samples, Yuv};

/// The longest a child may take over one sample.
const PATIENCE: Duration = Duration::from_secs(60);

/// Children that wait for the next group of the same clip.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Vec<Process>>>);

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pool")
    }
}

/// The decoder for AV1.
pub(super) struct Av1 {
    /// `None` after the child has failed.
    process: Option<Process>,
    pool: Pool,
    pixels: u64,
}

impl Av1 {
    /// Takes a waiting child or starts one.
    pub(super) fn new(options: &OpenOptions, pool: &Pool) -> Result<Self, MediaError> {
        let waiting = pool.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut process = match waiting {
            Some(process) => process,
            None => Process::start(options)?,
        };
        let pixels = options.limits.pixels;
        let (_, complaint) = process.ask(pixels, |child| ask_reset(child, pixels)).map_err(gone)?;
        match complaint {
            Some(text) => Err(MediaError::Bug(text)),
            None => Ok(Av1 { process: Some(process), pool: pool.clone(), pixels }),
        }
    }
}

impl Decode for Av1 {
    fn push(&mut self, sample: usize, data: &[u8], _wanted: bool, out: &mut Vec<Picture>) -> Result<(), MediaError> {
        let Some(process) = &mut self.process else { return Err(gone("it has ended")) };
        let result = process.ask(self.pixels, |child| ask_push(child, sample as u64, data));
        let (pictures, complaint) = match result {
            Ok(answer) => answer,
            Err(error) => {
                self.process = None;
                return Err(gone(error));
            }
        };
        for picture in pictures {
            out.push(planes(picture)?);
        }
        complaint.map_or(Ok(()), |text| Err(malformed("AV1 stream", text)))
    }

    fn finish(&mut self, _out: &mut Vec<Picture>) -> Result<(), MediaError> {
        // One thread and no frame delay: every sample's picture has come with the sample.
        Ok(())
    }
}

impl Drop for Av1 {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).push(process);
        }
    }
}

fn gone(why: impl std::fmt::Display) -> MediaError {
    malformed("AV1 stream", format!("the decoder process gave up on it ({why})"))
}

fn planes(picture: Plain) -> Result<Picture, MediaError> {
    let said = |code: u8| (code != 2).then_some(code);
    let [matrix, primaries, transfer] = picture.codes.map(said);
    let depth = picture.depth;
    let yuv = Yuv {
        width: picture.width as usize,
        height: picture.height as usize,
        depth,
        half_columns: matches!(picture.layout, 1 | 2),
        half_rows: picture.layout == 1,
        interlaced: false,
        left: false,
        planes: picture.planes.map(|plane| Samples::from_le_bytes(plane, depth)),
    };
    yuv.check().map_err(|what| malformed("AV1 picture", what))?;
    let colour = Colour { matrix, full_range: Some(picture.full_range), primaries, transfer };
    Ok(Picture { sample: picture.sample as usize, yuv, colour: Some(colour) })
}

/// A running child. Dropping it ends it.
struct Process {
    child: Arc<Mutex<Child>>,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    patience: Duration,
    /// Starts (`true`) and ends (`false`) the watch over one request.
    watch: Sender<bool>,
}

impl Process {
    fn start(options: &OpenOptions) -> Result<Self, MediaError> {
        let program: PathBuf = match &options.child_program {
            Some(program) => program.clone(),
            None => std::env::current_exe()?,
        };
        let arguments = [OsString::from(ARGUMENT)];
        let mut command = bounded(program.as_os_str(), &arguments, options.limits.child_bytes);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(MediaError::Bug("the AV1 decoder process was started without pipes".into()));
        };
        let patience = PATIENCE.min(options.limits.child_time);
        let child = Arc::new(Mutex::new(child));
        let watch = watch(child.clone(), patience)?;
        let mut process = Process { child, input, output: BufReader::new(output), patience, watch };
        let mut hello = [0; HELLO.len()];
        process.watched(|process| process.output.read_exact(&mut hello)).map_err(|_| no_child())?;
        if hello != *HELLO { Err(no_child()) } else { Ok(process) }
    }

    /// One request and its answers.
    fn ask(
        &mut self,
        pixels: u64,
        request: impl FnOnce(&mut ChildStdin) -> io::Result<()>,
    ) -> io::Result<(Vec<Plain>, Option<String>)> {
        self.watched(|process| {
            request(&mut process.input)?;
            answers(&mut process.output, pixels)
        })
    }

    fn watched<T>(&mut self, work: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        let start = std::time::Instant::now();
        // A watch that is gone means a child that is gone; the work itself will say so.
        let _ = self.watch.send(true);
        let result = work(self);
        let _ = self.watch.send(false);
        let late = start.elapsed() >= self.patience;
        result.map_err(|e| if late { io::Error::from(io::ErrorKind::TimedOut) } else { e })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&self.child);
    }
}

/// Kills (a program that has ended already does not mind) and collects.
fn end(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = child.kill();
    let _ = child.wait();
}

/// A thread that ends `child` when a request takes longer than `patience`.
fn watch(child: Arc<Mutex<Child>>, patience: Duration) -> io::Result<Sender<bool>> {
    let (sender, events) = channel::<bool>();
    std::thread::Builder::new().name("av1 watch".into()).spawn(move || {
        while let Ok(started) = events.recv() {
            if started && events.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                return end(&child);
            }
        }
    })?;
    Ok(sender)
}

fn no_child() -> MediaError {
    MediaError::Unsupported {
        what: "AV1 without a decoder process".into(),
        remedy: format!("run through the zoetrope program, or set child_program to one that answers to {ARGUMENT}"),
    }
}
