//! A sandboxed process as the program sees it. Dropping it kills it.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use zoetrope_system::sandbox::{end_group, send_byte};

use super::options::{ARGUMENT, Role, SandboxOptions, Terms, VARIABLE};
use super::wire::{
    CUES, ERROR, MAX_CUES, OPEN, OPENED, Opened, READY, SHORT, SUBTITLES, TIMES, read_json, read_kind, read_times,
    unexpected, write_json, write_message,
};
use super::wire_error::WireError;
use crate::error::{MediaError, malformed};
use crate::frame::Time;
use crate::options::OpenOptions;
use crate::subtitle::Subtitles;

/// The longest wait for a process to take a request.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// Variables that a process sees: where programs and their libraries are, and which instructions to use. No secrets.
const VARIABLES: [&str; 6] =
    ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "ZOETROPE_FFMPEG", "ZOETROPE_ISA", "SYSTEMROOT"];
/// Bytes of address space that FFmpeg takes beyond its memory (`ffmpeg/process.rs`).
const FFMPEG_MEMORY: u64 = 4 << 30;

/// A running process.
pub(super) struct MediaProcess {
    role: Role,
    child: Child,
    /// Whether the system has forgotten the process.
    has_ended: bool,
    requests: UnixStream,
    pub(super) answers: BufReader<TimedAnswers>,
    memory: u64,
    answer_time: Duration,
}

/// Why a request has no answer.
pub(super) enum Failed {
    /// The file is refused; the process goes on.
    Refused(MediaError),
    /// The process is gone.
    Gone(MediaError),
}

impl MediaProcess {
    /// Starts a process and waits until it is confined. Also what the kernel lacks, in words.
    ///
    /// # Errors
    /// `Unsupported` when the program has no such command.
    pub(super) fn start(role: Role, options: &SandboxOptions) -> Result<(Self, Vec<String>), MediaError> {
        let (ours, theirs) = UnixStream::pair()?;
        let extra = FFMPEG_MEMORY.saturating_add(options.memory);
        let terms = Terms::new(role, options, extra);
        let terms = serde_json::to_string(&terms).map_err(io::Error::other)?;
        let mut command = command(options)?;
        command.env_clear().env(VARIABLE, terms);
        command.envs(VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::null());
        // FFmpeg, which it may start, ends with it.
        command.process_group(0);
        let child = command.spawn()?;
        // Its end of the socket is closed here, so that its death is seen.
        drop(command);
        ours.set_write_timeout(Some(REQUEST_TIME))?;
        let answers = BufReader::with_capacity(1 << 16, TimedAnswers { socket: ours.try_clone()?, until: None });
        let (memory, answer_time) = (options.memory, options.answer_time);
        let mut process = MediaProcess { role, child, has_ended: false, requests: ours, answers, memory, answer_time };
        process.begin_answer();
        let ready = read_kind(&mut process.answers).and_then(|kind| match kind {
            READY => read_json(&mut process.answers, SHORT),
            other => Err(unexpected(other)),
        });
        match ready {
            Ok(missing) => Ok((process, missing)),
            Err(_) => Err(MediaError::Unsupported {
                what: "sandbox without a program that answers".into(),
                remedy: format!("run through the zoetrope program, or name a command that answers to {ARGUMENT}"),
            }),
        }
    }

    /// Whether it still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        self.has_ended = self.has_ended || !matches!(self.child.try_wait(), Ok(None));
        !self.has_ended
    }

    /// From now on the next answer has its time.
    pub(super) fn begin_answer(&mut self) {
        self.answers.get_mut().until = Instant::now().checked_add(self.answer_time);
    }

    /// Has `file` opened.
    pub(super) fn open(&mut self, file: &File, options: &OpenOptions) -> Result<(Opened, Vec<Time>), Failed> {
        if self.role == Role::Ffmpeg {
            // It decodes a film from its start to list its frames, and again to give some; it has its own limit.
            self.answer_time = self.answer_time.max(options.limits.child_time);
        }
        self.begin_answer();
        let sent = send_byte(&self.requests, OPEN, file);
        // The byte is the kind of the request; its contents follow without one.
        let sent = sent.and_then(|()| send_contents(&mut self.requests, options));
        let answer = sent.and_then(|()| match read_kind(&mut self.answers)? {
            ERROR => Ok(Err(read_json::<WireError>(&mut self.answers, SHORT)?)),
            OPENED => {
                let opened: Opened = read_json(&mut self.answers, SHORT)?;
                match read_kind(&mut self.answers)? {
                    TIMES => Ok(Ok((opened, read_times(&mut self.answers, &options.limits)?))),
                    other => Err(unexpected(other)),
                }
            }
            other => Err(unexpected(other)),
        });
        self.told(answer)
    }

    /// Has text track `number` read.
    pub(super) fn subtitles(&mut self, number: usize) -> Result<Subtitles, Failed> {
        self.begin_answer();
        let sent = write_message(&mut self.requests, SUBTITLES, &(number as u64).to_le_bytes());
        let answer = sent.and_then(|()| match read_kind(&mut self.answers)? {
            ERROR => Ok(Err(read_json::<WireError>(&mut self.answers, SHORT)?)),
            CUES => Ok(Ok(read_json(&mut self.answers, MAX_CUES)?)),
            other => Err(unexpected(other)),
        });
        self.told(answer)
    }

    fn told<T>(&mut self, answer: io::Result<Result<T, WireError>>) -> Result<T, Failed> {
        match answer {
            Ok(told) => told.map_err(|error| Failed::Refused(error.into())),
            Err(error) => Err(Failed::Gone(self.gone(&error))),
        }
    }

    /// Sends a request.
    pub(super) fn request(&mut self, write: impl FnOnce(&mut UnixStream) -> io::Result<()>) -> io::Result<()> {
        write(&mut self.requests)
    }

    /// Ends the process and what it has started; the signal that it ended by.
    fn end(&mut self) -> Option<i32> {
        if !self.has_ended {
            end_group(&self.child);
        }
        self.has_ended = true;
        self.child.wait().ok().and_then(|status| status.signal())
    }

    /// Ends the process after `error` and says why there is no answer.
    pub(super) fn gone(&mut self, error: &io::Error) -> MediaError {
        let late = error.kind() == ErrorKind::TimedOut;
        let signal = self.end();
        let seconds = self.answer_time.as_secs();
        if late {
            return MediaError::Limit { what: "seconds of work on one answer", number: seconds + 1, limit: seconds };
        }
        if error.kind() == ErrorKind::InvalidData {
            return malformed("file", "its decoder process spoke nonsense and was ended");
        }
        match signal {
            Some(SIGXCPU) => malformed("file", "its decoder process was ended: it used up its processor time"),
            Some(signal) => {
                let memory = self.memory >> 20;
                let what = format!(
                    "its decoder process ended (signal {signal}): the file is damaged or needs more than {memory} MiB"
                );
                malformed("file", what)
            }
            None => malformed("file", "its decoder process gave up on it"),
        }
    }
}

/// The signal for too much processor time, the same number on Linux, macOS and the BSDs.
const SIGXCPU: i32 = 24;

impl Drop for MediaProcess {
    fn drop(&mut self) {
        self.end();
    }
}

fn command(options: &SandboxOptions) -> io::Result<Command> {
    match options.command.as_deref() {
        Some([program, arguments @ ..]) => {
            let mut command = Command::new(program);
            command.args(arguments);
            Ok(command)
        }
        _ => {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg(ARGUMENT);
            Ok(command)
        }
    }
}

/// The contents of a message without its kind.
fn send_contents(out: &mut UnixStream, options: &OpenOptions) -> io::Result<()> {
    let mut message = Vec::new();
    write_json(&mut message, OPEN, options)?;
    io::Write::write_all(out, &message[1..])
}

/// What the process answers, up to a moment.
pub(super) struct TimedAnswers {
    socket: UnixStream,
    until: Option<Instant>,
}

impl Read for TimedAnswers {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(until) = self.until {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.socket.set_read_timeout(Some(left))?;
        }
        match self.socket.read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ErrorKind::TimedOut.into()),
            other => other,
        }
    }
}
