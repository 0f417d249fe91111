//! Where the bytes of a sample lie in the file, and what has to be done to them.

use super::super::byte_source::ByteSource;
use super::super::track::Sample;
use super::super::ts::payload::PacketPayload;
use crate::error::{MediaError, malformed};

/// How the coded bytes of a sample are read from the file.
#[derive(Clone, Debug)]
pub(in super::super) enum SampleLayout {
    /// One byte range per sample.
    Ranges,
    /// One byte range per sample, after these bytes (Matroska header stripping).
    Prefixed(Vec<u8>),
    /// One byte range per sample, compressed with zlib (Matroska), at most this large after it.
    Zlib(usize),
    /// One byte range per sample. From these offsets on, keyframes need these bytes in front: parameter sets that
    /// change within the track. Ascending; no bytes where those of the track's configuration hold.
    WithParameterSets(Vec<(u64, Vec<u8>)>),
    /// Payload of transport stream packets.
    Packets(PacketPayload),
}

impl SampleLayout {
    /// The coded bytes of `sample`, which is number `index` in decoding order.
    pub(in super::super) fn read(
        &self,
        source: &ByteSource,
        sample: &Sample,
        index: usize,
    ) -> Result<Vec<u8>, MediaError> {
        let range = || source.read_vec(sample.offset, sample.size as usize);
        match self {
            SampleLayout::Ranges => range(),
            SampleLayout::Prefixed(prefix) => Ok([prefix.as_slice(), &range()?].concat()),
            SampleLayout::Zlib(most) => inflate(&range()?, *most, index),
            SampleLayout::WithParameterSets(changes) => {
                let change = changes.iter().rfind(|(first, _)| sample.keyframe && *first <= sample.offset);
                Ok([change.map_or(&[][..], |(_, sets)| sets), &range()?].concat())
            }
            SampleLayout::Packets(packets) => packets.read(source, sample, index),
        }
    }

    /// The layout of two recordings joined; the second begins at offset `at` and its keyframes need `sets` in front.
    /// `None` when their bytes are read in different ways.
    pub(in super::super) fn joined(first: &Self, second: Self, at: u64, sets: Vec<u8>) -> Option<Self> {
        let plain = |layout: &Self| matches!(layout, SampleLayout::Ranges);
        Some(match (first, second) {
            (first, second) if plain(first) && plain(&second) && sets.is_empty() => second,
            (first, second) if plain(first) && plain(&second) => SampleLayout::WithParameterSets(vec![(at, sets)]),
            (SampleLayout::WithParameterSets(parts), second) if plain(&second) => {
                SampleLayout::WithParameterSets(parts.iter().cloned().chain([(at, sets)]).collect())
            }
            (SampleLayout::Prefixed(a), SampleLayout::Prefixed(b)) if *a == b && sets.is_empty() => {
                SampleLayout::Prefixed(b)
            }
            (SampleLayout::Zlib(a), SampleLayout::Zlib(b)) if *a == b && sets.is_empty() => SampleLayout::Zlib(b),
            _ => return None,
        })
    }
}

/// Undoes zlib compression of sample `index`, up to `most` bytes.
fn inflate(data: &[u8], most: usize, index: usize) -> Result<Vec<u8>, MediaError> {
    miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(data, most)
        .map_err(|error| malformed("matroska block", format!("frame {index} does not decompress: {error}")))
}
