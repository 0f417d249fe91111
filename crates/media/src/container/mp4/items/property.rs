//! `ipco`: the properties that items share.

use std::sync::Arc;

use super::super::super::byte_source::cursor::Cursor;
use super::super::super::track::fourcc_text;
use super::super::boxes::{children, full_box};
use super::super::stbl::colr;
use crate::color::description::Color;
use crate::error::MediaError;

/// A property of an item.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Property {
    /// `ispe`: width and height in pixels, before any change by other properties.
    Size(u32, u32),
    /// `hvcC`, `av1C`, `avcC`: the configuration of the decoder.
    Configuration(Arc<[u8]>),
    /// `colr` with coded values.
    Color(Color),
    /// `irot`: quarter turns counterclockwise.
    Rotation(u8),
    /// `imir`: whether left and right change places, rather than top and bottom.
    Mirror(bool),
    /// `clap`: width, height, and the offset of the center, each a numerator and a denominator.
    Crop([(i64, i64); 4]),
    /// `auxC`: what an auxiliary picture is, as a URN.
    AuxiliaryType(Vec<u8>),
    /// Says nothing that changes the pixels (`pixi`, `pasp`, color profiles, light levels).
    Information,
    /// Any other, by its type.
    Other(String),
}

/// Properties that an item can name: their positions have 15 bits.
const MAX_PROPERTIES: usize = 0x7fff;

/// Reads the properties in order.
///
/// # Errors
/// `Malformed` for a known property that is cut short.
pub(super) fn read(ipco: &[u8]) -> Result<Vec<Property>, MediaError> {
    children(ipco).take(MAX_PROPERTIES).map(|property| read_one(property.fourcc, property.body)).collect()
}

fn read_one(fourcc: [u8; 4], body: &[u8]) -> Result<Property, MediaError> {
    Ok(match &fourcc {
        b"ispe" => {
            let (_, _, mut c) = full_box(body, "ispe box")?;
            Property::Size(c.u32()?, c.u32()?)
        }
        b"hvcC" | b"av1C" | b"avcC" => Property::Configuration(body.into()),
        b"colr" => colr::colr(body).map_or(Property::Information, Property::Color),
        b"irot" => Property::Rotation(Cursor::new(body, "irot box").u8()? & 3),
        b"imir" => Property::Mirror(Cursor::new(body, "imir box").u8()? & 1 == 1),
        b"clap" => {
            let mut c = Cursor::new(body, "clap box");
            let mut ratio = || -> Result<(i64, i64), MediaError> { Ok((c.i32()?.into(), c.u32()?.into())) };
            Property::Crop([ratio()?, ratio()?, ratio()?, ratio()?])
        }
        b"auxC" => {
            let (_, _, c) = full_box(body, "auxC box")?;
            let urn = c.rest().split(|&byte| byte == 0).next().unwrap_or(&[]);
            Property::AuxiliaryType(urn.to_vec())
        }
        b"pixi" | b"pasp" | b"clli" | b"mdcv" | b"cclv" | b"amve" | b"udes" | b"altt" | b"free" | b"skip" => {
            Property::Information
        }
        _ => Property::Other(fourcc_text(fourcc)),
    })
}
