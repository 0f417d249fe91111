//! The sandboxed process: it takes its rights away, then answers.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use zoetrope_system::sandbox::{Missing, Rights, confine, receive_byte};

use super::options::{Role, Terms, VARIABLE};
use super::wire::{
    CUES, DONE, ERROR, FRAMES, FrameHead, OPEN, OPENED, Opened, READY, SHORT, SUBTITLES, invalid, read_contents,
    read_indices, read_json, write_frame, write_json, write_message, write_times,
};
use super::wire_error::WireError;
use crate::clip::Clip;
use crate::error::MediaError;
use crate::open::open_descriptor;
use crate::options::OpenOptions;

/// Serves the program that started this process, over standard input, until it closes it.
///
/// Call it before there is any thread.
///
/// # Errors
/// When the process was not started by a [`super::Sandbox`], when a limit cannot be set, or when the program goes away
/// in the middle of a message.
pub fn run() -> io::Result<()> {
    serve(|request, _, _| Err(invalid(format!("a request of the kind {request:#04x}"))))
}

/// [`run`] with an answer to requests of other kinds, which tests have.
pub(super) fn serve(
    other: impl Fn(u8, &mut UnixStream, &mut BufWriter<UnixStream>) -> io::Result<()>,
) -> io::Result<()> {
    let told = std::env::var(VARIABLE).map_err(|_| invalid("this command is started by the program itself"))?;
    let terms: Terms = serde_json::from_str(&told)?;
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut child = MediaChild { input: socket.try_clone()?, output: BufWriter::new(socket), clip: None };
    match terms.role {
        Role::Decode => {
            let missing = confine(Rights::Compute, &terms.limits())?;
            child.ready(&missing)?;
        }
        // What it may read is known with the file.
        Role::Ffmpeg => child.ready(&[])?,
    }
    while let Some((request, file)) = receive_byte(&child.input)? {
        match request {
            OPEN => child.open(file, &terms)?,
            FRAMES => child.frames()?,
            SUBTITLES => child.subtitles()?,
            request => other(request, &mut child.input, &mut child.output)?,
        }
        child.output.flush()?;
    }
    Ok(())
}

struct MediaChild {
    input: UnixStream,
    output: BufWriter<UnixStream>,
    clip: Option<Clip>,
}

impl MediaChild {
    /// Tells that this process is confined.
    fn ready(&mut self, missing: &[Missing]) -> io::Result<()> {
        let missing: Vec<&str> = missing.iter().map(|missing| words(*missing)).collect();
        write_json(&mut self.output, READY, &missing)?;
        self.output.flush()
    }

    fn open(&mut self, file: Option<File>, terms: &Terms) -> io::Result<()> {
        let options: OpenOptions = read_json(&mut self.input, SHORT)?;
        let options = OpenOptions { expendable: true, ..options };
        let file = file.ok_or_else(|| invalid("no file came with the request to open one"))?;
        if terms.role == Role::Ffmpeg {
            let program = std::env::var_os("ZOETROPE_FFMPEG").map(PathBuf::from);
            let folders: Vec<PathBuf> = program.iter().filter_map(|p| Some(p.parent()?.to_path_buf())).collect();
            confine(Rights::Programs { file: &file, folders: &folders }, &terms.limits())?;
        }
        let clip = match open_descriptor(file, &options) {
            Ok(clip) => clip,
            Err(error) => return self.error(&error),
        };
        let opened = Opened {
            info: clip.info().clone(),
            tracks: clip.tracks(),
            subtitle_tracks: clip.subtitle_tracks(),
            still: clip.is_still(),
            end: clip.end(),
            largest_size: clip.largest_size(),
        };
        write_json(&mut self.output, OPENED, &opened)?;
        write_times(&mut self.output, clip.times())?;
        self.clip = Some(clip);
        Ok(())
    }

    fn frames(&mut self) -> io::Result<()> {
        let clip = self.clip.clone().ok_or_else(|| invalid("frames are wanted of no file"))?;
        let indices = read_indices(&mut self.input, clip.times().len())?;
        let mut lost = 0;
        match clip.frames(&indices) {
            Err(error) => self.error(&error)?,
            Ok(mut frames) => {
                while let Some(frame) = frames.next() {
                    match frame {
                        Err(error) => self.error(&error)?,
                        Ok(frame) => {
                            let head = FrameHead {
                                index: frame.index as u64,
                                repeated: frames.repeated() as u64,
                                damaged: frames.damaged() as u64,
                                lost: frames.lost() as u64,
                                ticks: frame.time.ticks,
                                scale: frame.time.scale,
                                width: frame.image.width,
                                height: frame.image.height,
                            };
                            write_frame(&mut self.output, &head, &frame.image)?;
                        }
                    }
                    self.output.flush()?;
                }
                lost = frames.lost() as u64;
            }
        }
        write_message(&mut self.output, DONE, &lost.to_le_bytes())
    }

    fn subtitles(&mut self) -> io::Result<()> {
        let number = read_contents(&mut self.input, 8)?;
        let number = number.first_chunk::<8>().ok_or_else(|| invalid("a text track without a number"))?;
        let clip = self.clip.clone().ok_or_else(|| invalid("words are wanted of no file"))?;
        match clip.subtitles(u64::from_le_bytes(*number) as usize) {
            Ok(subtitles) => write_json(&mut self.output, CUES, &subtitles),
            Err(error) => self.error(&error),
        }
    }

    fn error(&mut self, error: &MediaError) -> io::Result<()> {
        write_json(&mut self.output, ERROR, &WireError::from(error))
    }
}

/// What the kernel lacks, in words.
fn words(missing: Missing) -> &'static str {
    match missing {
        Missing::SystemCalls => "system calls are not filtered (seccomp)",
        Missing::Files => "files are not closed off (landlock)",
    }
}
