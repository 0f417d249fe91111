//! Opening a file: the choice of the backend by the first bytes, and the description of what was opened.

mod hand_over;
mod picture_folder;
mod spool;
pub(crate) mod unrecognized;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::clip::{Backend, Clip, Texts};
use crate::container;
use crate::container::byte_source::ByteSource;
use crate::container::choice::TrackChoice;
use crate::container::movie::Movie;
use crate::container::track::{Codec, Container, TrackSummary, VideoTrack};
use crate::decode::codec::decoder::DecodedFrame;
use crate::decode::codec::factory::{DecoderFactory, decoder_of};
use crate::decode::decodable_track::DecodableTrack;
use crate::decode::geometry::Geometry;
use crate::decode::keyframe_probe::probe;
use crate::decode::seek::FrameIndex;
use crate::decode::stretch::Stretch;
use crate::error::{MediaError, malformed, unsupported};
use crate::ffmpeg::input::FfmpegInput;
use crate::ffmpeg::open_file::OpenFile;
use crate::frame::Time;
use crate::image::file::ImageFile;
use crate::image::picture::{image_info, open_picture};
use crate::info::track::TrackInfo;
use crate::info::{MediaInfo, average_fps, display_size};
use crate::options::limits::check_limit;
use crate::options::{DecoderChoice, HighDynamicRange, OpenOptions, SampleAspect};
use hand_over::WantedStream;

/// Opens a file, a pipe, standard input by the name `-`, or a folder of pictures, which are the frames of a video.
///
/// Pictures of a folder are in natural order of their names (`f2` before `f10`); their times come from
/// [`OpenOptions::frame_rate`].
///
/// What cannot be read at any place (pipes, devices) is copied to a temporary file first, at most
/// [`file_bytes`](crate::Limits::file_bytes) of it.
///
/// # Errors
/// `Io` as the system reports it; `Caller` for URLs; `Malformed`, `Unsupported` (with the remedy) and `Limit` about the
/// contents.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Clip, MediaError> {
    if path.is_dir() {
        return picture_folder::open(path, options);
    }
    let (source, input) = input_of(path, options)?;
    open_source(&source, input, options)
}

/// Opens bytes in memory. `name` is used for messages only.
///
/// # Errors
/// `Malformed`, `Unsupported` (with the remedy) and `Limit` about the contents.
pub fn open_bytes(name: &str, bytes: Vec<u8>, options: &OpenOptions) -> Result<Clip, MediaError> {
    tracing::debug!("{name}: {} bytes", bytes.len());
    let source = ByteSource::from_bytes(bytes);
    open_source(&source, FfmpegInput::Bytes(source.clone()), options)
}

/// Opens the `bytes` bytes from `begin` on of the file at `path`: a file inside an archive. They are read when they are
/// needed.
///
/// # Errors
/// As [`open`]; `Io` when the file has fewer bytes.
pub fn open_part(path: &Path, begin: u64, bytes: u64, options: &OpenOptions) -> Result<Clip, MediaError> {
    let source = ByteSource::open(path)?.part(begin, bytes)?;
    open_source(&source, FfmpegInput::Bytes(source.clone()), options)
}

/// Opens a file that is open for reading, whose name may not be reachable.
#[cfg(unix)]
pub(crate) fn open_descriptor(file: std::fs::File, options: &OpenOptions) -> Result<Clip, MediaError> {
    let source = ByteSource::from_file(file.try_clone()?)?;
    open_source(&source, FfmpegInput::Open(OpenFile::nameless(file)), options)
}

/// Lists the video tracks of a file in its own order. A picture, and a format that only FFmpeg reads, is one track.
///
/// # Errors
/// What [`open`] says, as far as it concerns the container.
pub fn tracks(path: &Path, options: &OpenOptions) -> Result<Vec<TrackInfo>, MediaError> {
    if path.is_dir() {
        return Ok(picture_folder::open(path, options)?.tracks());
    }
    let (source, input) = input_of(path, options)?;
    let Some(container) = container::sniff(&source) else {
        return Ok(open_source(&source, input, options)?.tracks());
    };
    Ok(track_list(&read_track(&source, container, options)?, options))
}

/// The video tracks of a container file.
fn track_list(movie: &Movie, options: &OpenOptions) -> Vec<TrackInfo> {
    let decoder = |codec: &Codec| match options.decoder {
        DecoderChoice::Ffmpeg => "ffmpeg",
        _ => decoder_of(codec).unwrap_or("ffmpeg"),
    };
    let info = |(number, track): (usize, &TrackSummary)| {
        let mut info = TrackInfo::new(number, track, number == movie.chosen, decoder(&track.codec));
        if info.used {
            info.frames = Some(movie.track.samples.len() as u64);
            (info.width, info.height) = (movie.track.width, movie.track.height);
        }
        info
    };
    movie.tracks.iter().enumerate().map(info).collect()
}

/// The bytes of `path`, for the readers here and for FFmpeg.
fn input_of(path: &Path, options: &OpenOptions) -> Result<(ByteSource, FfmpegInput), MediaError> {
    match spool::spool(path, options.limits.file_bytes, options.pipe_time)? {
        Some(copy) => Ok((ByteSource::from_file(copy.file().try_clone()?)?, FfmpegInput::Open(copy))),
        None => Ok((ByteSource::open(path)?, FfmpegInput::File(path.to_path_buf()))),
    }
}

/// Opens `source`; `input` holds the same bytes for FFmpeg.
fn open_source(source: &ByteSource, input: FfmpegInput, options: &OpenOptions) -> Result<Clip, MediaError> {
    if source.is_empty() {
        return Err(malformed("file", "it is empty (0 bytes)"));
    }
    check_limit("bytes of the file", source.len(), options.limits.file_bytes)?;
    let mut head = [0; 64];
    let read = source.read_some(0, &mut head)?;
    let head = &head[..read];
    if let Some(picture) = open_picture(source, head, options) {
        return match picture.map(|file| image_clip(file, options)) {
            Err(refused @ MediaError::Unsupported { .. }) => hand_over::open(refused, input, None, options),
            other => other,
        };
    }
    // What no reader here has listed has only the number that the caller gave.
    let by_number = options.track.map(|number| WantedStream { number, codec: None });
    let Some(container) = container::sniff(source) else {
        return match unrecognized::explain(head) {
            refused if unrecognized::may_be_media(head) => hand_over::open(refused, input, by_number, options),
            refused => Err(refused),
        };
    };
    let mut movie = match read_track(source, container, options) {
        Ok(movie) => movie,
        Err(refused) => return hand_over::open(refused, input, by_number, options),
    };
    let (wanted, tracks) = (wanted_stream(&movie), track_list(&movie, options));
    let texts = Texts { source: source.clone(), tracks: std::mem::take(&mut movie.texts) };
    let embedded = match options.decoder {
        DecoderChoice::Ffmpeg => Err(unsupported("decoding by anything but FFmpeg".into())),
        _ => track_clip(source, movie, options),
    };
    let clip = embedded.or_else(|refused| hand_over::open(refused, input, Some(wanted), options))?;
    Ok(Clip { tracks: tracks.into(), texts: Some(Arc::new(texts)), ..clip })
}

/// Reads the index of the track that `options` wants.
fn read_track(source: &ByteSource, container: Container, options: &OpenOptions) -> Result<Movie, MediaError> {
    let decodable = |codec: &Codec| options.decoder == DecoderChoice::Ffmpeg || decoder_of(codec).is_some();
    let choice = TrackChoice { forced: options.track, decodable: &decodable };
    container::read_track(source, container, &options.limits, &choice)
}

/// The chosen track as FFmpeg counts: without those that it takes for attached pictures.
fn wanted_stream(movie: &Movie) -> WantedStream {
    let number = movie.tracks.iter().take(movie.chosen).filter(|t| !t.picture).count();
    WantedStream { number, codec: Some(movie.track.codec.clone()) }
}

fn image_clip(file: ImageFile, options: &OpenOptions) -> Clip {
    let frames = file.times.len();
    Clip {
        info: image_info(&file),
        times: file.times.clone().into(),
        end: file.end.seconds(),
        tracks: Arc::default(),
        texts: None,
        still: frames == 1,
        threads: options.threads,
        backend: Backend::Image(Arc::new(file)),
    }
}

fn track_clip(source: &ByteSource, movie: Movie, options: &OpenOptions) -> Result<Clip, MediaError> {
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
    let orientation = bitstream.orientation.unwrap_or(movie.track.orientation);
    // What the container states goes before the bitstream, as in FFmpeg.
    let sample_aspect = movie.track.sar.or(bitstream.sample_aspect).unwrap_or((1, 1));
    let square = options.sample_aspect == SampleAspect::Square && sample_aspect.0 != sample_aspect.1;
    let stretch = square.then_some(Stretch { sample_aspect, max_pixels: options.limits.pixels });
    let geometry = Geometry { crop: movie.track.crop, stretch, orientation };
    let tone_map = options.high_dynamic_range == HighDynamicRange::ToneMap;
    let source = source.clone();
    let one_thread = AtomicBool::new(false);
    let mut track =
        DecodableTrack { source, movie, index, factory, color, tone_map, geometry, decoder_index, one_thread };
    let first = probe(&track)?;
    if let Some(own) = first.color {
        track.color = own.or(track.movie.track.color);
    }
    let subsampled = first.yuv.subsampling() != "4:4:4";
    warnings.extend(track.color.matrix_warning(subsampled));
    let (times, end) = frame_times(&track);
    let mut info = describe_track(&track, &first, &times, end, warnings);
    (info.profile, info.sample_aspect) = (bitstream.profile, sample_aspect);
    (info.display_width, info.display_height) = display_size(&info);
    Ok(Clip {
        info,
        times: times.into(),
        end,
        tracks: Arc::default(),
        texts: None,
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
    // AVI states a number of chunks, not an end; there the last frame lasts as long as the one before.
    let stated = duration.filter(|_| track.movie.container != Container::Avi || gap == 0);
    let stated = stated.map(|d| first.saturating_add(d)).filter(|&end| end > last);
    let end = stated.unwrap_or(last.saturating_add(gap));
    (times, seconds(end))
}

fn describe_track(
    track: &DecodableTrack,
    first: &DecodedFrame,
    times: &[Time],
    end: f64,
    warnings: Vec<String>,
) -> MediaInfo {
    let Geometry { orientation, .. } = track.geometry;
    let [(coded_width, coded_height), (width, height)] =
        track.geometry.sizes((first.yuv.width as u32, first.yuv.height as u32));
    let start = times.first().map_or(0.0, |t| t.seconds());
    let (frames, duration) = (times.len(), (end - start).max(0.0));
    MediaInfo {
        container: format!("{:?}", track.movie.container).to_lowercase(),
        codec: track.movie.track.codec.name().to_string(),
        profile: String::new(),
        coded_width,
        coded_height,
        width,
        height,
        display_width: width,
        display_height: height,
        sample_aspect: (1, 1),
        mirrored: orientation.mirrored,
        rotation: orientation.rotation,
        sampling: first.yuv.subsampling().into(),
        depth: first.yuv.bit_depth,
        color: track.color,
        alpha: None,
        duration,
        frames,
        fps: average_fps(frames, duration),
        start,
        audio_tracks: track.movie.audio_tracks,
        decoder: track.factory.names()[track.decoder_index.load(Ordering::Relaxed)].to_string(),
        warnings,
    }
}
