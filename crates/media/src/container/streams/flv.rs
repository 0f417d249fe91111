//! Flash video (FLV), the format of live streaming (RTMP): tags with their type, size and time. Codecs are AVC and, as
//! the Enhanced RTMP specification has them, HEVC, VP9 and AV1; everything older is left to FFmpeg.

use super::super::byte_source::cursor::Cursor;
use super::super::byte_source::{ByteSource, PeekReader};
use super::super::choice::{TrackChoice, choose};
use super::super::movie::ParsedFile;
use super::super::nal::configuration;
use super::super::sample::layout::SampleLayout;
use super::super::track::codec_of_fourcc;
use super::super::track::{Codec, Sample, TrackSummary, VideoTrack};
use crate::error::{MediaError, malformed};
use crate::limits::{Limits, check_limit};

/// Bytes of a tag's header, and of what begins the video data behind it.
const TAG_HEADER: usize = 11;
const VIDEO_HEADER: usize = 9;
/// Bytes after each tag: its size once more.
const TAG_TRAILER: u64 = 4;

/// Whether the first bytes are an FLV header.
pub(in super::super) fn sniff(head: &[u8]) -> bool {
    head.starts_with(b"FLV\x01") && head.len() >= 9
}

/// Reads the index of an FLV file.
pub(in super::super) fn read(
    source: &ByteSource,
    limits: &Limits,
    choice: &TrackChoice<'_>,
) -> Result<ParsedFile, MediaError> {
    let mut file = FlvFile::new(limits);
    let mut reader = PeekReader::new(source, 64);
    let mut c = Cursor::new(reader.peek(0, 9)?, "flv header");
    c.skip(5)?;
    let mut at = u64::from(c.u32()?).max(9) + TAG_TRAILER;
    let mut tags = 0u64;
    while at < source.len() {
        tags += 1;
        check_limit("tags of the file", tags, limits.samples.saturating_mul(16))?;
        let tag = match Tag::read(reader.peek(at, TAG_HEADER + VIDEO_HEADER)?) {
            Ok(tag) if matches!(tag.kind, 8 | 9 | 18) => tag,
            Err(_) if at + (TAG_HEADER + VIDEO_HEADER) as u64 > source.len() => {
                file.warnings.push(format!("the file is cut: it ends inside the tag at byte {at}"));
                break;
            }
            _ => {
                file.warnings.push(format!("no tag at byte {at}, the rest is not read"));
                break;
            }
        };
        let end = at + TAG_HEADER as u64 + u64::from(tag.size);
        if end > source.len() {
            file.warnings.push(format!("the file is cut: its last tag wants {} bytes more", end - source.len()));
            break;
        }
        file.audio |= tag.kind == 8;
        if let Some(video) = tag.video {
            file.add(source, &video, at + TAG_HEADER as u64..end, tag.time)?;
        }
        at = end + TAG_TRAILER;
    }
    file.finish(choice)
}

/// The header of a tag.
struct Tag {
    /// 8: audio, 9: video, 18: data.
    kind: u8,
    size: u32,
    /// Milliseconds.
    time: i64,
    video: Option<VideoHeader>,
}

/// What begins the data of a video tag.
struct VideoHeader {
    codec: Codec,
    keyframe: bool,
    content: Content,
    /// Bytes before the content.
    used: u64,
    /// Presentation minus decoding time in milliseconds.
    composition_offset: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Configuration,
    Frame,
    Nothing,
}

impl Tag {
    fn read(data: &[u8]) -> Result<Tag, MediaError> {
        let mut c = Cursor::new(data, "flv tag");
        let kind = c.u8()? & 0x1f;
        let size = c.u24()?;
        let low = c.u24()?;
        // The fourth byte is the highest and signed.
        let time = i64::from((u32::from(c.u8()?) << 24 | low) as i32);
        c.skip(3)?;
        let video = (kind == 9 && size > 0).then(|| VideoHeader::read(&mut c)).transpose()?;
        Ok(Tag { kind, size, time, video })
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

/// The video of the file as its tags add to it.
struct FlvFile<'a> {
    limits: &'a Limits,
    codec: Option<Codec>,
    extradata: Vec<u8>,
    samples: Vec<Sample>,
    /// Later configurations: the first sample they hold for, and their bytes.
    changes: Vec<(usize, Vec<u8>)>,
    header_bytes: u64,
    audio: bool,
    other_codec: bool,
    warnings: Vec<String>,
}

impl<'a> FlvFile<'a> {
    fn new(limits: &'a Limits) -> Self {
        FlvFile {
            limits,
            codec: None,
            extradata: Vec::new(),
            samples: Vec::new(),
            changes: Vec::new(),
            header_bytes: 0,
            audio: false,
            other_codec: false,
            warnings: Vec::new(),
        }
    }

    /// Adds the video tag whose data lies in `data`.
    fn add(
        &mut self,
        source: &ByteSource,
        video: &VideoHeader,
        data: std::ops::Range<u64>,
        time: i64,
    ) -> Result<(), MediaError> {
        if *self.codec.get_or_insert_with(|| video.codec.clone()) != video.codec {
            if !self.other_codec {
                self.warnings.push(format!("{} from byte {} on is not read", video.codec.name(), data.start));
            }
            self.other_codec = true;
            return Ok(());
        }
        let offset = data.start + video.used;
        let Some(size) = data.end.checked_sub(offset).filter(|&n| n > 0) else { return Ok(()) };
        match video.content {
            Content::Nothing => {}
            Content::Configuration => {
                self.header_bytes += size;
                check_limit("bytes of headers", self.header_bytes, self.limits.header_bytes)?;
                self.configure(source.read_vec(offset, size as usize)?);
            }
            Content::Frame => {
                check_limit("bytes of a coded frame", size, self.limits.sample_bytes)?;
                check_limit("frames of the track", self.samples.len() as u64 + 1, self.limits.samples)?;
                let (pts, keyframe) = (time + video.composition_offset, video.keyframe);
                self.samples.push(Sample { offset, size: size as u32, pts, dts: time, keyframe, shown: true });
            }
        }
        Ok(())
    }

    fn configure(&mut self, record: Vec<u8>) {
        let last = self.changes.last().map_or(&self.extradata, |c| &c.1);
        if *last == record {
        } else if self.samples.is_empty() {
            self.extradata = record;
        } else {
            self.changes.push((self.samples.len(), record));
        }
    }

    fn finish(mut self, choice: &TrackChoice<'_>) -> Result<ParsedFile, MediaError> {
        let Some(codec) = self.codec.take().filter(|_| !self.samples.is_empty()) else {
            return Err(malformed("flv file", "it holds no frame of video"));
        };
        let frames = Some(self.samples.len() as u64);
        let tracks = vec![TrackSummary { codec: codec.clone(), frames, ..TrackSummary::default() }];
        let chosen = choose(&tracks, choice)?;
        let mut track = VideoTrack {
            length_prefixed: matches!(codec, Codec::H264 | Codec::Hevc) && !self.extradata.is_empty(),
            extradata: self.extradata,
            timescale: 1000,
            ..VideoTrack::new(codec)
        };
        let mut layout = SampleLayout::Ranges;
        if track.length_prefixed && !self.changes.is_empty() {
            let mut sets = Vec::new();
            for (first, record) in self.changes {
                let changed = VideoTrack { extradata: record, ..track.clone() };
                // A configuration that no frame follows changes nothing.
                let at = self.samples.get(first).map_or(u64::MAX, |sample| sample.offset);
                match configuration::in_band(&changed, &track) {
                    Some(bytes) => sets.push((at, bytes)),
                    None => self.warnings.push(format!("the configuration before frame {first} is not used")),
                }
            }
            layout = SampleLayout::WithParameterSets(sets);
        }
        track.samples = self.samples;
        let (warnings, audio_tracks) = (self.warnings, usize::from(self.audio));
        Ok(ParsedFile { track, tracks, chosen, warnings, audio_tracks, sub_tracks: 0, layout })
    }
}
