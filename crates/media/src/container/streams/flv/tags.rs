//! The tags of an FLV file one after the other, and the search for the next one after damage.

use std::ops::Range;

use super::super::super::byte_source::cursor::Cursor;
use super::super::super::byte_source::{ByteSource, PeekReader};
use super::super::super::track::{Codec, codec_of_fourcc};
use crate::error::MediaError;
use crate::options::limits::{Limits, check_limit};

/// Kinds of tags.
pub(super) const AUDIO: u8 = 8;
pub(super) const VIDEO: u8 = 9;
const DATA: u8 = 18;
/// Bytes of a tag's header, and of what begins the video data behind it.
const TAG_HEADER: usize = 11;
const VIDEO_HEADER: usize = 9;
/// Bytes after each tag: its size once more, header included.
const TAG_TRAILER: u64 = 4;

/// Walks the tags of a file.
pub(super) struct Tags<'a> {
    source: &'a ByteSource,
    limits: &'a Limits,
    reader: PeekReader<'a>,
    at: u64,
    count: u64,
    /// Bytes passed over in search of a tag, and where the first of them lies.
    passed: Option<(u64, u64)>,
    /// What is said of the end.
    cut: Option<String>,
}

impl<'a> Tags<'a> {
    /// Starts behind the header of the file.
    pub(super) fn new(source: &'a ByteSource, limits: &'a Limits) -> Result<Self, MediaError> {
        let mut reader = PeekReader::new(source, 64);
        let mut c = Cursor::new(reader.peek(0, 9)?, "flv header");
        c.skip(5)?;
        let at = u64::from(c.u32()?).max(9) + TAG_TRAILER;
        Ok(Tags { source, limits, reader, at, count: 0, passed: None, cut: None })
    }

    /// The next whole tag; `None` at the end.
    pub(super) fn next_tag(&mut self) -> Result<Option<Tag>, MediaError> {
        while self.at < self.source.len() {
            self.step()?;
            match self.tag_at(self.at)? {
                Some(tag) => {
                    self.at = tag.data.end + TAG_TRAILER;
                    return Ok(Some(tag));
                }
                None => match self.find(self.at + 1)? {
                    Some(found) => {
                        let (from, bytes) = self.passed.unwrap_or((self.at, 0));
                        self.passed = Some((from, bytes + found - self.at));
                        self.at = found;
                    }
                    None => {
                        self.cut = Some(self.end_words()?);
                        self.at = self.source.len();
                    }
                },
            }
        }
        Ok(None)
    }

    /// What was odd, in sentences.
    pub(super) fn warnings(self) -> Vec<String> {
        let passed =
            self.passed.map(|(at, n)| format!("no tag at byte {at}, {n} bytes were passed over to find the next"));
        passed.into_iter().chain(self.cut).collect()
    }

    fn step(&mut self) -> Result<(), MediaError> {
        self.count += 1;
        check_limit("tags of the file", self.count, self.limits.samples.saturating_mul(16))
    }

    /// The tag at `at`, where one is: its size stands behind it once more, or another tag or the end of the file does.
    fn tag_at(&mut self, at: u64) -> Result<Option<Tag>, MediaError> {
        let Some(tag) = Tag::read(self.reader.peek(at, TAG_HEADER + VIDEO_HEADER)?, at) else { return Ok(None) };
        let end = tag.data.end;
        if end > self.source.len() {
            return Ok(None);
        }
        let mut behind = [0; TAG_TRAILER as usize + TAG_HEADER + VIDEO_HEADER];
        let read = self.source.read_some(end, &mut behind)?;
        let behind = &behind[..read];
        let Some((trailer, next)) = behind.split_first_chunk::<4>() else { return Ok(Some(tag)) };
        let repeated = u64::from(u32::from_be_bytes(*trailer)) == end - at;
        Ok(Some(tag).filter(|_| repeated || next.is_empty() || Tag::read(next, end + TAG_TRAILER).is_some()))
    }

    /// The first tag at byte `from` or after it whose size stands behind it once more.
    fn find(&mut self, from: u64) -> Result<Option<u64>, MediaError> {
        // A window more than a header ahead, so that a tag across two windows is found in the second.
        let mut at = from;
        let mut window = vec![0; 1 << 16];
        while at + TAG_HEADER as u64 <= self.source.len() {
            let read = self.source.read_some(at, &mut window)?;
            for (place, head) in window[..read].windows(TAG_HEADER).enumerate() {
                let size = u64::from(u32::from_be_bytes([0, head[1], head[2], head[3]])) + TAG_HEADER as u64;
                if !matches!(head[0], AUDIO | VIDEO | DATA) || head[8..] != [0, 0, 0] {
                    continue;
                }
                self.step()?;
                let start = at + place as u64;
                let mut trailer = [0; TAG_TRAILER as usize];
                let whole = self.source.read_some(start + size, &mut trailer)? == trailer.len();
                if whole && u64::from(u32::from_be_bytes(trailer)) == size && self.tag_at(start)?.is_some() {
                    return Ok(Some(start));
                }
            }
            at += (read + 1).saturating_sub(TAG_HEADER).max(1) as u64;
        }
        Ok(None)
    }

    /// Why the walk ends before the file does.
    fn end_words(&mut self) -> Result<String, MediaError> {
        let (at, len) = (self.at, self.source.len());
        let head = self.reader.peek(at, TAG_HEADER + VIDEO_HEADER)?;
        let short = head.len() < TAG_HEADER + VIDEO_HEADER;
        Ok(match Tag::read(head, at) {
            Some(tag) if tag.data.end > len => {
                format!("the file is cut: its last tag wants {} bytes more", tag.data.end - len)
            }
            _ if short => format!("the file is cut: it ends inside the tag at byte {at}"),
            _ => format!("no tag at byte {at}, the rest is not read"),
        })
    }
}

/// A tag.
pub(super) struct Tag {
    /// [`AUDIO`], [`VIDEO`] or [`DATA`].
    pub(super) kind: u8,
    /// Where its data lies in the file.
    pub(super) data: Range<u64>,
    /// Milliseconds.
    pub(super) time: i64,
    pub(super) video: Option<VideoHeader>,
}

/// What begins the data of a video tag.
pub(super) struct VideoHeader {
    pub(super) codec: Codec,
    pub(super) keyframe: bool,
    pub(super) content: Content,
    /// Bytes before the content.
    pub(super) used: u64,
    /// Presentation minus decoding time in milliseconds.
    pub(super) composition_offset: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Configuration,
    Frame,
    Nothing,
}

impl Tag {
    /// Reads the header at `at`; `None` where there is none.
    fn read(head: &[u8], at: u64) -> Option<Tag> {
        let mut c = Cursor::new(head, "flv tag");
        let kind = c.u8().ok()?;
        let size = c.u24().ok()?;
        let low = c.u24().ok()?;
        // The fourth byte is the highest and signed.
        let time = i64::from((u32::from(c.u8().ok()?) << 24 | low) as i32);
        c.skip(3).ok()?;
        let kind = kind & 0x1f;
        if !matches!(kind, AUDIO | VIDEO | DATA) {
            return None;
        }
        let from = at + TAG_HEADER as u64;
        let video = if kind == VIDEO && size > 0 { Some(VideoHeader::read(&mut c).ok()?) } else { None };
        Some(Tag { kind, data: from..from + u64::from(size), time, video })
    }
}

impl VideoHeader {
    fn read(c: &mut Cursor<'_>) -> Result<VideoHeader, MediaError> {
        let before = c.left();
        let first = c.u8()?;
        let keyframe = matches!(first >> 4 & 7, 1 | 4);
        let (codec, packet, timed) = if first & 0x80 != 0 {
            let codec = codec_of_fourcc(c.fourcc()?);
            let timed = first & 15 == 1 && matches!(codec, Codec::H264 | Codec::Hevc);
            (codec, first & 15, timed)
        } else {
            let codec = legacy_codec(first & 15);
            match codec {
                Codec::H264 | Codec::Hevc => (codec, c.u8()?, true),
                _ => (codec, 1, false),
            }
        };
        let content = match packet {
            0 => Content::Configuration,
            1 | 3 => Content::Frame,
            _ => Content::Nothing,
        };
        // 24 bits with a sign. Older codecs have neither packet type nor offset.
        let composition_offset = if timed { i64::from((c.u24()? << 8) as i32 >> 8) } else { 0 };
        Ok(VideoHeader { codec, keyframe, content, used: (before - c.left()) as u64, composition_offset })
    }
}

/// The codec of a number before Enhanced RTMP; 12 is a common extension.
fn legacy_codec(number: u8) -> Codec {
    match number {
        7 => Codec::H264,
        12 => Codec::Hevc,
        2 => Codec::Other("Sorenson H.263".into()),
        4 | 5 => Codec::Other("VP6".into()),
        n => Codec::Other(format!("number {n} of FLV")),
    }
}
