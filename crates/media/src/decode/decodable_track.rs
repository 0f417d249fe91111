//! A video track with everything that decoding it needs.

use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::codec::decoder::DecodedFrame;
use super::codec::factory::DecoderFactory;
use super::geometry::Geometry;
use super::seek::FrameIndex;
use crate::color::convert::to_rgb;
use crate::color::description::Color;
use crate::container::byte_source::ByteSource;
use crate::container::movie::Movie;
use crate::container::track::Sample;
use crate::frame::{Rgb, Time};

/// A video track that has a decoder here.
pub(crate) struct DecodableTrack {
    pub(crate) source: ByteSource,
    pub(crate) movie: Movie,
    pub(crate) index: FrameIndex,
    pub(crate) factory: DecoderFactory,
    /// Color description for frames that bring none of their own.
    pub(crate) color: Color,
    /// Whether high dynamic range is shown as standard dynamic range.
    pub(crate) tone_map: bool,
    /// Cut, flip and turn for display.
    pub(crate) geometry: Geometry,
    /// The decoder to start with, as a position in [`DecoderFactory::names`]. Raised when one refuses the stream as
    /// unsupported.
    pub(crate) decoder_index: AtomicUsize,
    /// Whether decoders that share their work among threads have refused the stream.
    pub(crate) one_thread: AtomicBool,
}

impl DecodableTrack {
    /// Samples in decoding order.
    pub(super) fn samples(&self) -> &[Sample] {
        &self.movie.track.samples
    }

    /// Presentation time of `sample`.
    pub(crate) fn time(&self, sample: usize) -> Time {
        Time::new(self.movie.track.samples[sample].pts, self.movie.track.timescale)
    }

    /// Converts a decoded frame to RGB, and cuts, flips and turns it for display.
    pub(super) fn to_image(&self, frame: &DecodedFrame) -> Rgb {
        let color = frame.color.map_or(self.color, |own| own.or(self.color));
        self.geometry.apply(to_rgb(&frame.yuv, color, self.tone_map))
    }
}
