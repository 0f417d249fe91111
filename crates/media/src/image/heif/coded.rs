//! A HEIF picture that a codec for video has coded.

use std::sync::Arc;

use super::source::HeifSource;
use crate::color::convert::to_rgb;
use crate::color::description::Color;
use crate::container::items::property::Property;
use crate::container::track::{Codec, VideoTrack};
use crate::decode::codec::decoder::DecodedFrame;
use crate::decode::codec::factory::DecoderFactory;
use crate::decode::decoder_panic::catch_decoder_panic;
use crate::error::{MediaError, malformed, unsupported};
use crate::frame::Rgb;
use crate::options::limits::check_limit;
use crate::options::{HighDynamicRange, OpenOptions};

/// Columns and rows that a codec may code beyond what the picture shows: the largest coding block.
const CODED_MARGIN: u64 = 64;

/// Bytes of the configuration of a decoder, at most. It may be read for every tile.
const MAX_CONFIGURATION: u64 = 1 << 16;

/// A coded picture: one item.
#[derive(Debug)]
pub(super) struct CodedPicture {
    id: u32,
    /// Size in pixels that the container states.
    pub(super) size: (u32, u32),
    pub(super) codec: Codec,
    /// Colors as the container states them.
    color: Color,
    /// Shared by the tiles of a grid.
    configuration: Arc<[u8]>,
}

impl CodedPicture {
    /// Reads the properties of item `id`.
    ///
    /// # Errors
    /// `Malformed` without a size, `Unsupported` for a codec without a decoder here.
    pub(super) fn read(source: &HeifSource, id: u32) -> Result<Self, MediaError> {
        let item = source.items.get(id)?;
        let codec = item.codec();
        if !matches!(codec, Codec::Hevc | Codec::Av1 | Codec::H264) {
            return Err(unsupported(format!("HEIF picture with the codec {}", codec.name())));
        }
        let (mut size, mut color, mut configuration) = (None, Color::default(), Arc::default());
        for property in source.items.properties(item) {
            match property {
                Property::Size(width, height) => size = Some((*width, *height)),
                Property::Color(stated) => color = *stated,
                Property::Configuration(bytes) => configuration = Arc::clone(bytes),
                _ => {}
            }
        }
        check_limit("bytes of a decoder configuration", configuration.len() as u64, MAX_CONFIGURATION)?;
        let Some(size) = size else { return Err(malformed("heif file", format!("item {id} states no size (ispe)"))) };
        Ok(CodedPicture { id, size, codec, color, configuration })
    }

    /// Whether the first decoder may refuse the picture: HEVC other than 4:2:0, by its configuration.
    pub(super) fn is_unusual(&self) -> bool {
        self.codec == Codec::Hevc && self.configuration.get(16).is_none_or(|chroma_format| chroma_format & 3 != 1)
    }

    /// A factory of decoders for this picture, which refuse anything larger than the container states.
    ///
    /// # Errors
    /// `Malformed` configurations.
    pub(super) fn factory(&self, source: &HeifSource) -> Result<DecoderFactory, MediaError> {
        let mut options = source.options.clone();
        let (width, height) = (u64::from(self.size.0), u64::from(self.size.1));
        options.limits.pixels = (width + CODED_MARGIN) * (height + CODED_MARGIN);
        let track = VideoTrack {
            extradata: self.configuration.to_vec(),
            length_prefixed: true,
            width: self.size.0,
            height: self.size.1,
            color: self.color,
            ..VideoTrack::new(self.codec.clone())
        };
        DecoderFactory::new(&track, &options)
    }

    /// Whether decoders for `other` decode this picture too.
    pub(super) fn shares_decoder(&self, other: &CodedPicture) -> bool {
        let same = Arc::ptr_eq(&self.configuration, &other.configuration);
        same && (&self.codec, self.size) == (&other.codec, other.size)
    }

    /// Decodes the picture. `factory` is its own or that of a picture that it shares decoders with.
    ///
    /// # Errors
    /// The first decoder's refusal when no decoder takes it.
    pub(super) fn decode(&self, source: &HeifSource, factory: &DecoderFactory) -> Result<Rgb, MediaError> {
        let data = source.items.data(&source.bytes, self.id, source.options.limits.sample_bytes)?;
        let mut refusal = None;
        for decoder in 0..factory.names().len() {
            match catch_decoder_panic("picture", || decode_with(factory, decoder, &data)) {
                Ok(frame) => return self.to_rgb(&frame, factory.bitstream_info(&data).color, &source.options),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        Err(refusal.unwrap_or_else(|| MediaError::Bug(format!("no decoder for {}", self.codec.name()))))
    }

    /// Converts a decoded frame to RGB and cuts it to the stated size.
    fn to_rgb(&self, frame: &DecodedFrame, of_bitstream: Color, options: &OpenOptions) -> Result<Rgb, MediaError> {
        let tone_map = options.high_dynamic_range == HighDynamicRange::ToneMap;
        let own = frame.color.unwrap_or_default().or(of_bitstream);
        // A picture that states nothing has full range (ISO/IEC 23000-22, 7.3.6.4).
        let silent = Color { full_range: Some(true), ..Color::default() };
        let color = self.color.or(own);
        let color = if color == Color::default() { silent } else { color };
        cut(to_rgb(&frame.yuv, color, tone_map), self.size, self.id)
    }
}

fn decode_with(factory: &DecoderFactory, decoder: usize, data: &[u8]) -> Result<DecodedFrame, MediaError> {
    let mut decoder = factory.make(decoder)?;
    let mut frames = Vec::new();
    decoder.push(0, data, true, &mut frames)?;
    decoder.finish(&mut frames)?;
    // Of a picture in layers, the last one is the finest.
    frames.pop().ok_or_else(|| malformed("heif picture", "its data gave no picture"))
}

/// The upper left part of `rgb` that has the size the container states.
fn cut(mut rgb: Rgb, (width, height): (u32, u32), id: u32) -> Result<Rgb, MediaError> {
    if rgb.width < width || rgb.height < height {
        let what = format!("item {id} is {}x{}, its header says {width}x{height}", rgb.width, rgb.height);
        return Err(malformed("heif picture", what));
    }
    if rgb.width > width {
        let (from, to) = (rgb.width as usize * 3, width as usize * 3);
        for row in 1..height as usize {
            rgb.data.copy_within(row * from..row * from + to, row * to);
        }
    }
    rgb.data.truncate(width as usize * height as usize * 3);
    Ok(Rgb { width, height, data: rgb.data })
}
