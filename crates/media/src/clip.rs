//! The front door: open a file, see what it is, take frames.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

use crate::codec::{Picture, Recipe, codec_name, unsupported};
use crate::container::source::Source;
use crate::container::{self, Movie};
use crate::error::MediaError;
use crate::frame::{Frame, Time};
use crate::limits::Limits;
use crate::picture::{PictureFrames, Pictures};
use crate::plan::Order;
use crate::quiet::guarded;
use crate::stream::{Track, TrackFrames, merge};
use crate::track::{Colour, Container, VideoTrack};
use crate::{ffmpeg, picture};

/// Key frames tried at opening before the stream is called undecodable.
const PROBES: usize = 8;

/// Which decoders may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decoder {
    /// The embedded ones; the system's FFmpeg for what they do not read.
    #[default]
    Auto,
    /// Only the embedded ones.
    Embedded,
    /// Only the system's FFmpeg (pictures through the image door stay embedded).
    Ffmpeg,
}

/// How to open a clip.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// What the file may cost.
    pub limits: Limits,
    /// Threads that decode side by side, at least 1.
    pub threads: usize,
    /// Which decoders may be used.
    pub decoder: Decoder,
    /// The program that answers to `decode-child` (see [`crate::child`]); the running program when `None`.
    pub child_program: Option<PathBuf>,
}

impl Default for OpenOptions {
    /// Default limits, every core, automatic choice of decoder.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        OpenOptions { limits: Limits::default(), threads, decoder: Decoder::Auto, child_program: None }
    }
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MediaInfo {
    /// Container or picture format, lower case ("mp4", "matroska", "png", ...).
    pub container: String,
    /// Codec ("H.264", "HEVC", ...); the format again for pictures.
    pub codec: String,
    /// Profile in words; empty when unknown.
    pub profile: String,
    /// Size of the stored picture (cropped, before rotation).
    pub coded_width: u32,
    /// See `coded_width`.
    pub coded_height: u32,
    /// Size of the frames given out (after rotation; the sample aspect ratio is not applied).
    pub width: u32,
    /// See `width`.
    pub height: u32,
    /// Sample aspect ratio; (1, 1) is square. Frames are not stretched by it, as in the tools of the reference models.
    pub sample_aspect: (u32, u32),
    /// Clockwise rotation applied: 0, 90, 180 or 270.
    pub rotation: u16,
    /// Chroma sampling ("4:2:0") and bits a sample; empty and 8 for pictures.
    pub sampling: String,
    /// Bits a sample.
    pub depth: u8,
    /// Colour description used for the conversion to RGB.
    pub colour: Colour,
    /// Seconds from the first frame's start to the last frame's end; 0 for a still.
    pub duration: f64,
    /// Frames that can be shown.
    pub frames: usize,
    /// Average frames a second; 0 for a still.
    pub fps: f64,
    /// Presentation time of the first frame in seconds.
    pub start: f64,
    /// Audio tracks (not read here).
    pub audio_tracks: usize,
    /// The decoder at work.
    pub decoder: String,
    /// What was odd about the file.
    pub warnings: Vec<String>,
}

/// An opened file: a video, an animation or a still picture. Cheap to clone; usable from several threads.
#[derive(Clone)]
pub struct Clip {
    info: MediaInfo,
    times: Arc<[Time]>,
    end: f64,
    still: bool,
    threads: usize,
    door: Door,
}

#[derive(Clone)]
enum Door {
    Pictures(Arc<Pictures>),
    Track(Arc<Track>),
    Ffmpeg(Arc<ffmpeg::Program>),
}

impl std::fmt::Debug for Clip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clip").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Opens a file.
///
/// # Errors
/// What the system says about the file; `Malformed`, `Unsupported` (with the remedy) and `Limit` about its contents.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Clip, MediaError> {
    open_source(&Source::open(path)?, ffmpeg::Input::File(path.to_path_buf()), options)
}

/// Opens bytes in memory; `name` is used for messages only.
///
/// # Errors
/// As [`open`].
pub fn open_bytes(name: &str, bytes: Vec<u8>, options: &OpenOptions) -> Result<Clip, MediaError> {
    tracing::debug!("{name}: {} bytes", bytes.len());
    let bytes: Arc<[u8]> = bytes.into();
    open_source(&Source::from_bytes(bytes.clone()), ffmpeg::Input::Bytes(bytes), options)
}

fn open_source(source: &Source, input: ffmpeg::Input, options: &OpenOptions) -> Result<Clip, MediaError> {
    let limits = &options.limits;
    if source.is_empty() {
        return Err(MediaError::Malformed { part: "file", what: "it is empty (0 bytes)".into() });
    }
    let mut head = [0; 64];
    let read = source.read_some(0, &mut head)?;
    let head = &head[..read];
    if let Some(format) = picture::sniff(head) {
        if source.len() > limits.header_bytes {
            let (number, limit) = (source.len(), limits.header_bytes);
            return Err(MediaError::Limit { what: "bytes of a picture file", number, limit });
        }
        let bytes = source.read_vec(0, source.len() as usize)?;
        return Pictures::open(bytes.into(), format, limits).map(|p| of_pictures(p, options));
    }
    let embedded = match container::sniff(source) {
        Some(_) if options.decoder == Decoder::Ffmpeg => Err(unsupported("decoding by anything but FFmpeg".into())),
        Some(container) => of_track(source, container, options),
        None => Err(unknown(head)),
    };
    let refused = match embedded {
        Err(MediaError::Unsupported { what, remedy }) => MediaError::Unsupported { what, remedy },
        other => return other,
    };
    if options.decoder == Decoder::Embedded {
        return Err(refused);
    }
    match ffmpeg::Program::open(input, options) {
        Ok(Some(program)) => Ok(of_ffmpeg(program, options)),
        Ok(None) => Err(refused),
        Err(error) => Err(error),
    }
}

/// The error for a file that starts like nothing we read: named formats are unsupported, the rest is malformed.
fn unknown(head: &[u8]) -> MediaError {
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
        return MediaError::Malformed { part: "file", what: what.into() };
    };
    unsupported(name.into())
}

fn of_pictures(pictures: Pictures, options: &OpenOptions) -> Clip {
    let frames = pictures.times.len();
    let duration = pictures.end.seconds();
    let info = MediaInfo {
        container: pictures.format_name().into(),
        codec: pictures.format_name().into(),
        profile: String::new(),
        coded_width: pictures.coded.0,
        coded_height: pictures.coded.1,
        width: pictures.shown.0,
        height: pictures.shown.1,
        sample_aspect: (1, 1),
        rotation: pictures.rotation,
        sampling: String::new(),
        depth: 8,
        colour: Colour::default(),
        duration,
        frames,
        fps: if duration > 0.0 { frames as f64 / duration } else { 0.0 },
        start: 0.0,
        audio_tracks: 0,
        decoder: "image".into(),
        warnings: pictures.warnings.clone(),
    };
    Clip {
        info,
        times: pictures.times.clone().into(),
        end: duration,
        still: frames == 1,
        threads: options.threads,
        door: Door::Pictures(Arc::new(pictures)),
    }
}

fn of_ffmpeg(program: ffmpeg::Program, options: &OpenOptions) -> Clip {
    Clip {
        info: program.info.clone(),
        times: program.times.clone().into(),
        end: program.end,
        still: false,
        threads: options.threads,
        door: Door::Ffmpeg(Arc::new(program)),
    }
}

fn of_track(source: &Source, container: Container, options: &OpenOptions) -> Result<Clip, MediaError> {
    let movie = container::read(source, container, &options.limits)?;
    let recipe = Recipe::new(&movie.track, options)?;
    let mut warnings = movie.warnings.clone();
    let order = order_of(source, &movie, &recipe);
    if order.orphans > 0 {
        warnings.push(format!("{} frames before the first key frame cannot be decoded", order.orphans));
    }
    if order.shown.is_empty() {
        return Err(MediaError::Malformed { part: "video track", what: "it holds no frame that can be shown".into() });
    }
    let key = movie.read_sample(source, order.keys.first().map_or(0, |&k| k as usize)).unwrap_or_default();
    let description = recipe.describe(&key);
    let colour = merge(description.colour, movie.track.colour);
    let choice = AtomicUsize::new(0);
    let mut track = Track { source: source.clone(), movie, order, recipe, colour, choice };
    let first = probe(&track)?;
    if let Some(own) = first.colour {
        track.colour = merge(own, track.movie.track.colour);
    }
    let (times, end) = timing(&track);
    let info = describe(&track, &first, &times, end, description.profile, warnings);
    Ok(Clip {
        info,
        times: times.into(),
        end,
        still: false,
        threads: options.threads,
        door: Door::Track(Arc::new(track)),
    })
}

/// Presentation order, without the leading HEVC pictures of the first key that no decoder can show.
fn order_of(source: &Source, movie: &Movie, recipe: &Recipe) -> Order {
    let samples = &movie.track.samples;
    let plain = Order::new(samples, |_| false);
    let Some(&first) = plain.keys.first() else { return plain };
    let (first, key_pts) = (first as usize, samples.get(first as usize).map_or(0, |s| s.pts));
    let end = plain.keys.get(1).map_or(samples.len(), |&k| k as usize);
    // Leading pictures follow their key directly.
    let leading = (first + 1..end).take_while(|&i| samples[i].pts < key_pts);
    let lost: Vec<usize> =
        leading.filter(|&i| movie.read_sample(source, i).is_ok_and(|data| recipe.undecodable_leading(&data))).collect();
    if lost.is_empty() { plain } else { Order::new(samples, |i| lost.contains(&i)) }
}

/// Decodes the first key frame that decodes, to know the decoder, the true size and the sampling.
fn probe(track: &Track) -> Result<Picture, MediaError> {
    let mut refusal = None;
    let keys = track.order.keys.iter().take(PROBES);
    for &key in keys {
        for choice in track.choice.load(Ordering::Relaxed)..track.recipe.names().len() {
            match probe_with(track, key as usize, choice) {
                Ok(picture) => return Ok(picture),
                Err(error @ MediaError::Limit { .. }) => return Err(error),
                Err(error @ MediaError::Unsupported { .. }) => {
                    track.choice.fetch_max((choice + 1).min(track.recipe.names().len() - 1), Ordering::Relaxed);
                    refusal = Some(error);
                }
                Err(error) => refusal = Some(refusal.unwrap_or(error)),
            }
        }
        if matches!(refusal, Some(MediaError::Unsupported { .. } | MediaError::Bug(_))) {
            break;
        }
    }
    Err(match refusal {
        Some(MediaError::Malformed { what, .. }) => {
            let what = format!("no frame of the {} could be decoded ({what})", codec_name(&track.movie.track.codec));
            MediaError::Malformed { part: "video stream", what }
        }
        Some(error) => error,
        None => MediaError::Malformed { part: "video stream", what: "it has no key frame".into() },
    })
}

fn probe_with(track: &Track, key: usize, choice: usize) -> Result<Picture, MediaError> {
    let data = track.movie.read_sample(&track.source, key)?;
    guarded("video stream", || {
        let mut decoder = track.recipe.make(choice)?;
        let mut pictures = Vec::new();
        decoder.push(key, &data, true, &mut pictures)?;
        decoder.finish(&mut pictures)?;
        let missing =
            || MediaError::Malformed { part: "video stream", what: format!("key frame {key} gave no picture") };
        pictures.into_iter().next().ok_or_else(missing)
    })
}

/// Times of the shown frames and the end of the last one in seconds.
fn timing(track: &Track) -> (Vec<Time>, f64) {
    let times: Vec<Time> = track.order.shown.iter().map(|&s| track.time(s as usize)).collect();
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

fn describe(
    track: &Track,
    first: &Picture,
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
        codec: codec_name(&track.movie.track.codec).to_string(),
        profile,
        coded_width: w,
        coded_height: h,
        width,
        height,
        sample_aspect: sar,
        rotation,
        sampling: first.yuv.sampling().into(),
        depth: first.yuv.depth,
        colour: track.colour,
        duration,
        frames,
        fps: if duration > 0.0 { frames as f64 / duration } else { 0.0 },
        start,
        audio_tracks: track.movie.audio_tracks,
        decoder: track.recipe.names()[track.choice.load(Ordering::Relaxed)].to_string(),
        warnings,
    }
}

impl Clip {
    /// What the file is.
    pub fn info(&self) -> &MediaInfo {
        &self.info
    }

    /// Whether it is one picture. Animations with more than one frame are videos, and so is a video of one frame.
    pub fn is_still(&self) -> bool {
        self.still
    }

    /// Width of the frames in pixels, after rotation.
    pub fn width(&self) -> u32 {
        self.info.width
    }

    /// Height of the frames in pixels, after rotation.
    pub fn height(&self) -> u32 {
        self.info.height
    }

    /// Exact presentation times of all frames, in order.
    pub fn times(&self) -> &[Time] {
        &self.times
    }

    /// End of the last frame in seconds, on the same clock as [`Clip::times`].
    pub fn end(&self) -> f64 {
        self.end
    }

    /// The frames at `indices` (positions in [`Clip::times`], ascending, repeats allowed), decoded as they are taken.
    /// Only what they need is decoded. Dropping the iterator stops the work.
    ///
    /// # Errors
    /// `Caller` for indices that are out of range or not ascending; the iterator itself gives decoding errors.
    pub fn at(&self, indices: &[usize]) -> Result<Frames, MediaError> {
        let count = self.times.len();
        if let Some(index) = indices.iter().find(|&&i| i >= count) {
            return Err(MediaError::Caller(format!("frame {index} wanted, the clip has {count}")));
        }
        if let Some(pair) = indices.windows(2).find(|pair| pair[0] > pair[1]) {
            return Err(MediaError::Caller(format!("frame {} wanted after frame {}", pair[1], pair[0])));
        }
        Ok(Frames(match &self.door {
            Door::Pictures(pictures) => Kind::Pictures(PictureFrames::new(pictures.clone(), indices)),
            Door::Track(track) => Kind::Track(TrackFrames::new(track, indices, self.threads)?),
            Door::Ffmpeg(program) => Kind::Ffmpeg(program.frames(indices)?),
        }))
    }
}

/// Frames in the order they were asked for. See [`Clip::at`].
pub struct Frames(Kind);

enum Kind {
    Pictures(PictureFrames),
    Track(TrackFrames),
    Ffmpeg(ffmpeg::ProgramFrames),
}

impl Frames {
    /// Frames given so far that show a neighbour's picture because their own could not be decoded.
    pub fn repeated(&self) -> usize {
        if let Kind::Track(frames) = &self.0 { frames.repeated } else { 0 }
    }

    /// Frames left out so far because nothing near them could be decoded.
    pub fn lost(&self) -> usize {
        if let Kind::Track(frames) = &self.0 { frames.lost } else { 0 }
    }
}

impl Iterator for Frames {
    type Item = Result<Frame, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Kind::Pictures(frames) => frames.next(),
            Kind::Track(frames) => frames.next(),
            Kind::Ffmpeg(frames) => frames.next(),
        }
    }
}
