//! Starting FFmpeg, and killing it when its time is over.

use std::ffi::{OsStr, OsString};
use std::io::{BufReader, ErrorKind, Read};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};

use crate::decode::decoder_process::limited_command::limited_command;
use crate::decode::decoder_process::running::{kill, started};
use crate::error::MediaError;
use crate::options::OpenOptions;

/// Bytes of address space beyond the memory limit: program, libraries and the unused stacks of its threads.
const EXTRA_ADDRESS_SPACE: u64 = 4 << 30;

/// Which stream of the program is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pipe {
    /// Standard output.
    Output,
    /// Standard error.
    Errors,
}

/// A running FFmpeg. Dropping it kills it.
pub(super) struct RunningFfmpeg {
    child: Arc<Mutex<Child>>,
    output: BufReader<Box<dyn Read + Send>>,
    killed: Arc<AtomicBool>,
    /// Dropped to tell the watchdog that nobody needs it any more.
    watchdog: Option<Sender<()>>,
}

impl RunningFfmpeg {
    /// What the program writes.
    pub(super) fn output(&mut self) -> &mut BufReader<Box<dyn Read + Send>> {
        &mut self.output
    }

    /// Whether the program was killed for taking too long.
    pub(super) fn timed_out(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }
}

impl Drop for RunningFfmpeg {
    fn drop(&mut self) {
        self.watchdog = None;
        kill(&self.child);
    }
}

/// Starts `program`, with a watchdog that kills it when its time is over.
///
/// # Errors
/// `Io` when the program or the watchdog's thread cannot be started.
pub(super) fn spawn(
    program: &OsStr,
    arguments: &[OsString],
    input: Stdio,
    options: &OpenOptions,
    pipe: Pipe,
) -> Result<RunningFfmpeg, MediaError> {
    let time = options.limits.child_time;
    let memory = options.limits.child_bytes.saturating_add(EXTRA_ADDRESS_SPACE);
    let to = |piped: bool| if piped { Stdio::piped() } else { Stdio::null() };
    let mut command = limited_command(program, arguments, memory);
    command.stdin(input);
    command.stdout(to(pipe == Pipe::Output)).stderr(to(pipe == Pipe::Errors));
    let mut child = command.spawn()?;
    let output: Option<Box<dyn Read + Send>> = match pipe {
        Pipe::Output => child.stdout.take().map(|p| Box::new(p) as _),
        Pipe::Errors => child.stderr.take().map(|p| Box::new(p) as _),
    };
    let Some(output) = output else { return Err(MediaError::Bug("FFmpeg was started without a pipe".into())) };
    let (child, killed) = (started(child), Arc::new(AtomicBool::new(false)));
    let (watchdog, ended) = channel::<()>();
    let watched = (child.clone(), killed.clone());
    std::thread::Builder::new().name("ffmpeg watch".into()).spawn(move || {
        if ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
            watched.1.store(true, Ordering::Relaxed);
            kill(&watched.0);
        }
    })?;
    let output = BufReader::with_capacity(1 << 16, output);
    Ok(RunningFfmpeg { child, output, killed, watchdog: Some(watchdog) })
}

/// What the options of the installed program are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    /// The option that keeps every frame at its time; it was renamed in FFmpeg 5.1.
    pub(super) passthrough: [&'static str; 2],
    /// Whether it reads an open file by its descriptor, with seeking (the `fd` protocol, FFmpeg 6.0).
    pub(super) descriptor_input: bool,
}

/// Asks `program` for its version. `None` when there is no such program.
///
/// # Errors
/// `Io` when the program is there but cannot be run.
pub(super) fn features(program: &OsStr) -> Result<Option<Features>, MediaError> {
    let output = Command::new(program).arg("-version").stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = match output {
        Ok(output) if output.status.success() => output.stdout,
        Ok(_) => return Ok(None),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(features_of_version(&String::from_utf8_lossy(&text))))
}

/// The features by the first line of `ffmpeg -version`. A version without a number is a recent build.
fn features_of_version(version: &str) -> Features {
    let word = version.split_whitespace().nth(2).unwrap_or_default().trim_start_matches(['n', 'v']);
    let mut numbers = word.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().ok());
    let version = match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), minor) => (major, minor.unwrap_or(0)),
        (None, _) => (u32::MAX, 0),
    };
    let passthrough = if version < (5, 1) { ["-vsync", "0"] } else { ["-fps_mode", "passthrough"] };
    Features { passthrough, descriptor_input: version >= (6, 0) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn features_follow_the_version() {
        let of = |text: &str| {
            let features = features_of_version(text);
            (features.passthrough[0], features.descriptor_input)
        };
        assert_eq!(of("ffmpeg version 4.4.2-0ubuntu0 Copyright"), ("-vsync", false));
        assert_eq!(of("ffmpeg version 5.1.9-0+deb12u1 Copyright"), ("-fps_mode", false));
        assert_eq!(of("ffmpeg version 6.0 Copyright"), ("-fps_mode", true));
        assert_eq!(of("ffmpeg version n7.1 Copyright"), ("-fps_mode", true));
        assert_eq!(of("ffmpeg version N-118000-gabc Copyright"), ("-fps_mode", true));
        assert_eq!(of("ffmpeg version 9.0.2-static"), ("-fps_mode", true));
    }

    #[test]
    fn a_missing_program_is_none() {
        assert_eq!(features(OsStr::new("/nonexistent/ffmpeg")).unwrap(), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_slow_program_is_killed() {
        let arguments = ["-c".into(), "sleep 20".into()];
        let mut options = OpenOptions::default();
        options.limits.child_time = Duration::from_millis(50);
        let before = std::time::Instant::now();
        let running = spawn(OsStr::new("sh"), &arguments, Stdio::null(), &options, Pipe::Output).unwrap();
        while !running.timed_out() {
            std::thread::sleep(Duration::from_millis(5));
            assert!(before.elapsed() < Duration::from_secs(10));
        }
        drop(running);
        assert!(before.elapsed() < Duration::from_secs(10));
    }
}
