//! FFmpeg's messages about a file: its streams and, from the `showinfo` filter, every frame.

use std::io::BufRead;

use crate::error::MediaError;
use crate::frame::Time;
use crate::limits::Limits;

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
    /// Seconds per tick.
    time_base: (u32, u32),
    /// Frames per second, for frames that have no time of their own.
    frame_rate: (u32, u32),
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
        if let Some(rest) = trimmed.strip_prefix("Input #0, ") {
            self.container = rest.split(", from ").next().unwrap_or_default().to_string();
        } else if trimmed.starts_with("Stream #0:") {
            self.read_stream(trimmed);
        } else if trimmed.starts_with("[Parsed_showinfo") {
            let Some((_, text)) = trimmed.split_once("] ") else { return };
            if let Some(config) = text.strip_prefix("config in ") {
                let value = |name: &str| field(config, name).and_then(|v| fraction(v, '/'));
                self.time_base = value("time_base:").unwrap_or(self.time_base);
                self.frame_rate = value("frame_rate:").unwrap_or(self.frame_rate);
            } else if text.trim_start().starts_with("n:") {
                self.read_frame(text);
            }
        }
    }

    /// Reads the description of a stream. The first video stream gives codec and profile.
    fn read_stream(&mut self, line: &str) {
        if line.contains(": Audio: ") {
            self.audio_tracks += 1;
        }
        let Some((_, video)) = line.split_once(": Video: ") else { return };
        if self.codec.is_empty() {
            let mut words = video.split([' ', ',']);
            self.codec = words.next().unwrap_or_default().to_string();
            let rest = video[self.codec.len()..].trim_start();
            if let Some(profile) = rest.strip_prefix('(').and_then(|r| r.split(')').next())
                && !profile.contains(" / 0x")
            {
                self.profile = profile.to_string();
            }
        }
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

    const TEXT: &str = "Input #0, avi, from 'file:x.avi':
  Stream #0:0: Video: mpeg4 (Simple Profile) (FMP4 / 0x34504D46), yuv420p, 1280x720 [SAR 1:1 DAR 16:9], 30 fps
  Stream #0:1: Audio: mp3 (U[0][0][0] / 0x0055), 44100 Hz
[Parsed_showinfo_0 @ 0x55] config in time_base: 1/30, frame_rate: 30/1
[Parsed_showinfo_0 @ 0x55] n:   0 pts:     -1 pts_time:-0.03 duration: 1 fmt:yuv420p cl:left sar:4/3 s:1280x720 i:P
[Parsed_showinfo_0 @ 0x55]   side data - User Data
frame=    1 fps=0.0 q=-0.0 size=N/A time=00:00:00.04 bitrate=N/A\r[Parsed_showinfo_0 @ 0x55] n:   1 pts:   NOPTS pts_time:NOPTS duration: 1 fmt:yuv420p sar:4/3 s:1280x720 i:P
";

    #[test]
    fn messages_are_understood() {
        let listing = parse(&mut TEXT.as_bytes(), &Limits::default()).unwrap();
        assert_eq!((listing.container.as_str(), listing.codec.as_str()), ("avi", "mpeg4"));
        assert_eq!((listing.profile.as_str(), listing.audio_tracks), ("Simple Profile", 1));
        assert_eq!((listing.width, listing.height, listing.sample_aspect), (1280, 720, (4, 3)));
        assert_eq!(listing.times, [Time::new(-1, 30), Time::new(1, 30)]);
    }

    #[test]
    fn frames_are_limited() {
        let limits = Limits { samples: 1, ..Limits::default() };
        assert!(matches!(parse(&mut TEXT.as_bytes(), &limits), Err(MediaError::Limit { number: 2, .. })));
    }
}
