//! Opening a file: the choice of the backend by the first bytes, and the description of what was opened.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::clip::{Backend, Clip};
use crate::color::description::Color;
use crate::container;
use crate::container::byte_source::ByteSource;
use crate::container::movie::Movie;
use crate::container::track::{Container, VideoTrack};
use crate::decode::codec::decoder::DecodedFrame;
use crate::decode::codec::factory::DecoderFactory;
use crate::decode::decodable_track::DecodableTrack;
use crate::decode::keyframe_probe::probe;
use crate::decode::seek::FrameIndex;
use crate::error::{MediaError, malformed, unsupported};
use crate::ffmpeg::clip::{FfmpegClip, FfmpegInput};
use crate::frame::Time;
use crate::image::file::ImageFile;
use crate::image::format;
use crate::info::{MediaInfo, average_fps};
use crate::limits::check_limit;
use crate::options::{DecoderChoice, OpenOptions};

/// Opens a file.
///
/// # Errors
/// `Io` as the system reports it; `Malformed`, `Unsupported` (with the remedy) and `Limit` about the contents.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Clip, MediaError> {
    open_source(&ByteSource::open(path)?, FfmpegInput::File(path.to_path_buf()), options)
}

/// Opens bytes in memory. `name` is used for messages only.
///
/// # Errors
/// `Malformed`, `Unsupported` (with the remedy) and `Limit` about the contents.
pub fn open_bytes(name: &str, bytes: Vec<u8>, options: &OpenOptions) -> Result<Clip, MediaError> {
    tracing::debug!("{name}: {} bytes", bytes.len());
    let bytes: Arc<[u8]> = bytes.into();
    open_source(&ByteSource::from_bytes(bytes.clone()), FfmpegInput::Bytes(bytes), options)
}

fn open_source(source: &ByteSource, input: FfmpegInput, options: &OpenOptions) -> Result<Clip, MediaError> {
    let limits = &options.limits;
    if source.is_empty() {
        return Err(malformed("file", "it is empty (0 bytes)"));
    }
    let mut head = [0; 64];
    let read = source.read_some(0, &mut head)?;
    let head = &head[..read];
    if let Some(format) = format::sniff(head) {
        check_limit("bytes of a picture file", source.len(), limits.header_bytes)?;
        let bytes = source.read_vec(0, source.len() as usize)?;
        return ImageFile::open(bytes.into(), format, limits).map(|file| image_clip(file, options));
    }
    let embedded = match container::sniff(source) {
        Some(_) if options.decoder == DecoderChoice::Ffmpeg => {
            Err(unsupported("decoding by anything but FFmpeg".into()))
        }
        Some(container) => track_clip(source, container, options),
        None => Err(unknown_format(head)),
    };
    let refused = match embedded {
        Err(MediaError::Unsupported { what, remedy }) => MediaError::Unsupported { what, remedy },
        other => return other,
    };
    if options.decoder == DecoderChoice::Embedded {
        return Err(refused);
    }
    match FfmpegClip::open(input, options) {
        Ok(Some(clip)) => Ok(ffmpeg_clip(clip, options)),
        Ok(None) => Err(refused),
        Err(error) => Err(error),
    }
}

/// The error for a file whose start nothing here reads. Known formats are unsupported, the rest is malformed.
fn unknown_format(head: &[u8]) -> MediaError {
    let at = |offset: usize, magic: &[u8]| head.get(offset..offset + magic.len()) == Some(magic);
    let name = if at(0, b"FLV\x01") {
        "the Flash video format"
    } else if at(0, &[0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11]) {
        "the Windows media format (ASF)"
    } else if at(0, &[0, 0, 1, 0xba]) || at(0, &[0, 0, 1, 0xb3]) {
        "the MPEG program stream format"
    } else if at(0, b"OggS") {
        "the Ogg format"
    } else if at(0, b"BM") && head.len() > 26 {
        "the BMP picture format"
    } else if at(0, b"II*\0") || at(0, b"MM\0*") {
        "the TIFF picture format"
    } else if at(0, &[0, 0, 0, 1]) || at(0, &[0, 0, 1]) {
        "a raw stream without container"
    } else {
        let text = head.iter().all(|&b| b.is_ascii_graphic() || b.is_ascii_whitespace());
        let what = if text { "it is text, not a video or a picture" } else { "it is no video or picture known here" };
        return malformed("file", what);
    };
    unsupported(name.into())
}

fn image_clip(file: ImageFile, options: &OpenOptions) -> Clip {
    let frames = file.times.len();
    let duration = file.end.seconds();
    let info = MediaInfo {
        container: file.format_name().into(),
        codec: file.format_name().into(),
        profile: String::new(),
        coded_width: file.coded_size.0,
        coded_height: file.coded_size.1,
        width: file.shown_size.0,
        height: file.shown_size.1,
        sample_aspect: (1, 1),
        rotation: file.rotation,
        sampling: String::new(),
        depth: 8,
        color: Color::default(),
        duration,
        frames,
        fps: average_fps(frames, duration),
        start: 0.0,
        audio_tracks: 0,
        decoder: "image".into(),
        warnings: file.warnings.clone(),
    };
    Clip {
        info,
        times: file.times.clone().into(),
        end: duration,
        still: frames == 1,
        threads: options.threads,
        backend: Backend::Image(Arc::new(file)),
    }
}

fn ffmpeg_clip(clip: FfmpegClip, options: &OpenOptions) -> Clip {
    Clip {
        info: clip.info.clone(),
        times: clip.times.clone().into(),
        end: clip.end,
        still: false,
        threads: options.threads,
        backend: Backend::Ffmpeg(Arc::new(clip)),
    }
}

fn track_clip(source: &ByteSource, container: Container, options: &OpenOptions) -> Result<Clip, MediaError> {
    let movie = container::read(source, container, &options.limits)?;
    let factory = DecoderFactory::new(&movie.track, options)?;
    let mut warnings = movie.warnings.clone();
    let index = frame_index(source, &movie, &factory);
    if index.undecodable > 0 {
        warnings.push(format!("{} frames before the first key frame cannot be decoded", index.undecodable));
    }
    if index.shown.is_empty() {
        return Err(malformed("video track", "it holds no frame that can be shown"));
    }
    let first_keyframe = index.keyframes.first().map_or(0, |&k| k as usize);
    let bitstream = factory.bitstream_info(&movie.read_sample(source, first_keyframe).unwrap_or_default());
    let color = bitstream.color.or(movie.track.color);
    let decoder_index = AtomicUsize::new(0);
    let mut track = DecodableTrack { source: source.clone(), movie, index, factory, color, decoder_index };
    let first = probe(&track)?;
    if let Some(own) = first.color {
        track.color = own.or(track.movie.track.color);
    }
    let (times, end) = frame_times(&track);
    let info = describe_track(&track, &first, &times, end, bitstream.profile, warnings);
    Ok(Clip {
        info,
        times: times.into(),
        end,
        still: false,
        threads: options.threads,
        backend: Backend::Track(Arc::new(track)),
    })
}

/// Presentation order, without the leading HEVC pictures of the first keyframe that no decoder can show.
fn frame_index(source: &ByteSource, movie: &Movie, factory: &DecoderFactory) -> FrameIndex {
    let samples = &movie.track.samples;
    let all = FrameIndex::new(samples, |_| false);
    let Some(&first) = all.keyframes.first() else { return all };
    let (first, keyframe_pts) = (first as usize, samples.get(first as usize).map_or(0, |s| s.pts));
    let end = all.keyframes.get(1).map_or(samples.len(), |&k| k as usize);
    // Leading pictures follow their keyframe directly.
    let leading = (first + 1..end).take_while(|&i| samples[i].pts < keyframe_pts);
    let is_undecodable = |&i: &usize| movie.read_sample(source, i).is_ok_and(|data| factory.undecodable_leading(&data));
    let undecodable: Vec<usize> = leading.filter(is_undecodable).collect();
    if undecodable.is_empty() { all } else { FrameIndex::new(samples, |i| undecodable.contains(&i)) }
}

/// Times of the shown frames, and the end of the last one in seconds.
fn frame_times(track: &DecodableTrack) -> (Vec<Time>, f64) {
    let times: Vec<Time> = track.index.shown.iter().map(|&s| track.time(s as usize)).collect();
    let VideoTrack { duration, timescale, .. } = track.movie.track;
    let seconds = |ticks: i64| ticks as f64 / f64::from(timescale.max(1));
    let (first, last) = (times.first().map_or(0, |t| t.ticks), times.last().map_or(0, |t| t.ticks));
    let gap = match times.as_slice() {
        [.., before, last] => last.ticks - before.ticks,
        _ => 0,
    };
    // Only MP4 states the length of the video track itself; elsewhere the last frame lasts as long as the one before.
    let stated = duration.filter(|_| track.movie.container == Container::Mp4 || gap == 0);
    let stated = stated.map(|d| first.saturating_add(d)).filter(|&end| end > last);
    let end = stated.unwrap_or(last.saturating_add(gap));
    (times, seconds(end))
}

fn describe_track(
    track: &DecodableTrack,
    first: &DecodedFrame,
    times: &[Time],
    end: f64,
    profile: String,
    warnings: Vec<String>,
) -> MediaInfo {
    let VideoTrack { rotation, sar, .. } = track.movie.track;
    let (w, h) = (first.yuv.width as u32, first.yuv.height as u32);
    let (width, height) = if rotation % 180 == 90 { (h, w) } else { (w, h) };
    let start = times.first().map_or(0.0, |t| t.seconds());
    let (frames, duration) = (times.len(), (end - start).max(0.0));
    MediaInfo {
        container: format!("{:?}", track.movie.container).to_lowercase(),
        codec: track.movie.track.codec.name().to_string(),
        profile,
        coded_width: w,
        coded_height: h,
        width,
        height,
        sample_aspect: sar,
        rotation,
        sampling: first.yuv.subsampling().into(),
        depth: first.yuv.bit_depth,
        color: track.color,
        duration,
        frames,
        fps: average_fps(frames, duration),
        start,
        audio_tracks: track.movie.audio_tracks,
        decoder: track.factory.names()[track.decoder_index.load(Ordering::Relaxed)].to_string(),
        warnings,
    }
}
