//! A file that FFmpeg has listed: its description, its frame times, and the command line that reads it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::process::{Pipe, RunningFfmpeg, passthrough_option, spawn};
use super::showinfo::{Listing, parse};
use crate::color::description::Color;
use crate::error::{MediaError, malformed};
use crate::frame::Time;
use crate::info::{MediaInfo, average_fps};
use crate::options::OpenOptions;

/// Input of FFmpeg.
pub(crate) enum FfmpegInput {
    /// A file by its path.
    File(PathBuf),
    /// Bytes. They go through a temporary file, because most formats need seeking.
    Bytes(Arc<[u8]>),
}

/// A file that FFmpeg has listed.
pub(crate) struct FfmpegClip {
    program: OsString,
    input: OsString,
    passthrough: [&'static str; 2],
    pub(super) options: OpenOptions,
    /// Removed with the clip.
    _temporary: Option<tempfile::NamedTempFile>,
    /// What the file is.
    pub(crate) info: MediaInfo,
    /// Times of all frames in presentation order.
    pub(crate) times: Vec<Time>,
    /// End of the last frame in seconds.
    pub(crate) end: f64,
}

impl FfmpegClip {
    /// Lists the frames of `input`; `None` when there is no FFmpeg.
    ///
    /// # Errors
    /// `Malformed` when it finds no video, `Limit` when it takes too long or the file is too large.
    pub(crate) fn open(input: FfmpegInput, options: &OpenOptions) -> Result<Option<Self>, MediaError> {
        let program = std::env::var_os("ZOETROPE_FFMPEG").unwrap_or_else(|| "ffmpeg".into());
        let Some(passthrough) = passthrough_option(&program)? else { return Ok(None) };
        let (file, temporary) = match input {
            FfmpegInput::File(file) => (file, None),
            FfmpegInput::Bytes(bytes) => {
                let mut file = tempfile::NamedTempFile::new()?;
                std::io::Write::write_all(&mut file, &bytes)?;
                (file.path().to_path_buf(), Some(file))
            }
        };
        // The prefix makes FFmpeg take names that look like options or protocols as file names.
        let mut name = OsString::from("file:");
        name.push(file);
        let mut arguments = input_arguments(&name, options);
        for argument in ["-map", "0:v:0", "-an", "-sn", "-dn", "-vf", "showinfo", "-f", "null", "-"] {
            arguments.push(argument.into());
        }
        arguments.splice(0..0, ["-v", "info", "-nostats", "-copyts"].map(OsString::from));
        let mut child = spawn(&program, &arguments, options, Pipe::Errors)?;
        let listing = parse(child.output(), &options.limits)?;
        if child.timed_out() {
            return Err(too_slow(options));
        }
        if listing.times.is_empty() {
            return Err(malformed("file", "FFmpeg found no video frame in it"));
        }
        let (info, end) = describe(&listing);
        let (times, options) = (listing.times, options.clone());
        let input = name;
        Ok(Some(FfmpegClip { program, input, passthrough, options, _temporary: temporary, info, times, end }))
    }

    /// Starts FFmpeg, which writes the first `count` frames that pass `filter` as RGB.
    pub(super) fn start(&self, filter: &str, count: usize) -> Result<RunningFfmpeg, MediaError> {
        let mut arguments = input_arguments(&self.input, &self.options);
        for argument in ["-map", "0:v:0", "-an", "-sn", "-dn", "-vf", filter] {
            arguments.push(argument.into());
        }
        arguments.extend(self.passthrough.map(OsString::from));
        for argument in ["-frames:v", &count.to_string(), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"] {
            arguments.push(argument.into());
        }
        arguments.splice(0..0, ["-v", "quiet"].map(OsString::from));
        spawn(&self.program, &arguments, &self.options, Pipe::Output)
    }
}

/// The arguments up to the input file: limits, threads, and no access but to files and pipes.
fn input_arguments(input: &OsString, options: &OpenOptions) -> Vec<OsString> {
    let limits = &options.limits;
    let mut arguments: Vec<OsString> =
        ["-nostdin", "-hide_banner", "-protocol_whitelist", "file,pipe"].map(Into::into).into();
    for (name, value) in [
        ("-threads", options.threads.max(1) as u64),
        ("-max_alloc", limits.child_bytes.min(i32::MAX as u64)),
        ("-max_pixels", limits.pixels),
    ] {
        arguments.push(name.into());
        arguments.push(value.to_string().into());
    }
    arguments.push("-i".into());
    arguments.push(input.clone());
    arguments
}

/// The error when FFmpeg has taken longer than allowed.
pub(super) fn too_slow(options: &OpenOptions) -> MediaError {
    let limit = options.limits.child_time.as_secs();
    MediaError::Limit { what: "seconds of FFmpeg's work on the file", number: limit + 1, limit }
}

/// What the file is, and the end of its last frame in seconds. The last frame lasts as long as the one before.
fn describe(listing: &Listing) -> (MediaInfo, f64) {
    let times = &listing.times;
    let (first, last) = (times[0].seconds(), times[times.len() - 1].seconds());
    let gap = if times.len() > 1 { last - times[times.len() - 2].seconds() } else { 0.0 };
    let (end, duration) = (last + gap, last + gap - first);
    let info = MediaInfo {
        container: listing.container.clone(),
        codec: listing.codec.clone(),
        profile: listing.profile.clone(),
        coded_width: listing.width,
        coded_height: listing.height,
        width: listing.width,
        height: listing.height,
        sample_aspect: listing.sample_aspect,
        rotation: 0,
        sampling: listing.pixel_format.clone(),
        depth: 8,
        color: Color::default(),
        duration,
        frames: times.len(),
        fps: average_fps(times.len(), duration),
        start: first,
        audio_tracks: listing.audio_tracks,
        decoder: "ffmpeg".into(),
        warnings: Vec::new(),
    };
    (info, end)
}
