//! FFmpeg's messages about a file: its streams and, from the `showinfo` filter, every frame.

use std::io::BufRead;

use crate::error::MediaError;
use crate::frame::Time;
use crate::options::limits::Limits;

/// Bytes of a line at most. A longer one is no message of FFmpeg.
const MAX_LINE: u64 = 1 << 20;

/// What FFmpeg says about a file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Listing {
    pub(super) container: String,
    pub(super) codec: String,
    pub(super) profile: String,
    /// Pixel format by FFmpeg's name.
    pub(super) pixel_format: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) sample_aspect: (u32, u32),
    pub(super) times: Vec<Time>,
    pub(super) audio_tracks: usize,
    /// The first error that FFmpeg reported.
    pub(super) error: Option<String>,
    /// Number of the stream that is decoded.
    pub(super) taken: Option<u32>,
    /// Whether that one is a cover or the like.
    pub(super) attached_picture: bool,
    /// Video streams of the input.
    streams: Vec<VideoStream>,
    /// Seconds per tick.
    time_base: (u32, u32),
    /// Frames per second, for frames that have no time of their own.
    frame_rate: (u32, u32),
}

/// A video stream as FFmpeg describes it.
#[derive(Debug, PartialEq)]
struct VideoStream {
    number: u32,
    codec: String,
    profile: String,
    attached_picture: bool,
}

/// Reads all messages of a run of FFmpeg.
///
/// # Errors
/// `Limit` when there are more frames than allowed.
pub(super) fn parse(input: &mut dyn BufRead, limits: &Limits) -> Result<Listing, MediaError> {
    let mut listing = Listing { sample_aspect: (1, 1), time_base: (1, 1), frame_rate: (25, 1), ..Listing::default() };
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = std::io::Read::take(&mut *input, MAX_LINE).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(listing);
        }
        listing.read_line(&String::from_utf8_lossy(&bytes));
        if listing.times.len() as u64 > limits.samples {
            let (number, limit) = (listing.times.len() as u64, limits.samples);
            return Err(MediaError::Limit { what: "frames of the video", number, limit });
        }
    }
}

impl Listing {
    /// Reads one message.
    fn read_line(&mut self, line: &str) {
        // A progress report ends with a carriage return only.
        let trimmed = line.trim();
        let trimmed = trimmed.rsplit('\r').next().unwrap_or_default();
        let (context, level, trimmed) = split_level(trimmed);
        if let Some(rest) = trimmed.strip_prefix("Input #0, ") {
            self.container = rest.split(", from ").next().unwrap_or_default().to_string();
        } else if let Some(stream) = trimmed.strip_prefix("Stream #0:") {
            self.read_stream(stream);
        } else if matches!(level, "error" | "fatal") && self.error.is_none() {
            self.error = Some(printable(trimmed));
        } else if context.starts_with("Parsed_showinfo") {
            let text = trimmed;
            if let Some(config) = text.strip_prefix("config in ") {
                let value = |name: &str| field(config, name).and_then(|v| fraction(v, '/'));
                self.time_base = value("time_base:").unwrap_or(self.time_base);
                self.frame_rate = value("frame_rate:").unwrap_or(self.frame_rate);
            } else if text.trim_start().starts_with("n:") {
                self.read_frame(text);
            }
        }
    }

    /// Reads the description of a stream of the input, or which one was taken (`0:1 -> #0:0`).
    fn read_stream(&mut self, line: &str) {
        let number = line.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse::<u32>().ok());
        let Some(number) = number else { return };
        if line.contains(" -> #0:0 ") {
            self.taken = Some(number);
            if let Some(at) = self.streams.iter().position(|s| s.number == number) {
                let stream = self.streams.swap_remove(at);
                (self.codec, self.profile) = (stream.codec, stream.profile);
                self.attached_picture = stream.attached_picture;
            }
        }
        // Once a stream is taken, further descriptions are those of the output.
        if self.taken.is_some() {
            return;
        }
        self.audio_tracks += usize::from(line.contains(": Audio: "));
        let Some((_, video)) = line.split_once(": Video: ") else { return };
        let codec = video.split([' ', ',']).next().unwrap_or_default();
        let rest = video[codec.len()..].trim_start();
        let profile = rest.strip_prefix('(').and_then(|r| r.split(')').next()).filter(|p| !p.contains(" / 0x"));
        self.streams.push(VideoStream {
            number,
            codec: codec.to_string(),
            profile: profile.unwrap_or_default().to_string(),
            attached_picture: video.contains("(attached pic)"),
        });
    }

    /// Reads the `showinfo` line of a frame.
    fn read_frame(&mut self, text: &str) {
        let ticks = field(text, "pts:").and_then(|v| v.parse::<i64>().ok());
        let time = match ticks {
            Some(ticks) => exact_time(ticks, self.time_base),
            None => exact_time(self.times.len() as i64, (self.frame_rate.1, self.frame_rate.0)),
        };
        self.times.push(time);
        if self.width == 0 {
            (self.width, self.height) = field(text, " s:").and_then(|v| fraction(v, 'x')).unwrap_or_default();
            self.sample_aspect =
                field(text, "sar:").and_then(|v| fraction(v, '/')).filter(|a| a.0 > 0).unwrap_or((1, 1));
            self.pixel_format = field(text, "fmt:").unwrap_or_default().to_string();
        }
    }
}

/// Context, level and text of a message (`[mov @ 0x1] [error] text`, `[info] text`).
fn split_level(line: &str) -> (&str, &str, &str) {
    let bracket = |text| -> Option<(&str, &str)> { str::strip_prefix(text, "[")?.split_once("] ") };
    match bracket(line) {
        Some((level @ ("info" | "warning" | "error" | "fatal" | "panic"), text)) => ("", level, text.trim_start()),
        Some((context, rest)) => match bracket(rest) {
            Some((level, text)) => (context, level, text),
            None => (context, "", rest),
        },
        None => ("", "", line),
    }
}

/// A message as one short line: file contents can be part of it.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(160).collect::<String>().trim_end_matches('.').to_string()
}

/// The time of `ticks` whose length is `base` seconds each.
fn exact_time(ticks: i64, base: (u32, u32)) -> Time {
    Time::new(ticks.saturating_mul(i64::from(base.0)), base.1)
}

/// The word after `name`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let at = text.find(name)? + name.len();
    text[at..].trim_start().split([' ', ',']).next()
}

/// Two integers with `separator` between them.
fn fraction(text: &str, separator: char) -> Option<(u32, u32)> {
    let (a, b) = text.split_once(separator)?;
    Some((a.parse().ok()?, b.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[info] Input #0, avi, from 'fd:':
[info]   Stream #0:0[0x0]: Video: mjpeg (Baseline), yuvj420p, 96x72, 90k tbr, 90k tbn (attached pic)
[info]   Stream #0:1(und): Video: mpeg4 (Simple Profile) (FMP4 / 0x34504D46), yuv420p, 1280x720, 30 fps
[info]   Stream #0:2: Audio: mp3 (U[0][0][0] / 0x0055), 44100 Hz
[info] Stream mapping:
[info]   Stream #0:1 -> #0:0 (mpeg4 (native) -> wrapped_avframe (native))
[Parsed_showinfo_0 @ 0x55] [info] config in time_base: 1/30, frame_rate: 30/1
[Parsed_showinfo_0 @ 0x55] [info] n:   0 pts:     -1 pts_time:-0.03 fmt:yuv420p cl:left sar:4/3 s:1280x720 i:P
[Parsed_showinfo_0 @ 0x55] [info]   side data - User Data
[info] Output #0, null, to 'pipe:':
[info]   Stream #0:0: Video: wrapped_avframe, yuv420p(progressive), 1280x720, q=2-31, 200 kb/s, 25 fps, 25 tbn
[info]   Stream #0:1: Audio: pcm_s16le
[mpeg4 @ 0x55] [error] damaged at 3\x1b[2J.
[fatal] Error opening input files: Invalid data found when processing input
frame=    1 fps=0.0 q=-0.0 size=N/A time=00:00:00.04 bitrate=N/A\r[Parsed_showinfo_0 @ 0x55] [info] n:   1 pts:   NOPTS pts_time:NOPTS fmt:yuv420p sar:4/3 s:1280x720 i:P
";

    #[test]
    fn messages_are_understood() {
        let listing = parse(&mut TEXT.as_bytes(), &Limits::default()).unwrap();
        assert_eq!((listing.container.as_str(), listing.codec.as_str()), ("avi", "mpeg4"));
        assert_eq!((listing.profile.as_str(), listing.audio_tracks), ("Simple Profile", 1));
        assert_eq!((listing.taken, listing.attached_picture), (Some(1), false));
        assert_eq!((listing.width, listing.height, listing.sample_aspect), (1280, 720, (4, 3)));
        assert_eq!(listing.times, [Time::new(-1, 30), Time::new(1, 30)]);
        assert_eq!(listing.error.as_deref(), Some("damaged at 3[2J"));
    }

    #[test]
    fn frames_are_limited() {
        let limits = Limits { samples: 1, ..Limits::default() };
        assert!(matches!(parse(&mut TEXT.as_bytes(), &limits), Err(MediaError::Limit { number: 2, .. })));
    }
}
