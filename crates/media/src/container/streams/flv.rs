//! Flash video (FLV), the format of live streaming (RTMP): tags with their type, size and time. Codecs are AVC and, as
//! the Enhanced RTMP specification has them, HEVC, VP9 and AV1; everything older is left to FFmpeg.

mod tags;

use super::super::byte_source::ByteSource;
use super::super::choice::{TrackChoice, choose};
use super::super::movie::ParsedFile;
use super::super::nal::configuration;
use super::super::sample::layout::SampleLayout;
use super::super::track::{Codec, Sample, TrackSummary, VideoTrack};
use crate::error::{MediaError, malformed};
use crate::options::limits::{Limits, check_limit};
use tags::{Content, Tags, VideoHeader};

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
    let mut tags = Tags::new(source, limits)?;
    while let Some(tag) = tags.next_tag()? {
        file.audio |= tag.kind == tags::AUDIO;
        if let Some(video) = tag.video {
            file.add(source, &video, tag.data, tag.time)?;
        }
    }
    file.warnings.append(&mut tags.warnings());
    file.finish(choice)
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
        let audio_tracks = usize::from(self.audio);
        Ok(ParsedFile { audio_tracks, layout, ..ParsedFile::of_video(track, tracks, chosen, self.warnings) })
    }
}
