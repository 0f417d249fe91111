//! The system's FFmpeg as a child process, for everything without an embedded decoder.
//!
//! The program is `ZOETROPE_FFMPEG`, else `ffmpeg` on the PATH. Opening runs it once over the file for exact frame
//! times (`showinfo` on every frame: exactness costs one decode); taking frames runs it again with the wanted frames
//! selected before the pipe. It gets no standard input, file access only through `-protocol_whitelist file,pipe`, a
//! bound on memory, and is killed when its time is over. Nothing here is needed for H.264, HEVC, VP9, AV1 or pictures.

mod listing;
mod process;

use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use listing::{Listing, parse};
use process::{Running, spawn};

use crate::clip::{MediaInfo, OpenOptions};
use crate::error::MediaError;
use crate::frame::{Frame, Rgb, Time};
use crate::track::Colour;

/// More `between` terms than this in one selection, and everything in the range goes through the pipe instead.
const TERMS: usize = 300;

/// What FFmpeg is to read.
pub(crate) enum Input {
    /// A file by its path.
    File(PathBuf),
    /// Bytes; they go through a temporary file, as most formats need to be sought in.
    Bytes(Arc<[u8]>),
}

/// A file that FFmpeg has listed.
pub(crate) struct Program {
    path: OsString,
    input: OsString,
    passthrough: [&'static str; 2],
    options: OpenOptions,
    /// Removed with the clip.
    _temporary: Option<tempfile::NamedTempFile>,
    /// What the file is.
    pub(crate) info: MediaInfo,
    /// Times of all frames in presentation order.
    pub(crate) times: Vec<Time>,
    /// End of the last frame in seconds.
    pub(crate) end: f64,
}

impl Program {
    /// Lists the frames of `input`; `None` when there is no FFmpeg.
    ///
    /// # Errors
    /// `Malformed` when it finds no video, `Limit` when it takes too long or the file is too large.
    pub(crate) fn open(input: Input, options: &OpenOptions) -> Result<Option<Self>, MediaError> {
        let path = std::env::var_os("ZOETROPE_FFMPEG").unwrap_or_else(|| "ffmpeg".into());
        let Some(passthrough) = process::frame_mode(&path)? else { return Ok(None) };
        let (file, temporary) = match input {
            Input::File(file) => (file, None),
            Input::Bytes(bytes) => {
                let mut file = tempfile::NamedTempFile::new()?;
                std::io::Write::write_all(&mut file, &bytes)?;
                (file.path().to_path_buf(), Some(file))
            }
        };
        // The prefix keeps names that look like options or protocols what they are: file names.
        let mut name = OsString::from("file:");
        name.push(file);
        let mut arguments = common(&name, options);
        for argument in ["-map", "0:v:0", "-an", "-sn", "-dn", "-vf", "showinfo", "-f", "null", "-"] {
            arguments.push(argument.into());
        }
        arguments.splice(0..0, ["-v", "info", "-nostats", "-copyts"].map(OsString::from));
        let mut child = spawn(&path, &arguments, options, process::Pipe::Errors)?;
        let listing = parse(child.output(), &options.limits)?;
        if child.timed_out() {
            return Err(too_slow(options));
        }
        if listing.times.is_empty() {
            let what = "FFmpeg found no video frame in it".into();
            return Err(MediaError::Malformed { part: "file", what });
        }
        let (info, end) = describe(&listing);
        let (times, options) = (listing.times, options.clone());
        Ok(Some(Program { path, input: name, passthrough, options, _temporary: temporary, info, times, end }))
    }

    /// The frames at ascending `indices`.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn frames(self: &Arc<Self>, indices: &[usize]) -> Result<ProgramFrames, MediaError> {
        let ranges = ranges(indices);
        let (select, piped) = selection(&ranges);
        let mut arguments = common(&self.input, &self.options);
        for argument in ["-map", "0:v:0", "-an", "-sn", "-dn", "-vf", &select] {
            arguments.push(argument.into());
        }
        let count = piped.iter().map(|r| r.1 - r.0 + 1).sum::<usize>().to_string();
        arguments.extend(self.passthrough.map(OsString::from));
        for argument in ["-frames:v", &count, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"] {
            arguments.push(argument.into());
        }
        arguments.splice(0..0, ["-v", "quiet"].map(OsString::from));
        let child = if indices.is_empty() {
            None
        } else {
            Some(spawn(&self.path, &arguments, &self.options, process::Pipe::Output)?)
        };
        let piped: Vec<usize> = piped.into_iter().flat_map(|(a, b)| a..=b).collect();
        let wanted = Vec::from(indices).into_iter();
        Ok(ProgramFrames { program: self.clone(), child, piped: piped.into_iter(), wanted, last: None, failed: false })
    }
}

fn common(input: &OsString, options: &OpenOptions) -> Vec<OsString> {
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

fn too_slow(options: &OpenOptions) -> MediaError {
    let limit = options.limits.child_time.as_secs();
    MediaError::Limit { what: "seconds of FFmpeg's work on the file", number: limit + 1, limit }
}

/// Runs of neighbouring numbers in an ascending list.
fn ranges(indices: &[usize]) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    for &index in indices {
        match out.last_mut() {
            Some(range) if index <= range.1 + 1 => range.1 = index,
            _ => out.push((index, index)),
        }
    }
    out
}

/// The filter that lets the wanted frames pass, and what then comes through the pipe.
fn selection(ranges: &[(usize, usize)]) -> (String, Vec<(usize, usize)>) {
    let piped = match ranges {
        [first, .., last] if ranges.len() > TERMS => vec![(first.0, last.1)],
        _ => ranges.to_vec(),
    };
    let terms: Vec<String> = piped.iter().map(|(a, b)| format!("between(n\\,{a}\\,{b})")).collect();
    (format!("select={}", terms.join("+")), piped)
}

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
        sample_aspect: listing.aspect,
        rotation: 0,
        sampling: listing.format.clone(),
        depth: 8,
        colour: Colour::default(),
        duration,
        frames: times.len(),
        fps: if duration > 0.0 { times.len() as f64 / duration } else { 0.0 },
        start: first,
        audio_tracks: listing.audio_tracks,
        decoder: "ffmpeg".into(),
        warnings: Vec::new(),
    };
    (info, end)
}

/// Frames from a running FFmpeg; dropping it ends the program.
pub(crate) struct ProgramFrames {
    program: Arc<Program>,
    child: Option<Running>,
    piped: std::vec::IntoIter<usize>,
    wanted: std::vec::IntoIter<usize>,
    last: Option<(usize, Rgb)>,
    failed: bool,
}

impl ProgramFrames {
    fn read(&mut self, index: usize) -> Result<Rgb, MediaError> {
        if let Some((at, image)) = &self.last
            && *at == index
        {
            return Ok(image.clone());
        }
        let Some(child) = &mut self.child else { return Err(MediaError::Bug("no running program".into())) };
        let (width, height) = (self.program.info.width, self.program.info.height);
        loop {
            let mut data = vec![0; width as usize * height as usize * 3];
            if child.output().read_exact(&mut data).is_err() {
                if child.timed_out() {
                    return Err(too_slow(&self.program.options));
                }
                let what = format!("FFmpeg gave no frame {index}");
                return Err(MediaError::Malformed { part: "video stream", what });
            }
            let image = Rgb { width, height, data };
            if self.piped.next() == Some(index) {
                self.last = Some((index, image.clone()));
                return Ok(image);
            }
        }
    }
}

impl Iterator for ProgramFrames {
    type Item = Result<Frame, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let index = self.wanted.next()?;
        let image = self.read(index);
        self.failed = image.is_err();
        Some(image.map(|image| Frame { index, time: self.program.times[index], image }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_selected_as_ranges() {
        let ranges = ranges(&[2, 2, 3, 4, 9]);
        assert_eq!(ranges, [(2, 4), (9, 9)]);
        assert_eq!(selection(&ranges).0, "select=between(n\\,2\\,4)+between(n\\,9\\,9)");
    }

    #[test]
    fn many_single_frames_go_through_the_pipe_as_one_range() {
        let many: Vec<usize> = (0..TERMS + 1).map(|i| 5 + 3 * i).collect();
        let (select, piped) = selection(&ranges(&many));
        assert_eq!(piped, [(5, 5 + 3 * TERMS)]);
        assert_eq!(select.matches("between").count(), 1);
    }
}
