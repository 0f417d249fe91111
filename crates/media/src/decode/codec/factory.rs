//! Makes decoders for a track, and says which ones there are.

#[cfg(feature = "av1")]
use super::av1;
use super::decoder::{BitstreamInfo, VideoDecoder};
use super::{h264, hevc, raw, vp9};
use crate::container::nal::parameter_sets::ParameterSets;
use crate::container::nal::units::{is_overwritten, units};
use crate::container::track::{Codec, VideoTrack};
use crate::error::{MediaError, unsupported};
use crate::options::OpenOptions;

/// What is needed to make decoders for a track.
#[derive(Clone, Debug)]
pub(crate) struct DecoderFactory {
    codec: Codec,
    /// Width and height that the container states.
    size: (u32, u32),
    parameters: ParameterSets,
    options: OpenOptions,
    #[cfg(feature = "av1")]
    processes: av1::ProcessPool,
}

/// Name of the first decoder for a codec; `None` when there is none in this build.
pub(crate) fn decoder_of(codec: &Codec) -> Option<&'static str> {
    if *codec == Codec::Av1 && !cfg!(feature = "av1") { None } else { decoders_of(codec).first().copied() }
}

/// Names of the decoders for a codec, in the order they are tried.
fn decoders_of(codec: &Codec) -> &'static [&'static str] {
    match codec {
        Codec::H264 => &["rusty_h264", "rust_h264"],
        Codec::Hevc => &["rusty_h265", "rust_h265"],
        Codec::Vp9 => &["rusty_vp9"],
        Codec::Av1 => &["rav1d"],
        Codec::Raw(_) => &["raw"],
        _ => &[],
    }
}

/// Pictures decoded at a time on `threads` threads: each waits for rows of others about half the time.
fn pictures(threads: usize) -> usize {
    (2 * threads).min(16)
}

impl DecoderFactory {
    /// Reads the decoder configuration of `track`.
    ///
    /// # Errors
    /// `Malformed` configuration; `Unsupported` for a codec without a decoder here.
    pub(crate) fn new(track: &VideoTrack, options: &OpenOptions) -> Result<Self, MediaError> {
        if decoder_of(&track.codec).is_none() {
            return Err(unsupported(format!("video codec {}", track.codec.name())));
        }
        let parameters = ParameterSets::read(&track.codec, &track.extradata, track.length_prefixed)?;
        Ok(DecoderFactory {
            codec: track.codec.clone(),
            size: (track.width, track.height),
            parameters,
            options: options.clone(),
            #[cfg(feature = "av1")]
            processes: av1::ProcessPool::default(),
        })
    }

    /// Names of the decoders for this codec, in the order they are tried.
    pub(crate) fn names(&self) -> &'static [&'static str] {
        decoders_of(&self.codec)
    }

    /// Whether there is a decoder that shares its work among threads for position `decoder_index` in
    /// [`DecoderFactory::names`]. It gives the same frames.
    pub(crate) fn has_threads(&self, decoder_index: usize) -> bool {
        match self.codec {
            Codec::H264 => decoder_index == 1,
            Codec::Hevc => decoder_index == 0,
            Codec::Av1 => true,
            _ => false,
        }
    }

    /// A fresh decoder on up to `threads` threads, where [`DecoderFactory::has_threads`] says so.
    ///
    /// # Errors
    /// Parameter sets the decoder refuses; a decoder process that cannot be started.
    pub(crate) fn make_with_threads(
        &self,
        decoder_index: usize,
        threads: usize,
    ) -> Result<Box<dyn VideoDecoder>, MediaError> {
        let (parameters, limits) = (&self.parameters, &self.options.limits);
        Ok(match (&self.codec, threads) {
            (_, 1) => self.make(decoder_index)?,
            (Codec::H264, _) => Box::new(h264::threads::RustH264Threads::new(parameters, limits, pictures(threads))?),
            (Codec::Hevc, _) => Box::new(hevc::threads::RustH265Threads::new(parameters, limits, pictures(threads))?),
            #[cfg(feature = "av1")]
            (Codec::Av1, _) => self.av1(threads)?,
            _ => self.make(decoder_index)?,
        })
    }

    /// A fresh decoder on one thread. `decoder_index` is a position in [`DecoderFactory::names`].
    ///
    /// # Errors
    /// Parameter sets the decoder refuses; a decoder process that cannot be started.
    pub(crate) fn make(&self, decoder_index: usize) -> Result<Box<dyn VideoDecoder>, MediaError> {
        let (parameters, limits) = (&self.parameters, &self.options.limits);
        Ok(match (&self.codec, decoder_index) {
            (Codec::H264, 0) => Box::new(h264::rusty_h264::RustyH264::new(parameters, limits)?),
            (Codec::H264, 1) => Box::new(h264::rust_h264::RustH264::new(parameters, limits)?),
            (Codec::Hevc, 0) => Box::new(hevc::rusty_h265::RustyH265::new(parameters, limits)?),
            (Codec::Hevc, 1) => Box::new(hevc::rust_h265::RustH265::new(parameters, limits)?),
            (Codec::Vp9, 0) => Box::new(vp9::RustyVp9::new(limits)),
            (Codec::Raw(format), 0) => Box::new(raw::RawVideo::new(*format, self.size.0, self.size.1)),
            #[cfg(feature = "av1")]
            (Codec::Av1, 0) => self.av1(1)?,
            _ => return Err(MediaError::Bug(format!("no decoder {decoder_index} for {}", self.codec.name()))),
        })
    }

    /// A decoder for AV1, in a process of its own unless this one may die.
    #[cfg(feature = "av1")]
    fn av1(&self, threads: usize) -> Result<Box<dyn VideoDecoder>, MediaError> {
        Ok(match self.options.expendable {
            true => Box::new(av1::Av1Here::new(&self.options, threads)?),
            false => Box::new(av1::Av1Client::new(&self.options, &self.processes, threads)?),
        })
    }

    /// What the bitstream's own headers (parameter sets or the first keyframe) say, where they can be read.
    pub(crate) fn bitstream_info(&self, keyframe: &[u8]) -> BitstreamInfo {
        match self.codec {
            Codec::H264 => h264::sps::bitstream_info(&self.parameters, keyframe),
            Codec::Hevc => hevc::sps::bitstream_info(&self.parameters, keyframe),
            Codec::Vp9 => vp9::bitstream_info(keyframe),
            _ => BitstreamInfo::default(),
        }
    }

    /// Cropped sizes that the headers of a keyframe state: of each of its sequence parameter sets (H.264, HEVC), or its
    /// own (VP9). Sizes over the limit are left out; their frames are refused.
    pub(crate) fn keyframe_sizes(&self, keyframe: &[u8]) -> Vec<(u32, u32)> {
        let in_band = || units(keyframe, self.parameters.length_size);
        let mut sizes: Vec<(u32, u32)> = match self.codec {
            Codec::H264 => in_band().into_iter().filter_map(h264::sps::size).collect(),
            Codec::Hevc => in_band().into_iter().filter_map(hevc::sps::size).collect(),
            Codec::Vp9 => vp9::size(keyframe).into_iter().collect(),
            _ => Vec::new(),
        };
        sizes.retain(|&(w, h)| w > 0 && h > 0 && self.options.limits.check_pixels(w.into(), h.into()).is_ok());
        sizes
    }

    /// Whether sample `data` was overwritten, as its framing tells: decoders do not notice all damage.
    pub(crate) fn is_overwritten(&self, data: &[u8]) -> bool {
        matches!(self.codec, Codec::H264 | Codec::Hevc) && is_overwritten(data, self.parameters.length_size)
    }

    /// Whether sample `data` is an HEVC picture that cannot be shown when decoding starts at the keyframe before it
    /// (RASL).
    pub(crate) fn undecodable_leading(&self, data: &[u8]) -> bool {
        self.codec == Codec::Hevc && hevc::sps::is_rasl(data, self.parameters.length_size)
    }

    /// Changes the limit on the pixels of a frame.
    #[cfg(test)]
    pub(super) fn set_max_pixels(&mut self, pixels: u64) {
        self.options.limits.pixels = pixels;
    }
}
