//! What the readers here refuse goes to the system's FFmpeg for a second opinion.

use std::sync::Arc;

use crate::clip::{Backend, Clip};
use crate::container::track::Codec;
use crate::error::MediaError;
use crate::ffmpeg::clip::FfmpegClip;
use crate::ffmpeg::input::FfmpegInput;
use crate::options::{DecoderChoice, OpenOptions};

/// The video stream that FFmpeg should read.
pub(crate) struct WantedStream {
    /// Position among the video streams that are no attached pictures.
    pub(crate) number: usize,
    /// The codec that the reader here has found, when it has read the file.
    pub(crate) codec: Option<Codec>,
}

/// Opens with FFmpeg what was `refused` here. FFmpeg chooses the stream when `wanted` is `None`.
///
/// # Errors
/// `refused` when FFmpeg is not there or not allowed. When it refuses as well, both reasons in one error. `Limit` when
/// it takes too long.
pub(crate) fn open(
    refused: MediaError,
    input: FfmpegInput,
    wanted: Option<WantedStream>,
    options: &OpenOptions,
) -> Result<Clip, MediaError> {
    let second_opinion = matches!(refused, MediaError::Unsupported { .. } | MediaError::Malformed { .. });
    if options.decoder == DecoderChoice::Embedded || !second_opinion {
        return Err(refused);
    }
    match FfmpegClip::open(input, wanted.as_ref().map(|w| w.number), options) {
        Ok(Some(mut clip)) => {
            let expected = wanted.and_then(|w| w.codec);
            clip.info.warnings.extend(expected.and_then(|codec| another_stream(&codec, &clip.info.codec)));
            if let MediaError::Malformed { part, what } = refused {
                clip.info.warnings.push(format!("the {part} looks malformed ({what}); FFmpeg reads it"));
            }
            Ok(ffmpeg_clip(clip, options))
        }
        Ok(None) => Err(without_ffmpeg(refused)),
        Err(MediaError::Malformed { what, .. }) => Err(refused_twice(refused, &what)),
        Err(error) => Err(error),
    }
}

/// Says that FFmpeg reads another codec than the track has that was chosen here. Names that are not known here are
/// taken to be right.
fn another_stream(expected: &Codec, found: &str) -> Option<String> {
    let name = match expected {
        Codec::H264 => "h264",
        Codec::Hevc => "hevc",
        Codec::Vp8 => "vp8",
        Codec::Vp9 => "vp9",
        Codec::Av1 => "av1",
        Codec::Mjpeg => "mjpeg",
        Codec::Mpeg4 => "mpeg4",
        Codec::Mpeg2 => "mpeg2video",
        _ => return None,
    };
    (name != found).then(|| format!("FFmpeg reads a track of {found} where {} was expected", expected.name()))
}

/// Says that FFmpeg might read the file. Errors about what is unsupported say it already.
fn without_ffmpeg(refused: MediaError) -> MediaError {
    match refused {
        MediaError::Malformed { part, what } => {
            let what = format!("{what} (FFmpeg, which reads more formats, is not installed)");
            MediaError::Malformed { part, what }
        }
        other => other,
    }
}

/// The error when FFmpeg cannot read the file either; `second` is what it said.
fn refused_twice(refused: MediaError, second: &str) -> MediaError {
    match refused {
        MediaError::Malformed { part, what } => MediaError::Malformed { part, what: format!("{what}; {second}") },
        MediaError::Unsupported { what, .. } => MediaError::Unsupported { what, remedy: second.to_string() },
        other => other,
    }
}

fn ffmpeg_clip(clip: FfmpegClip, options: &OpenOptions) -> Clip {
    Clip {
        info: clip.info.clone(),
        times: clip.times.clone().into(),
        end: clip.end,
        tracks: Arc::default(),
        texts: None,
        still: clip.times.len() == 1 && is_picture_format(&clip.info.container),
        threads: options.threads,
        backend: Backend::Ffmpeg(Arc::new(clip)),
    }
}

/// Whether this is FFmpeg's name of a picture format: most are called `bmp_pipe` and the like.
fn is_picture_format(name: &str) -> bool {
    name.ends_with("_pipe") || name == "ico"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{malformed, unsupported};

    #[test]
    fn two_refusals_are_told_in_one_error() {
        let both = refused_twice(malformed("mp4 file", "no index"), "FFmpeg found no video frame in it (no moov)");
        assert_eq!(both.to_string(), "malformed mp4 file: no index; FFmpeg found no video frame in it (no moov)");
        let both = refused_twice(unsupported("video codec vvc".into()), "FFmpeg found no video frame in it (vvc)");
        assert_eq!(both.to_string(), "unsupported video codec vvc: FFmpeg found no video frame in it (vvc)");
    }

    #[test]
    fn another_stream_than_expected_is_told() {
        assert_eq!(another_stream(&Codec::Mpeg4, "mpeg4"), None);
        assert_eq!(another_stream(&Codec::Other("apcn".into()), "prores"), None);
        let text = "FFmpeg reads a track of mjpeg where MPEG-4 part 2 was expected";
        assert_eq!(another_stream(&Codec::Mpeg4, "mjpeg").as_deref(), Some(text));
    }

    #[test]
    fn without_ffmpeg_the_first_reason_stays() {
        let error = without_ffmpeg(malformed("file", "it is no video")).to_string();
        assert!(error.starts_with("malformed file: it is no video (FFmpeg"), "{error}");
    }
}
