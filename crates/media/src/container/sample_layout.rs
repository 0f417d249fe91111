//! Where the bytes of a sample lie in the file.

use super::byte_source::ByteSource;
use super::track::Sample;
use super::ts::payload::PacketPayload;
use crate::error::MediaError;

/// How the coded bytes of a sample are read from the file.
#[derive(Clone, Debug)]
pub(super) enum SampleLayout {
    /// One byte range per sample.
    Ranges,
    /// One byte range per sample, after these bytes (Matroska header stripping).
    Prefixed(Vec<u8>),
    /// Payload of transport stream packets.
    Packets(PacketPayload),
}

impl SampleLayout {
    /// The coded bytes of `sample`, which is number `index` in decoding order.
    pub(super) fn read(&self, source: &ByteSource, sample: &Sample, index: usize) -> Result<Vec<u8>, MediaError> {
        match self {
            SampleLayout::Ranges => source.read_vec(sample.offset, sample.size as usize),
            SampleLayout::Prefixed(prefix) => {
                let mut out = prefix.clone();
                out.extend(source.read_vec(sample.offset, sample.size as usize)?);
                Ok(out)
            }
            SampleLayout::Packets(packets) => packets.read(source, sample, index),
        }
    }
}
