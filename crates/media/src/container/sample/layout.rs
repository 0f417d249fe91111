//! Where the bytes of a sample lie in the file, and what has to be done to them.

use std::collections::BTreeMap;

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
    /// One byte range per sample; some keyframes begin with parameter sets.
    Described(KeyframePrefixes),
    /// One byte range per sample, compressed with zlib (Matroska), at most this large after it.
    Zlib(usize),
    /// One byte range per sample. From these samples on, the keyframes need these bytes in front: parameter sets that
    /// change where recordings were joined. Ascending, none where the first recording's own hold.
    Joined(Vec<(usize, Vec<u8>)>),
    /// Payload of transport stream packets.
    Packets(PacketPayload),
}

/// What keyframes begin with, by the offset of the sample.
#[derive(Clone, Debug)]
pub(in super::super) struct KeyframePrefixes {
    pub(in super::super) prefixes: Vec<Vec<u8>>,
    /// Number of the prefix of a sample.
    pub(in super::super) of_offset: BTreeMap<u64, usize>,
}

impl SampleLayout {
    /// The coded bytes of `sample`, which is number `index` in decoding order.
    pub(in super::super) fn read(
        &self,
        source: &ByteSource,
        sample: &Sample,
        index: usize,
    ) -> Result<Vec<u8>, MediaError> {
        match self {
            SampleLayout::Ranges => source.read_vec(sample.offset, sample.size as usize),
            SampleLayout::Prefixed(prefix) => {
                let mut out = prefix.clone();
                out.extend(source.read_vec(sample.offset, sample.size as usize)?);
                Ok(out)
            }
            SampleLayout::Described(described) => {
                let number = described.of_offset.get(&sample.offset).filter(|_| sample.keyframe);
                let mut out = number.and_then(|&number| described.prefixes.get(number)).cloned().unwrap_or_default();
                out.extend(source.read_vec(sample.offset, sample.size as usize)?);
                Ok(out)
            }
            SampleLayout::Zlib(most) => inflate(&source.read_vec(sample.offset, sample.size as usize)?, *most, index),
            SampleLayout::Joined(parts) => {
                let part = parts.iter().rfind(|(first, _)| sample.keyframe && *first <= index);
                let mut out = part.map_or(Vec::new(), |(_, sets)| sets.clone());
                out.extend(source.read_vec(sample.offset, sample.size as usize)?);
                Ok(out)
            }
            SampleLayout::Packets(packets) => packets.read(source, sample, index),
        }
    }

    /// The layout of two recordings joined; the second begins at sample `at` and its keyframes need `sets` in front.
    /// `None` when their bytes are read in different ways.
    pub(in super::super) fn joined(first: &Self, second: Self, at: usize, sets: Vec<u8>) -> Option<Self> {
        let plain = |layout: &Self| matches!(layout, SampleLayout::Ranges);
        Some(match (first, second) {
            (first, second) if plain(first) && plain(&second) && sets.is_empty() => second,
            (first, second) if plain(first) && plain(&second) => SampleLayout::Joined(vec![(at, sets)]),
            (SampleLayout::Joined(parts), second) if plain(&second) => {
                SampleLayout::Joined(parts.iter().cloned().chain([(at, sets)]).collect())
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
