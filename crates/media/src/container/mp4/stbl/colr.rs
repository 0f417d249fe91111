//! Color descriptions of a sample entry: `colr`, and the color fields of `vpcC`.

use super::super::super::byte_source::cursor::Cursor;
use super::super::boxes::full_box;
use crate::color::description::Color;
use crate::error::MediaError;

/// Reads `colr`: the coded forms `nclx` and QuickTime's `nclc`; `None` for ICC profiles.
pub(in super::super) fn colr(body: &[u8]) -> Option<Color> {
    let mut c = Cursor::new(body, "colr box");
    let color_type = c.fourcc().ok()?;
    if !matches!(&color_type, b"nclx" | b"nclc") {
        return None;
    }
    let primaries = c.u16().ok()?;
    let transfer = c.u16().ok()?;
    let matrix = c.u16().ok()?;
    let full_range = match &color_type {
        b"nclx" => c.u8().ok().map(|b| b & 0x80 != 0),
        _ => None,
    };
    // Code 2 means unspecified.
    let specified = |v: u16| u8::try_from(v).ok().filter(|&v| v != 2);
    Some(Color {
        matrix: specified(matrix),
        full_range,
        primaries: specified(primaries),
        transfer: specified(transfer),
    })
}

/// Reads the color fields of `vpcC`, the VP8 and VP9 configuration.
pub(super) fn vpcc(body: &[u8]) -> Result<Color, MediaError> {
    let (_, _, mut c) = full_box(body, "vpcC box")?;
    c.skip(2)?;
    let depth_and_range = c.u8()?;
    // Code 2 means unspecified.
    let specified = |v: u8| Some(v).filter(|&v| v != 2);
    let (primaries, transfer, matrix) = (c.u8()?, c.u8()?, c.u8()?);
    Ok(Color {
        matrix: specified(matrix),
        full_range: Some(depth_and_range & 1 != 0),
        primaries: specified(primaries),
        transfer: specified(transfer),
    })
}
