//! HEIF pictures (HEIC, AVIF): items of the container, decoded with the decoders for video.
//!
//! One coded picture, or a grid of equal tiles as phones write it; rotation, mirroring and crop of the container; an
//! alpha channel that is a picture of its own. Sizes are checked before anything is decoded, and no tile may be larger
//! than its header says, so that the work is bounded by the pixels of the picture.

mod coded;
mod grid;
mod source;
mod transform;

use super::{alpha, still};
use crate::container::byte_source::ByteSource;
use crate::container::items::Items;
use crate::container::items::property::Property;
use crate::container::track::{Codec, Orientation};
use crate::error::{MediaError, malformed, unsupported};
use crate::frame::Rgb;
use crate::options::{Alpha, OpenOptions};
use coded::CodedPicture;
use grid::Grid;
use source::HeifSource;
use transform::Transforms;

/// Derivations (`iden`) that are followed from the primary item.
const MAX_DERIVATIONS: u32 = 8;

/// What the URN of an alpha channel is.
const ALPHA_TYPES: [&[u8]; 2] = [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1"];

/// An opened HEIF picture.
#[derive(Debug)]
pub(super) struct HeifPicture {
    source: HeifSource,
    color: Layer,
    alpha: Option<Layer>,
    /// Whether the colors are already multiplied by alpha.
    premultiplied: bool,
}

/// A picture before and after its transforms.
#[derive(Debug)]
struct Layer {
    pixels: LayerPixels,
    transforms: Transforms,
}

#[derive(Debug)]
enum LayerPixels {
    Coded(CodedPicture),
    Grid(Grid),
}

impl HeifPicture {
    /// Reads what the primary item is made of, and checks its size and its codec.
    ///
    /// # Errors
    /// `Malformed` items; `Unsupported` codecs, derivations and properties; `Limit` for too many pixels.
    pub(super) fn open(
        bytes: ByteSource,
        items: Items,
        options: &OpenOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Self, MediaError> {
        let source = HeifSource { bytes, items, options: options.clone() };
        let primary = source.items.primary;
        let color = Layer::read(&source, primary)?;
        let alpha_id = source.items.referring(b"auxl", primary).find(|&id| is_alpha(&source.items, id));
        let alpha = match alpha_id.map(|id| Layer::read(&source, id)) {
            Some(Err(MediaError::Unsupported { what, .. })) => {
                warnings.push(format!("its alpha channel is not used: unsupported {what}"));
                None
            }
            other => other.transpose()?,
        };
        let refers = |id| source.items.get(primary).is_ok_and(|item| item.referred(b"prem").any(|to| to == id));
        let premultiplied = alpha_id.is_some_and(refers);
        Ok(HeifPicture { color, alpha, premultiplied, source })
    }

    /// Size in pixels as stored, before rotation and crop.
    pub(super) fn coded_size(&self) -> (u32, u32) {
        self.color.stored_size()
    }

    /// Size in pixels as shown.
    pub(super) fn shown_size(&self) -> (u32, u32) {
        self.color.transforms.size(self.coded_size())
    }

    /// How the coded picture is mirrored and turned for display.
    pub(super) fn orientation(&self) -> Orientation {
        self.color.transforms.orientation()
    }

    /// Whether there is an alpha channel.
    pub(super) fn has_alpha(&self) -> bool {
        self.alpha.is_some()
    }

    /// The name of the format: "avif" or "heic" by the codec, else "heif".
    pub(super) fn format_name(&self) -> &'static str {
        match self.color.first().codec {
            Codec::Av1 => "avif",
            Codec::Hevc => "heic",
            _ => "heif",
        }
    }

    /// Decodes the picture.
    ///
    /// # Errors
    /// `Malformed` and `Unsupported` data.
    pub(super) fn decode(&self) -> Result<Rgb, MediaError> {
        let mut rgb = self.color.decode(&self.source)?;
        if let (Some(layer), Alpha::Over(background)) = (&self.alpha, self.source.options.alpha) {
            let channel = layer.decode(&self.source)?;
            alpha::composite(&mut rgb, &channel, background, self.premultiplied);
        }
        Ok(rgb)
    }
}

/// Whether item `id` is an alpha channel.
fn is_alpha(items: &Items, id: u32) -> bool {
    let Ok(item) = items.get(id) else { return false };
    items.properties(item).any(|p| matches!(p, Property::AuxiliaryType(urn) if ALPHA_TYPES.contains(&urn.as_slice())))
}

impl Layer {
    /// Reads what item `id` is made of and checks its size. A kind that decoders often refuse is tried.
    fn read(source: &HeifSource, mut id: u32) -> Result<Self, MediaError> {
        let mut transforms = Transforms::default();
        for _ in 0..MAX_DERIVATIONS {
            let item = source.items.get(id)?;
            // What the inner item asks for comes first.
            transforms = Transforms::of(source.items.properties(item)).then(transforms);
            if item.kind == *b"iden" {
                let inner = item.referred(b"dimg").next();
                id = inner.ok_or_else(|| malformed("heif file", format!("item {id} is derived from nothing")))?;
                continue;
            }
            let pixels = match &item.kind {
                b"grid" => LayerPixels::Grid(Grid::read(source, id)?),
                b"iovl" => return Err(unsupported("HEIF picture that is an overlay of others".into())),
                _ => LayerPixels::Coded(CodedPicture::read(source, id)?),
            };
            let layer = Layer { pixels, transforms };
            still::check_size(layer.stored_size(), source.options.limits.picture_bytes / 3)?;
            let first = layer.first();
            let factory = first.factory(source)?;
            if first.is_unusual() {
                first.decode(source, &factory)?;
            }
            return Ok(layer);
        }
        Err(malformed("heif file", format!("more than {MAX_DERIVATIONS} derivations in a row")))
    }

    /// The picture, or the first tile of the grid.
    fn first(&self) -> &CodedPicture {
        match &self.pixels {
            LayerPixels::Coded(picture) => picture,
            LayerPixels::Grid(grid) => grid.first(),
        }
    }

    fn stored_size(&self) -> (u32, u32) {
        match &self.pixels {
            LayerPixels::Coded(picture) => picture.size,
            LayerPixels::Grid(grid) => grid.size,
        }
    }

    fn decode(&self, source: &HeifSource) -> Result<Rgb, MediaError> {
        let rgb = match &self.pixels {
            LayerPixels::Coded(picture) => picture.decode(source, &picture.factory(source)?)?,
            LayerPixels::Grid(grid) => grid.decode(source)?,
        };
        Ok(self.transforms.apply(rgb))
    }
}
