//! The sample description: codec, size, configuration, colour, pixel shape.

use super::super::bytes::{Cursor, bad, code_text};
use super::super::{codec_of_code, ratio};
use super::boxes::{children, find, find_path, full};
use crate::MediaError;
use crate::track::{Codec, Colour};

/// What one video sample entry says.
pub(super) struct Entry {
    pub(super) codec: Codec,
    pub(super) extradata: Vec<u8>,
    pub(super) length_prefixed: bool,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) sar: Option<(u32, u32)>,
    pub(super) colour: Colour,
    /// Number of entries in the table.
    pub(super) entries: u32,
}

/// Reads the first entry of `stsd`. Errors: malformed, or unsupported when the track is encrypted.
pub(super) fn read(body: &[u8]) -> Result<Entry, MediaError> {
    let (_, _, mut c) = full(body, "stsd box")?;
    let entries = c.u32()?;
    let Some(first) = children(c.rest()).next() else {
        return Err(bad("stsd box", "it describes no sample"));
    };
    if matches!(&first.kind, b"encv" | b"drmi") {
        let scheme = find_path(first.body.get(78..).unwrap_or(&[]), &[b"sinf", b"frma"]);
        let name = scheme.and_then(|s| s.get(..4)).map(|s| code_text([s[0], s[1], s[2], s[3]]));
        return Err(MediaError::Unsupported {
            what: format!("encrypted video ({})", name.unwrap_or_else(|| "unknown codec".into())),
            remedy: "decrypt the file first; Zoetrope reads no protected media".into(),
        });
    }
    let mut c = Cursor::new(first.body, "video sample entry");
    c.skip(24)?;
    let width = u32::from(c.u16()?);
    let height = u32::from(c.u16()?);
    c.skip(50)?;
    let boxes = c.rest();
    let mut entry = Entry {
        codec: codec_of_code(first.kind),
        extradata: Vec::new(),
        length_prefixed: false,
        width,
        height,
        sar: None,
        colour: Colour::default(),
        entries,
    };
    configuration(&mut entry, boxes);
    if let Some(pasp) = find(boxes, b"pasp") {
        let mut c = Cursor::new(pasp, "pasp box");
        if let (Ok(h), Ok(v)) = (c.u32(), c.u32())
            && h > 0
            && v > 0
        {
            entry.sar = Some(ratio(u64::from(h), u64::from(v)));
        }
    }
    if let Some(colour) = children(boxes).filter(|b| b.kind == *b"colr").find_map(|b| colr(b.body)) {
        entry.colour = colour;
    }
    Ok(entry)
}

fn configuration(entry: &mut Entry, boxes: &[u8]) {
    let kind: &[u8; 4] = match entry.codec {
        Codec::H264 => b"avcC",
        Codec::Hevc => b"hvcC",
        Codec::Av1 => b"av1C",
        Codec::Vp8 | Codec::Vp9 => b"vpcC",
        _ => b"esds",
    };
    let Some(body) = find(boxes, kind) else {
        return;
    };
    match entry.codec {
        Codec::H264 | Codec::Hevc => {
            // A configuration record of version 1 (drafts of HEVC: 0) means length-prefixed units.
            entry.length_prefixed = body.first().is_some_and(|&v| v <= 1);
            entry.extradata = body.to_vec();
        }
        Codec::Av1 => entry.extradata = body.to_vec(),
        Codec::Vp8 | Codec::Vp9 => {
            entry.extradata = body.to_vec();
            if let Ok(colour) = vpcc(body) {
                entry.colour = colour;
            }
        }
        _ => {
            if let Ok((object, config)) = esds(body) {
                entry.codec = codec_of_object(object, &entry.codec);
                entry.extradata = config.to_vec();
            }
        }
    }
}

/// `colr`: the coded form (`nclx`, QuickTime's `nclc`), `None` for ICC profiles.
fn colr(body: &[u8]) -> Option<Colour> {
    let mut c = Cursor::new(body, "colr box");
    let kind = c.fourcc().ok()?;
    if !matches!(&kind, b"nclx" | b"nclc") {
        return None;
    }
    let primaries = c.u16().ok()?;
    let transfer = c.u16().ok()?;
    let matrix = c.u16().ok()?;
    let full_range = match &kind {
        b"nclx" => c.u8().ok().map(|b| b & 0x80 != 0),
        _ => None,
    };
    let said = |v: u16| u8::try_from(v).ok().filter(|&v| v != 2);
    Some(Colour { matrix: said(matrix), full_range, primaries: said(primaries), transfer: said(transfer) })
}

/// VP8/VP9 configuration: its colour part.
fn vpcc(body: &[u8]) -> Result<Colour, MediaError> {
    let (_, _, mut c) = full(body, "vpcC box")?;
    c.skip(2)?;
    let packed = c.u8()?;
    let said = |v: u8| Some(v).filter(|&v| v != 2);
    let (primaries, transfer, matrix) = (c.u8()?, c.u8()?, c.u8()?);
    Ok(Colour {
        matrix: said(matrix),
        full_range: Some(packed & 1 != 0),
        primaries: said(primaries),
        transfer: said(transfer),
    })
}

/// `esds`: object type and decoder-specific bytes.
fn esds(body: &[u8]) -> Result<(u8, &[u8]), MediaError> {
    let (_, _, mut c) = full(body, "esds box")?;
    let (mut tag, _) = descriptor(&mut c)?;
    if tag == 3 {
        c.skip(2)?;
        let flags = c.u8()?;
        if flags & 0x80 != 0 {
            c.skip(2)?;
        }
        if flags & 0x40 != 0 {
            let n = c.u8()?;
            c.skip(usize::from(n))?;
        }
        if flags & 0x20 != 0 {
            c.skip(2)?;
        }
        (tag, _) = descriptor(&mut c)?;
    }
    if tag != 4 {
        return Err(bad("esds box", format!("descriptor {tag} where 4 belongs")));
    }
    let object = c.u8()?;
    c.skip(12)?;
    match descriptor(&mut c) {
        Ok((5, size)) => Ok((object, c.take(size.min(c.left()))?)),
        _ => Ok((object, &[])),
    }
}

/// Tag and size (up to four bytes of seven bits).
fn descriptor(c: &mut Cursor<'_>) -> Result<(u8, usize), MediaError> {
    let tag = c.u8()?;
    let mut size = 0;
    for _ in 0..4 {
        let b = c.u8()?;
        size = size << 7 | usize::from(b & 0x7f);
        if b & 0x80 == 0 {
            break;
        }
    }
    Ok((tag, size))
}

fn codec_of_object(object: u8, from_code: &Codec) -> Codec {
    match object {
        0x20 => Codec::Mpeg4,
        0x21 => Codec::H264,
        0x23 => Codec::Hevc,
        0x60..=0x65 => Codec::Mpeg2,
        0x6a => Codec::Other("mp1v".into()),
        0x6c => Codec::Mjpeg,
        0xb1 => Codec::Vp9,
        _ => from_code.clone(),
    }
}
