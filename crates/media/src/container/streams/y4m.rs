//! YUV4MPEG2 (Y4M): raw frames behind one line of text, what tools exchange through pipes.

use super::super::byte_source::{ByteSource, PeekReader};
use super::super::choice::{TrackChoice, choose};
use super::super::movie::ParsedFile;
use super::super::track::ratio::reduced_ratio;
use super::super::track::{Codec, RawFormat, Sample, TrackSummary, VideoTrack};
use crate::color::description::Color;
use crate::error::{MediaError, malformed, unsupported};
use crate::options::limits::{Limits, check_limit};

const MAGIC: &[u8] = b"YUV4MPEG2";
/// Bytes of a header line at most.
const MAX_LINE: usize = 1024;

/// Whether the first bytes are the start of a header line.
pub(in super::super) fn sniff(head: &[u8]) -> bool {
    head.strip_prefix(MAGIC).and_then(|h| h.first()).is_some_and(|b| matches!(b, b' ' | b'\n'))
}

/// Reads the index of a Y4M file.
pub(in super::super) fn read(
    source: &ByteSource,
    limits: &Limits,
    choice: &TrackChoice<'_>,
) -> Result<ParsedFile, MediaError> {
    let mut reader = PeekReader::new(source, 64);
    let line = line(reader.peek(0, MAX_LINE)?)?.to_vec();
    let header = Header::read(&line)?;
    let size = header.frame_bytes()?;
    check_limit("bytes of a coded frame", size, limits.sample_bytes)?;
    let (mut at, mut samples, mut warnings) = (line.len() as u64 + 1, Vec::new(), Vec::new());
    while at < source.len() {
        let head = reader.peek(at, MAX_LINE.min(64))?;
        let Some(length) = head.starts_with(b"FRAME").then(|| head.iter().position(|&b| b == b'\n')).flatten() else {
            warnings.push(format!("no frame at byte {at}, the rest is not read"));
            break;
        };
        let (offset, end) = (at + length as u64 + 1, at + length as u64 + 1 + size);
        if end > source.len() {
            warnings.push(format!("the file is cut: its last frame wants {} bytes more", end - source.len()));
            break;
        }
        check_limit("frames of the track", samples.len() as u64 + 1, limits.samples)?;
        let pts = samples.len() as i64 * i64::from(header.rate.1);
        // The size of a frame is under its limit, which fits.
        samples.push(Sample { offset, size: size as u32, pts, dts: pts, keyframe: true, shown: true });
        at = end;
    }
    if samples.is_empty() {
        return Err(malformed("y4m file", "it holds no frame"));
    }
    let frames = samples.len() as u64;
    let codec = Codec::Raw(header.format);
    let summary = TrackSummary {
        codec: codec.clone(),
        width: header.width,
        height: header.height,
        frames: Some(frames),
        seconds: Some(frames as f64 * f64::from(header.rate.1) / f64::from(header.rate.0)),
        ..TrackSummary::default()
    };
    let tracks = vec![summary];
    let chosen = choose(&tracks, choice)?;
    let track = VideoTrack {
        width: header.width,
        height: header.height,
        sar: Some(header.sar),
        color: Color { full_range: header.full_range, ..Color::default() },
        timescale: header.rate.0,
        duration: Some(frames as i64 * i64::from(header.rate.1)),
        samples,
        ..VideoTrack::new(codec)
    };
    Ok(ParsedFile::of_video(track, tracks, chosen, warnings))
}

/// The bytes before the first newline.
fn line(data: &[u8]) -> Result<&[u8], MediaError> {
    let end = data.iter().position(|&b| b == b'\n');
    let long = || malformed("y4m header", format!("its line does not end within {MAX_LINE} bytes"));
    end.map(|end| &data[..end]).ok_or_else(long)
}

/// What the header line says.
struct Header {
    width: u32,
    height: u32,
    /// Frames per second.
    rate: (u32, u32),
    sar: (u32, u32),
    format: RawFormat,
    full_range: Option<bool>,
}

impl Header {
    /// Reads the parameters, each a letter and its value. Those that are not known are passed over.
    fn read(line: &[u8]) -> Result<Header, MediaError> {
        let text = String::from_utf8_lossy(&line[MAGIC.len().min(line.len())..]).into_owned();
        let mut header = Header {
            width: 0,
            height: 0,
            rate: (25, 1),
            sar: (1, 1),
            format: RawFormat { depth: 8, half_width: true, half_height: true, ..RawFormat::default() },
            full_range: None,
        };
        for parameter in text.split_ascii_whitespace() {
            let Some((letter, value)) = parameter.split_at_checked(1) else { continue };
            match letter {
                "W" => header.width = value.parse().unwrap_or(0),
                "H" => header.height = value.parse().unwrap_or(0),
                "F" => header.rate = ratio(value).unwrap_or((25, 1)),
                "A" => header.sar = ratio(value).unwrap_or((1, 1)),
                "I" => header.format.interlaced = matches!(value, "t" | "b"),
                "C" => header.format = color_space(value, header.format.interlaced)?,
                "X" if value == "COLORRANGE=FULL" => header.full_range = Some(true),
                "X" if value == "COLORRANGE=LIMITED" => header.full_range = Some(false),
                _ => {}
            }
        }
        if header.width == 0 || header.height == 0 {
            return Err(malformed("y4m header", format!("a picture of {}x{}", header.width, header.height)));
        }
        Ok(header)
    }

    /// Bytes of one frame.
    fn frame_bytes(&self) -> Result<u64, MediaError> {
        let bytes = self.format.frame_bytes(self.width, self.height);
        bytes.ok_or_else(|| malformed("y4m header", format!("a picture of {}x{}", self.width, self.height)))
    }
}

/// Two numbers with a colon between them; `None` when one is zero.
fn ratio(value: &str) -> Option<(u32, u32)> {
    let (a, b) = value.split_once(':')?;
    let (a, b): (u32, u32) = (a.parse().ok()?, b.parse().ok()?);
    (a > 0 && b > 0).then(|| reduced_ratio(a.into(), b.into()))
}

/// The sample format by its name (`420jpeg`, `422p10`, `mono`).
fn color_space(name: &str, interlaced: bool) -> Result<RawFormat, MediaError> {
    let refused = || unsupported(format!("raw video of the form {:?}", name.chars().take(20).collect::<String>()));
    let (sampling, depth) = match name.split_once('p') {
        Some((sampling, depth)) if depth.bytes().all(|b| b.is_ascii_digit()) => (sampling, depth),
        _ => match name.strip_prefix("mono") {
            Some(depth) if !depth.is_empty() => ("mono", depth),
            _ => (name, "8"),
        },
    };
    let depth: u8 = depth.parse().ok().filter(|d| (8..=16).contains(d)).ok_or_else(refused)?;
    let (half_width, half_height, mono) = match sampling {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => (true, true, false),
        "422" => (true, false, false),
        "444" => (false, false, false),
        "mono" => (false, false, true),
        _ => return Err(refused()),
    };
    Ok(RawFormat { depth, half_width, half_height, mono, left_sited: sampling == "420mpeg2", interlaced })
}
