//! An opened clip: what it is, its frame times, and its frames.

use std::sync::Arc;

use crate::container::byte_source::ByteSource;
use crate::container::text::TextTrack;
use crate::decode::decodable_track::DecodableTrack;
use crate::decode::largest_size::largest_size;
use crate::decode::track_frames::TrackFrames;
use crate::error::MediaError;
use crate::ffmpeg::clip::FfmpegClip;
use crate::ffmpeg::frames::FfmpegFrames;
use crate::frame::{Frame, Time};
use crate::image::file::ImageFile;
use crate::image::folder::{FolderFrames, PictureFolder};
use crate::image::frames::ImageFrames;
use crate::info::MediaInfo;
use crate::info::track::{TrackInfo, TrackKind};
use crate::subtitle::{self, SubtitleTrack, Subtitles};

/// An opened file: a video, an animation or a still image. Cheap to clone; usable from several threads.
#[derive(Clone)]
pub struct Clip {
    pub(crate) info: MediaInfo,
    pub(crate) times: Arc<[Time]>,
    pub(crate) end: f64,
    /// The video tracks of its container; none where it is no file of several.
    pub(crate) tracks: Arc<[TrackInfo]>,
    /// Its text tracks, where a container has been read.
    pub(crate) texts: Option<Arc<Texts>>,
    pub(crate) still: bool,
    pub(crate) threads: usize,
    pub(crate) backend: Backend,
}

/// The text tracks of a film, and where their bytes are.
pub(crate) struct Texts {
    pub(crate) source: ByteSource,
    pub(crate) tracks: Vec<TextTrack>,
}

/// What reads the frames of a clip.
#[derive(Clone)]
pub(crate) enum Backend {
    /// The `image` crate: a still image or an animation.
    Image(Arc<ImageFile>),
    /// A container reader and an embedded video decoder.
    Track(Arc<DecodableTrack>),
    /// The system's FFmpeg program.
    Ffmpeg(Arc<FfmpegClip>),
    /// Pictures of a folder.
    Folder(Arc<PictureFolder>),
}

impl std::fmt::Debug for Clip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clip").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Clip {
    /// What the file is.
    pub fn info(&self) -> &MediaInfo {
        &self.info
    }

    /// The video tracks of the file in its own order. A picture, and a format that only FFmpeg reads, is one track.
    pub fn tracks(&self) -> Vec<TrackInfo> {
        if !self.tracks.is_empty() {
            return self.tracks.to_vec();
        }
        let info = &self.info;
        vec![TrackInfo {
            number: 0,
            codec: info.codec.clone(),
            width: info.coded_width,
            height: info.coded_height,
            frames: Some(info.frames as u64),
            duration: Some(info.duration),
            default: true,
            kind: if self.still { TrackKind::Picture } else { TrackKind::Video },
            used: true,
            decoder: info.decoder.clone(),
        }]
    }

    /// The text tracks of the file in its own order.
    pub fn subtitle_tracks(&self) -> Vec<SubtitleTrack> {
        self.texts.as_ref().map_or_else(Vec::new, |texts| subtitle::describe(&texts.tracks))
    }

    /// The subtitles of text track `number`. Times count from the start of the first frame.
    ///
    /// # Errors
    /// `Caller` when there is no such track, `Unsupported` for one that is not text, `Io` when it cannot be read.
    pub fn subtitles(&self, number: usize) -> Result<Subtitles, MediaError> {
        let tracks = self.texts.as_ref().map_or(&[][..], |texts| &texts.tracks);
        let (Some(track), Some(texts)) = (tracks.get(number), &self.texts) else {
            let text = format!("subtitle track {number} wanted, {} there", tracks.len());
            return Err(MediaError::Caller(text));
        };
        let start = self.times.first().map_or(0.0, |time| time.seconds());
        Ok(subtitle::read_track(track, &texts.source)?.from_start(start))
    }

    /// Whether it is one image. An animation with more than one frame is a video, and so is a video of one frame.
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

    /// Width and height of the frame with the most pixels, after rotation.
    ///
    /// Some streams change their size (recordings of calls). [`Clip::width`] and [`Clip::height`] are those of the
    /// first frame; each frame has its own. This looks through the headers of the keyframes (H.264, HEVC, VP9), reads
    /// at most 64 MiB of them and decodes nothing. What it cannot see counts as the size of the first frame.
    pub fn largest_size(&self) -> (u32, u32) {
        let first = (self.info.width, self.info.height);
        match &self.backend {
            Backend::Track(track) => largest_size(track, first),
            Backend::Image(_) | Backend::Ffmpeg(_) | Backend::Folder(_) => first,
        }
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
    ///
    /// Only what they need is decoded. Dropping the iterator stops the work.
    ///
    /// # Errors
    /// `Caller` for indices that are out of range or not ascending. The iterator itself gives decoding errors.
    pub fn frames(&self, indices: &[usize]) -> Result<Frames, MediaError> {
        let count = self.times.len();
        if let Some(index) = indices.iter().find(|&&i| i >= count) {
            return Err(MediaError::Caller(format!("frame {index} wanted, the clip has {count}")));
        }
        if let Some(pair) = indices.windows(2).find(|pair| pair[0] > pair[1]) {
            return Err(MediaError::Caller(format!("frame {} wanted after frame {}", pair[1], pair[0])));
        }
        Ok(Frames(match &self.backend {
            Backend::Image(file) => BackendFrames::Image(ImageFrames::new(file.clone(), indices)),
            Backend::Track(track) => BackendFrames::Track(TrackFrames::new(track, indices, self.threads)?),
            Backend::Ffmpeg(clip) => BackendFrames::Ffmpeg(FfmpegFrames::new(clip, indices)?),
            Backend::Folder(folder) => {
                BackendFrames::Folder(FolderFrames::new(folder.clone(), self.times.clone(), indices))
            }
        }))
    }
}

/// Frames in the order of the request, made by [`Clip::frames`].
pub struct Frames(BackendFrames);

enum BackendFrames {
    Image(ImageFrames),
    Track(TrackFrames),
    Ffmpeg(FfmpegFrames),
    Folder(FolderFrames),
}

impl Frames {
    /// Frames given so far that show a neighbor's image because their own could not be decoded.
    pub fn repeated(&self) -> usize {
        match &self.0 {
            BackendFrames::Track(frames) => frames.repeated,
            BackendFrames::Image(frames) => frames.repeated,
            BackendFrames::Ffmpeg(_) | BackendFrames::Folder(_) => 0,
        }
    }

    /// Frames given so far that may show damage: an error was met in decoding them, or a frame that they may refer to.
    pub fn damaged(&self) -> usize {
        if let BackendFrames::Track(frames) = &self.0 { frames.damaged } else { 0 }
    }

    /// Frames left out so far because nothing near them could be decoded.
    pub fn lost(&self) -> usize {
        match &self.0 {
            BackendFrames::Track(frames) => frames.lost,
            BackendFrames::Folder(frames) => frames.lost,
            BackendFrames::Image(_) | BackendFrames::Ffmpeg(_) => 0,
        }
    }
}

impl Iterator for Frames {
    type Item = Result<Frame, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            BackendFrames::Image(frames) => frames.next(),
            BackendFrames::Track(frames) => frames.next(),
            BackendFrames::Ffmpeg(frames) => frames.next(),
            BackendFrames::Folder(frames) => frames.next(),
        }
    }
}
