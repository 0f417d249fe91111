//! Decoder configuration records (`avcC`, `hvcC`): their parameter sets as units inside the stream.

use super::super::track::{Codec, VideoTrack};
use super::parameter_sets::ParameterSets;

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
    Some(sets(track)?.framed(length_size))
}

/// The parameter sets of `track` as a start-code stream.
pub(super) fn annex_b(track: &VideoTrack) -> Option<Vec<u8>> {
    Some(sets(track)?.framed(0))
}

/// Bytes of the length in front of each unit of `track`; 0 for start codes.
pub(in super::super) fn length_size(track: &VideoTrack) -> Option<usize> {
    if !track.length_prefixed {
        return Some(0);
    }
    let at = if track.codec == Codec::Hevc { 21 } else { 4 };
    track.extradata.get(at).map(|b| usize::from(b & 3) + 1)
}

fn sets(track: &VideoTrack) -> Option<ParameterSets> {
    ParameterSets::read(&track.codec, &track.extradata, track.length_prefixed).ok()
}
