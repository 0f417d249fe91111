//! What FFmpeg's messages say about a file: streams and, from the `showinfo` filter, every frame.

use std::io::BufRead;

use crate::error::MediaError;
use crate::frame::Time;
use crate::limits::Limits;

/// A longer line than this is no message of FFmpeg.
const LINE: u64 = 1 << 20;

/// Facts of a file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Listing {
    pub(super) container: String,
    pub(super) codec: String,
    pub(super) profile: String,
    /// Pixel format by FFmpeg's name.
    pub(super) format: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) aspect: (u32, u32),
    pub(super) times: Vec<Time>,
    pub(super) audio_tracks: usize,
    /// Seconds a tick, and frames a second where frames have no time of their own.
    base: (u32, u32),
    rate: (u32, u32),
}

/// Reads all messages.
///
/// # Errors
/// `Limit` when there are more frames than allowed.
pub(super) fn parse(input: &mut dyn BufRead, limits: &Limits) -> Result<Listing, MediaError> {
    let mut listing = Listing { aspect: (1, 1), base: (1, 1), rate: (25, 1), ..Listing::default() };
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = std::io::Read::take(&mut *input, LINE).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(listing);
        }
        listing.line(&String::from_utf8_lossy(&bytes));
        if listing.times.len() as u64 > limits.samples {
            let (number, limit) = (listing.times.len() as u64, limits.samples);
            return Err(MediaError::Limit { what: "frames of the video", number, limit });
        }
    }
}

impl Listing {
    fn line(&mut self, line: &str) {
        // A progress report ends with a carriage return only.
        let trimmed = line.trim();
        let trimmed = trimmed.rsplit('\r').next().unwrap_or_default();
        if let Some(rest) = trimmed.strip_prefix("Input #0, ") {
            self.container = rest.split(", from ").next().unwrap_or_default().to_string();
        } else if trimmed.starts_with("Stream #0:") {
            self.stream(trimmed);
        } else if trimmed.starts_with("[Parsed_showinfo") {
            let Some((_, text)) = trimmed.split_once("] ") else { return };
            if let Some(config) = text.strip_prefix("config in ") {
                let part = |name: &str| field(config, name).and_then(|v| fraction(v, '/'));
                self.base = part("time_base:").unwrap_or(self.base);
                self.rate = part("frame_rate:").unwrap_or(self.rate);
            } else if text.trim_start().starts_with("n:") {
                self.frame(text);
            }
        }
    }

    fn stream(&mut self, line: &str) {
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

    fn frame(&mut self, text: &str) {
        let ticks = field(text, "pts:").and_then(|v| v.parse::<i64>().ok());
        let time = match ticks {
            Some(ticks) => exact(ticks, self.base),
            None => exact(self.times.len() as i64, (self.rate.1, self.rate.0)),
        };
        self.times.push(time);
        if self.width == 0 {
            (self.width, self.height) = field(text, " s:").and_then(|v| fraction(v, 'x')).unwrap_or_default();
            self.aspect = field(text, "sar:").and_then(|v| fraction(v, '/')).filter(|a| a.0 > 0).unwrap_or((1, 1));
            self.format = field(text, "fmt:").unwrap_or_default().to_string();
        }
    }
}

/// `ticks` of `base` seconds each as one fraction.
fn exact(ticks: i64, base: (u32, u32)) -> Time {
    Time::new(ticks.saturating_mul(i64::from(base.0)), base.1)
}

/// The word after `name`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let at = text.find(name)? + name.len();
    text[at..].trim_start().split([' ', ',']).next()
}

fn fraction(text: &str, between: char) -> Option<(u32, u32)> {
    let (a, b) = text.split_once(between)?;
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
        assert_eq!((listing.width, listing.height, listing.aspect), (1280, 720, (4, 3)));
        assert_eq!(listing.times, [Time::new(-1, 30), Time::new(1, 30)]);
    }

    #[test]
    fn frames_are_limited() {
        let limits = Limits { samples: 1, ..Limits::default() };
        assert!(matches!(parse(&mut TEXT.as_bytes(), &limits), Err(MediaError::Limit { number: 2, .. })));
    }
}
