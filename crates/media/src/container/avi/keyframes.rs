//! Keyframes found in the payloads, for files whose index names none and codecs that the index pass does not know.

use super::super::bitstream::headers::Headers;
use super::super::byte_source::{ByteSource, PeekReader};
use super::super::track::{Codec, Sample};
use crate::error::MediaError;

/// Marks the keyframes by the first 256 bytes of each sample, unless the index has named some or the index pass will.
pub(super) fn mark(source: &ByteSource, codec: &Codec, samples: &mut [Sample]) -> Result<(), MediaError> {
    if samples.iter().any(|s| s.keyframe) || Headers::new(codec).is_some() {
        return Ok(());
    }
    let mut reader = PeekReader::new(source, 256);
    for sample in samples.iter_mut() {
        let head = match codec {
            Codec::Mjpeg => &[],
            _ => reader.peek(sample.offset, sample.size.min(256) as usize)?,
        };
        sample.keyframe = match codec {
            Codec::Mjpeg => true,
            Codec::Mpeg4 => head.windows(5).any(|w| w[..4] == [0, 0, 1, 0xb6] && w[4] >> 6 == 0),
            Codec::Mpeg2 => head.windows(4).any(|w| *w == [0, 0, 1, 0xb3]),
            _ => false,
        };
    }
    samples[0].keyframe = true;
    Ok(())
}
