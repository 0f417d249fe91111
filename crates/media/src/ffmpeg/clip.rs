//! A file that FFmpeg has listed: its description, its frame times, and the command line that reads it.

use std::ffi::OsString;

use super::input::{FfmpegInput, InputFile};
use super::process::{Features, Pipe, RunningFfmpeg, features, spawn};
use super::showinfo::{Listing, parse};
use crate::color::description::Color;
use crate::error::{MediaError, malformed};
use crate::frame::Time;
use crate::info::{MediaInfo, average_fps, display_size};
use crate::options::OpenOptions;

/// A file that FFmpeg has listed.
pub(crate) struct FfmpegClip {
    program: OsString,
    input: InputFile,
    features: Features,
    /// The stream that was listed, by FFmpeg's number.
    stream: u32,
    pub(super) options: OpenOptions,
    /// What the file is.
    pub(crate) info: MediaInfo,
    /// Times of all frames in presentation order.
    pub(crate) times: Vec<Time>,
    /// End of the last frame in seconds.
    pub(crate) end: f64,
}

impl FfmpegClip {
    /// Lists the frames of video stream `stream` of `input`, a position among those that are no attached pictures;
    /// FFmpeg takes the default or largest one when `None`. `None` is returned when there is no FFmpeg.
    ///
    /// # Errors
    /// `Malformed` when it finds no video, `Limit` when it takes too long or the file is too large.
    pub(crate) fn open(
        input: FfmpegInput,
        stream: Option<usize>,
        options: &OpenOptions,
    ) -> Result<Option<Self>, MediaError> {
        let program = std::env::var_os("ZOETROPE_FFMPEG").unwrap_or_else(|| "ffmpeg".into());
        let Some(features) = features(&program)? else { return Ok(None) };
        let input = InputFile::new(input, features)?;
        let mut arguments = input_arguments(&input, options);
        // With levels in front, its errors can be told from its other messages.
        arguments.splice(0..0, ["-v", "level+info", "-nostats", "-copyts"].map(OsString::from));
        if let Some(stream) = stream {
            // `V` leaves out attached pictures: covers, posters and thumbnails.
            arguments.extend(["-map", &format!("0:V:{stream}")].map(OsString::from));
        }
        arguments.extend(["-an", "-sn", "-dn", "-vf", "showinfo", "-f", "null", "-"].map(OsString::from));
        let mut child = spawn(&program, &arguments, input.standard_input()?, options, Pipe::Errors)?;
        let listing = parse(child.output(), &options.limits)?;
        if child.timed_out() {
            return Err(too_slow(options));
        }
        let Some(stream) = listing.taken.filter(|_| !listing.times.is_empty()) else {
            let said = listing.error.as_deref().unwrap_or("it gave no reason");
            return Err(malformed("file", format!("FFmpeg found no video frame in it ({said})")));
        };
        if listing.attached_picture {
            return Err(malformed("file", "FFmpeg found no video in it, only an attached picture"));
        }
        let (info, end) = describe(&listing);
        let (times, options) = (listing.times, options.clone());
        Ok(Some(FfmpegClip { program, input, features, stream, options, info, times, end }))
    }

    /// Starts FFmpeg, which writes the first `count` frames that pass `filter` as RGB.
    pub(super) fn start(&self, filter: &str, count: usize) -> Result<RunningFfmpeg, MediaError> {
        let mut arguments = input_arguments(&self.input, &self.options);
        arguments.splice(0..0, ["-v", "quiet"].map(OsString::from));
        arguments
            .extend(["-map", &format!("0:{}", self.stream), "-an", "-sn", "-dn", "-vf", filter].map(OsString::from));
        arguments.extend(self.features.passthrough.map(OsString::from));
        let count = count.to_string();
        arguments.extend(["-frames:v", &count, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"].map(OsString::from));
        spawn(&self.program, &arguments, self.input.standard_input()?, &self.options, Pipe::Output)
    }
}

/// The arguments up to the input file: limits, threads, and no access but to this file.
fn input_arguments(input: &InputFile, options: &OpenOptions) -> Vec<OsString> {
    let limits = &options.limits;
    let mut arguments: Vec<OsString> =
        ["-nostdin", "-hide_banner", "-protocol_whitelist", input.protocol()].map(Into::into).into();
    for (name, value) in [
        ("-threads", options.threads.max(1) as u64),
        ("-max_alloc", limits.child_bytes.min(i32::MAX as u64)),
        ("-max_pixels", limits.pixels),
    ] {
        arguments.push(name.into());
        arguments.push(value.to_string().into());
    }
    arguments.push("-i".into());
    arguments.push(input.name());
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
    let mut info = MediaInfo {
        container: listing.container.clone(),
        codec: listing.codec.clone(),
        profile: listing.profile.clone(),
        coded_width: listing.width,
        coded_height: listing.height,
        width: listing.width,
        height: listing.height,
        display_width: listing.width,
        display_height: listing.height,
        sample_aspect: listing.sample_aspect,
        mirrored: false,
        rotation: 0,
        sampling: listing.pixel_format.clone(),
        depth: 8,
        color: Color::default(),
        alpha: None,
        duration,
        frames: times.len(),
        fps: average_fps(times.len(), duration),
        start: first,
        audio_tracks: listing.audio_tracks,
        decoder: "ffmpeg".into(),
        warnings: Vec::new(),
    };
    (info.display_width, info.display_height) = display_size(&info);
    (info, end)
}
