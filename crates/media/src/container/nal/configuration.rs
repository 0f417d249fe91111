//! Decoder configuration records (`avcC`, `hvcC`): their parameter sets as units inside the stream.

use super::super::byte_source::cursor::Cursor;
use super::super::track::{Codec, VideoTrack};
use crate::error::MediaError;

/// The parameter sets of `track` as the bytes in front of a keyframe of a stream that is framed like `stream`. `None`
/// when the two frame their units differently.
pub(in super::super) fn in_band(track: &VideoTrack, stream: &VideoTrack) -> Option<Vec<u8>> {
    let length_size = length_size(track)?;
    if length_size != self::length_size(stream)? {
        return None;
    }
    if length_size == 0 {
        // The configuration is a start-code stream itself.
        return Some(track.extradata.clone());
    }
    let mut out = Vec::new();
    for set in parameter_sets(&track.codec, &track.extradata).ok()? {
        let length = (set.len() as u64).to_be_bytes();
        out.extend_from_slice(&length[8 - length_size..]);
        out.extend_from_slice(set);
    }
    Some(out)
}

/// The parameter sets of `track` as a start-code stream.
pub(super) fn annex_b(track: &VideoTrack) -> Option<Vec<u8>> {
    let sets = parameter_sets(&track.codec, &track.extradata).ok()?;
    Some(sets.into_iter().flat_map(|set| [&[0, 0, 0, 1], set].concat()).collect())
}

/// Bytes of the length in front of each unit of `track`; 0 for start codes.
pub(in super::super) fn length_size(track: &VideoTrack) -> Option<usize> {
    if !track.length_prefixed {
        return Some(0);
    }
    let at = if track.codec == Codec::Hevc { 21 } else { 4 };
    track.extradata.get(at).map(|b| usize::from(b & 3) + 1)
}

/// The parameter sets of a configuration record.
fn parameter_sets<'a>(codec: &Codec, record: &'a [u8]) -> Result<Vec<&'a [u8]>, MediaError> {
    let mut c = Cursor::new(record, "configuration record");
    let mut sets = Vec::new();
    let mut take = |c: &mut Cursor<'a>, count: u16| -> Result<(), MediaError> {
        for _ in 0..count {
            let length = c.u16()?;
            sets.push(c.take(usize::from(length))?);
        }
        Ok(())
    };
    if *codec == Codec::Hevc {
        c.skip(22)?;
        for _ in 0..c.u8()? {
            c.skip(1)?;
            let count = c.u16()?;
            take(&mut c, count)?;
        }
    } else {
        c.skip(5)?;
        for mask in [0x1f, 0xff] {
            let count = u16::from(c.u8()? & mask);
            take(&mut c, count)?;
        }
    }
    Ok(sets)
}
