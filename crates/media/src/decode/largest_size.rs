//! The largest frame of a track whose size changes, from the headers of its keyframes. Nothing is decoded.

use super::decodable_track::DecodableTrack;
use crate::container::track::{Codec, Container};

/// Keyframes looked at; more are left out evenly.
const MAX_KEYFRAMES: usize = 512;
/// Bytes of keyframes read.
const MAX_BYTES: u64 = 64 << 20;

/// Width and height of the frame with the most pixels, as frames are given out, at least `first`.
///
/// Sizes come from the parameter sets (H.264, HEVC) and keyframe headers (VP9) of the keyframes that the container
/// lists. AV1 and changes between keyframes are not seen.
pub(crate) fn largest_size(track: &DecodableTrack, first: (u32, u32)) -> (u32, u32) {
    let configured = &track.movie.track;
    let has_parameter_sets = matches!(configured.codec, Codec::H264 | Codec::Hevc) && !configured.extradata.is_empty();
    if track.movie.container == Container::Mp4 && has_parameter_sets && !track.movie.changes_parameter_sets() {
        // The sample description fixes the size.
        return first;
    }
    let (mut largest, mut bytes) = (first, 0);
    let keyframes = &track.index.keyframes;
    for &keyframe in keyframes.iter().step_by(keyframes.len().div_ceil(MAX_KEYFRAMES).max(1)) {
        bytes += u64::from(track.samples()[keyframe as usize].size);
        if bytes > MAX_BYTES {
            break;
        }
        let Ok(data) = track.movie.read_sample(&track.source, keyframe as usize) else { continue };
        let sizes = track.factory.keyframe_sizes(&data).into_iter().map(|size| track.geometry.sizes(size)[1]);
        largest = sizes.fold(largest, |a, b| if pixels(b) > pixels(a) { b } else { a });
    }
    largest
}

fn pixels((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}
