//! `esds`, the MPEG-4 elementary stream descriptor: codec and decoder configuration.

use super::super::super::byte_source::cursor::Cursor;
use super::super::super::track::Codec;
use super::super::boxes::full_box;
use crate::error::{MediaError, malformed};

/// Reads `esds`: object type and decoder-specific bytes.
pub(super) fn read(body: &[u8]) -> Result<(u8, &[u8]), MediaError> {
    let (_, _, mut c) = full_box(body, "esds box")?;
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
        return Err(malformed("esds box", format!("descriptor {tag} where 4 belongs")));
    }
    let object_type = c.u8()?;
    c.skip(12)?;
    match descriptor(&mut c) {
        Ok((5, size)) => Ok((object_type, c.take(size.min(c.left()))?)),
        _ => Ok((object_type, &[])),
    }
}

/// Tag and size of a descriptor. The size has up to four bytes of seven bits.
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

/// The codec of an object type (ISO/IEC 14496-1, table 5); `fallback` for any other.
pub(super) fn codec_of_object_type(object_type: u8, fallback: &Codec) -> Codec {
    match object_type {
        0x20 => Codec::Mpeg4,
        0x21 => Codec::H264,
        0x23 => Codec::Hevc,
        0x60..=0x65 => Codec::Mpeg2,
        0x6a => Codec::Other("mp1v".into()),
        0x6c => Codec::Mjpeg,
        0xb1 => Codec::Vp9,
        _ => fallback.clone(),
    }
}
