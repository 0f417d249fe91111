//! What travels between the program and a sandboxed process.
//!
//! A message is its kind, its length (4 bytes) and its contents. The pixels of a frame follow its message. Numbers are
//! little-endian. The process is not trusted: every length is checked before memory is taken.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::MediaError;
use crate::frame::{Frame, Rgb, Time};
use crate::info::MediaInfo;
use crate::info::track::TrackInfo;
use crate::options::limits::Limits;
use crate::subtitle::SubtitleTrack;

/// To the process: open the file that comes with this byte.
pub(super) const OPEN: u8 = b'O';
/// To the process: decode these frames.
pub(super) const FRAMES: u8 = b'F';
/// To the process: read this text track.
pub(super) const SUBTITLES: u8 = b'S';
/// From the process: it is confined, and what the kernel lacks for it.
pub(super) const READY: u8 = b'r';
/// From the process: what the file is.
pub(super) const OPENED: u8 = b'o';
/// From the process: the times of its frames.
pub(super) const TIMES: u8 = b't';
/// From the process: a frame.
pub(super) const FRAME: u8 = b'f';
/// From the process: the words of a text track.
pub(super) const CUES: u8 = b's';
/// From the process: an error.
pub(super) const ERROR: u8 = b'e';
/// From the process: no further frame, and how many were lost.
pub(super) const DONE: u8 = b'd';

/// Bytes of a message at most, but for times and cues.
pub(super) const SHORT: u64 = 1 << 20;
/// Bytes of the cues of a film at most: 200,000 of 16 KiB would never be read.
pub(super) const MAX_CUES: u64 = 64 << 20;
/// Bytes of a time.
const TIME: u64 = 12;

/// What a file is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Opened {
    pub(super) info: MediaInfo,
    pub(super) tracks: Vec<TrackInfo>,
    pub(super) subtitle_tracks: Vec<SubtitleTrack>,
    pub(super) still: bool,
    pub(super) end: f64,
    pub(super) largest_size: (u32, u32),
}

/// A frame without its pixels, and the counts up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct FrameHead {
    pub(super) index: u64,
    pub(super) repeated: u64,
    pub(super) damaged: u64,
    pub(super) lost: u64,
    pub(super) ticks: i64,
    pub(super) scale: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Bytes of [`FrameHead`].
const HEAD: usize = 52;

pub(super) fn write_message(out: &mut impl Write, kind: u8, contents: &[u8]) -> io::Result<()> {
    let length = u32::try_from(contents.len()).map_err(io::Error::other)?;
    out.write_all(&[kind])?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(contents)
}

pub(super) fn write_json(out: &mut impl Write, kind: u8, value: &impl Serialize) -> io::Result<()> {
    write_message(out, kind, &serde_json::to_vec(value)?)
}

/// The kind of the next message.
pub(super) fn read_kind(input: &mut impl Read) -> io::Result<u8> {
    let mut kind = [0];
    input.read_exact(&mut kind)?;
    Ok(kind[0])
}

/// The contents of a message whose kind has been read.
pub(super) fn read_contents(input: &mut impl Read, max: u64) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u64::from(u32::from_le_bytes(length));
    if length > max {
        return Err(invalid(format!("a message of {length} bytes, at most {max}")));
    }
    let mut contents = Vec::new();
    // Grows with what arrives, not with what is announced.
    match input.take(length).read_to_end(&mut contents)? as u64 == length {
        true => Ok(contents),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

pub(super) fn read_json<T: DeserializeOwned>(input: &mut impl Read, max: u64) -> io::Result<T> {
    Ok(serde_json::from_slice(&read_contents(input, max)?)?)
}

pub(super) fn write_times(out: &mut impl Write, times: &[Time]) -> io::Result<()> {
    let bytes = times.iter().flat_map(|time| {
        let mut both = [0; TIME as usize];
        both[..8].copy_from_slice(&time.ticks.to_le_bytes());
        both[8..].copy_from_slice(&time.scale.to_le_bytes());
        both
    });
    write_message(out, TIMES, &bytes.collect::<Vec<u8>>())
}

pub(super) fn read_times(input: &mut impl Read, limits: &Limits) -> io::Result<Vec<Time>> {
    let bytes = read_contents(input, limits.samples.saturating_mul(TIME))?;
    let time = |both: &[u8]| {
        let (ticks, scale) = both.split_at(8);
        Time::new(i64::from_le_bytes(array(ticks)), u32::from_le_bytes(array(scale)))
    };
    Ok(bytes.chunks_exact(TIME as usize).map(time).collect())
}

pub(super) fn write_indices(out: &mut impl Write, indices: &[usize]) -> io::Result<()> {
    let bytes: Vec<u8> = indices.iter().flat_map(|&index| (index as u64).to_le_bytes()).collect();
    write_message(out, FRAMES, &bytes)
}

pub(super) fn read_indices(input: &mut impl Read, count: usize) -> io::Result<Vec<usize>> {
    // Repeats are allowed: the program is trusted with their number.
    let bytes = read_contents(input, u64::MAX)?;
    let indices: Vec<usize> = bytes.chunks_exact(8).map(|index| u64::from_le_bytes(array(index)) as usize).collect();
    match indices.iter().all(|&index| index < count) {
        true => Ok(indices),
        false => Err(invalid("a frame is wanted that is not there")),
    }
}

pub(super) fn write_frame(out: &mut impl Write, head: &FrameHead, image: &Rgb) -> io::Result<()> {
    let FrameHead { index, repeated, damaged, lost, ticks, scale, width, height } = *head;
    let mut bytes = Vec::with_capacity(HEAD);
    [index, repeated, damaged, lost].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    bytes.extend(ticks.to_le_bytes());
    [scale, width, height].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    write_message(out, FRAME, &bytes)?;
    out.write_all(&image.data)
}

/// A frame whose kind has been read. `max_bytes` bounds its pixels.
pub(super) fn read_frame(input: &mut impl Read, max_bytes: u64) -> io::Result<(FrameHead, Frame)> {
    let bytes = read_contents(input, HEAD as u64)?;
    if bytes.len() != HEAD {
        return Err(invalid("a frame without a head"));
    }
    let long = |at: usize| u64::from_le_bytes(array(&bytes[at..at + 8]));
    let short = |at: usize| u32::from_le_bytes(array(&bytes[at..at + 4]));
    let [index, repeated, damaged, lost] = [0, 8, 16, 24].map(long);
    let (ticks, [scale, width, height]) = (long(32) as i64, [40, 44, 48].map(short));
    let size = (u64::from(width) * u64::from(height)).saturating_mul(3);
    if size > max_bytes || size == 0 {
        return Err(invalid(format!("a frame of {width}x{height} pixels")));
    }
    let mut data = vec![0; size as usize];
    input.read_exact(&mut data)?;
    let head = FrameHead { index, repeated, damaged, lost, ticks, scale, width, height };
    let image = Rgb { width, height, data };
    Ok((head, Frame { index: index as usize, time: Time::new(ticks, scale), image }))
}

/// Bytes that the pixels of a frame can have at most.
pub(super) fn max_frame_bytes(limits: &Limits) -> u64 {
    limits.pixels.saturating_mul(3).max(limits.picture_bytes)
}

/// Exactly so many bytes; the caller has checked the length.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut all = [0; N];
    all.copy_from_slice(bytes);
    all
}

/// An error about what does not follow this format.
pub(super) fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

/// The error for an answer of a kind that was not asked for.
pub(super) fn unexpected(kind: u8) -> io::Error {
    invalid(format!("an answer of the kind {kind:#04x}"))
}

/// Fails when `indices` are out of range or not ascending, as [`crate::Clip::frames`] does.
pub(super) fn check_indices(indices: &[usize], count: usize) -> Result<(), MediaError> {
    if let Some(index) = indices.iter().find(|&&i| i >= count) {
        return Err(MediaError::Caller(format!("frame {index} wanted, the clip has {count}")));
    }
    match indices.windows(2).find(|pair| pair[0] > pair[1]) {
        Some(pair) => Err(MediaError::Caller(format!("frame {} wanted after frame {}", pair[1], pair[0]))),
        None => Ok(()),
    }
}
