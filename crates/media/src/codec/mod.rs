//! Decoders behind one trait, one file a decoder crate, and the choice between them.

#[cfg(feature = "av1")]
mod av1;
mod fields;
mod h264;
mod h264_second;
mod hevc;
mod hevc_second;
pub(crate) mod nal;
#[cfg(test)]
mod tests;
mod vp9;

use crate::clip::OpenOptions;
use crate::error::MediaError;
use crate::limits::Limits;
use crate::track::{Codec, Colour, VideoTrack};
use crate::yuv::Yuv;

/// One decoded picture.
#[derive(Debug)]
pub(crate) struct Picture {
    /// The sample (decoding order) whose access unit it came from.
    pub(crate) sample: usize,
    /// The picture.
    pub(crate) yuv: Yuv,
    /// What the bitstream says about colour, where only the decoder knows (AV1).
    pub(crate) colour: Option<Colour>,
}

/// A decoder of one group at a time; a fresh one is made for every group.
///
/// Errors of `push` and `finish` leave the decoder usable: the caller decides whether to go on (concealing what is
/// missing), to try the next decoder from the group's key, or to give up.
pub(crate) trait Decode: Send {
    /// Feeds one sample. `wanted` is false for a sample whose picture nobody needs: when no other picture refers to it
    /// it is not decoded at all.
    fn push(&mut self, sample: usize, data: &[u8], wanted: bool, out: &mut Vec<Picture>) -> Result<(), MediaError>;

    /// Gives out everything still held.
    fn finish(&mut self, out: &mut Vec<Picture>) -> Result<(), MediaError>;
}

/// What is needed to make decoders for a track.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    codec: Codec,
    parameters: nal::Parameters,
    options: OpenOptions,
    #[cfg(feature = "av1")]
    pool: av1::Pool,
}

impl Recipe {
    /// Reads the decoder configuration of `track`.
    ///
    /// # Errors
    /// `Malformed` configuration; `Unsupported` for a codec without a decoder here.
    pub(crate) fn new(track: &VideoTrack, options: &OpenOptions) -> Result<Self, MediaError> {
        let parameters = match track.codec {
            Codec::H264 => nal::avc_parameters(&track.extradata, track.length_prefixed)?,
            Codec::Hevc => nal::hevc_parameters(&track.extradata, track.length_prefixed)?,
            Codec::Vp9 => nal::Parameters::default(),
            #[cfg(feature = "av1")]
            Codec::Av1 => nal::Parameters::default(),
            _ => return Err(unsupported(format!("video codec {}", codec_name(&track.codec)))),
        };
        Ok(Recipe {
            codec: track.codec.clone(),
            parameters,
            options: options.clone(),
            #[cfg(feature = "av1")]
            pool: av1::Pool::default(),
        })
    }

    /// Names of the decoders for this codec, in the order they are tried.
    pub(crate) fn names(&self) -> &'static [&'static str] {
        match self.codec {
            Codec::H264 => &["rusty_h264", "rust_h264"],
            Codec::Hevc => &["rusty_h265", "rust_h265"],
            Codec::Vp9 => &["rusty_vp9"],
            Codec::Av1 => &["rav1d"],
            _ => &[],
        }
    }

    /// A fresh decoder, `choice` being a position in [`Recipe::names`].
    ///
    /// # Errors
    /// Parameter sets the decoder refuses; a decoder process that cannot be started.
    pub(crate) fn make(&self, choice: usize) -> Result<Box<dyn Decode>, MediaError> {
        let (parameters, limits) = (&self.parameters, &self.options.limits);
        Ok(match (&self.codec, choice) {
            (Codec::H264, 0) => Box::new(h264::First::new(parameters, limits)?),
            (Codec::H264, 1) => Box::new(h264_second::Second::new(parameters, limits)?),
            (Codec::Hevc, 0) => Box::new(hevc::First::new(parameters, limits)?),
            (Codec::Hevc, 1) => Box::new(hevc_second::Second::new(parameters, limits)?),
            (Codec::Vp9, 0) => Box::new(vp9::Vp9::new(limits)),
            #[cfg(feature = "av1")]
            (Codec::Av1, 0) => Box::new(av1::Av1::new(&self.options, &self.pool)?),
            _ => return Err(MediaError::Bug(format!("no decoder {choice} for {}", codec_name(&self.codec)))),
        })
    }

    /// What the bitstream's own headers (parameter sets or the first key frame) say, where they can be read.
    pub(crate) fn describe(&self, key: &[u8]) -> Description {
        match self.codec {
            Codec::H264 => h264_second::describe(&self.parameters, key),
            Codec::Hevc => hevc::describe(&self.parameters, key),
            Codec::Vp9 => vp9::describe(key),
            _ => Description::default(),
        }
    }

    /// Whether sample `data` is an HEVC picture that cannot be shown when decoding starts at the key before it (RASL).
    pub(crate) fn undecodable_leading(&self, data: &[u8]) -> bool {
        self.codec == Codec::Hevc && hevc::is_rasl(data, self.parameters.prefix)
    }
}

/// What a bitstream says about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Description {
    /// Profile in words, empty when unknown.
    pub(crate) profile: String,
    /// Colour tags of the bitstream.
    pub(crate) colour: Colour,
}

/// The `Unsupported` error of a coding tool or codec, with the remedy.
pub(crate) fn unsupported(what: String) -> MediaError {
    let remedy = "install FFmpeg (apt-get install --no-install-recommends ffmpeg, or point ZOETROPE_FFMPEG at the \
                  program) and it will be used for this file"
        .to_string();
    MediaError::Unsupported { what, remedy }
}

/// Fails when a picture of this coded size would be over the limit.
pub(crate) fn check_pixels(width: u64, height: u64, limits: &Limits) -> Result<(), MediaError> {
    let number = width.saturating_mul(height);
    if number > limits.pixels {
        return Err(MediaError::Limit { what: "pixels of a frame", number, limit: limits.pixels });
    }
    Ok(())
}

/// The usual name of a codec.
pub(crate) fn codec_name(codec: &Codec) -> &str {
    match codec {
        Codec::H264 => "H.264",
        Codec::Hevc => "HEVC",
        Codec::Vp8 => "VP8",
        Codec::Vp9 => "VP9",
        Codec::Av1 => "AV1",
        Codec::Mjpeg => "Motion JPEG",
        Codec::Mpeg4 => "MPEG-4 part 2",
        Codec::Mpeg2 => "MPEG-2 video",
        Codec::Other(name) => name,
    }
}
