//! Coded frames gathered again from the packets of a transport stream.

use super::super::byte_source::ByteSource;
use super::super::track::Sample;
use super::packet::PacketReader;
use super::pes::PesReader;
use crate::error::{MediaError, malformed};

/// How to gather the samples of one PID.
#[derive(Clone, Debug)]
pub(in super::super) struct PacketPayload {
    pub(super) pid: u16,
    /// Bytes from one packet to the next.
    pub(super) packet_size: usize,
    /// Bytes of the elementary stream to skip from each sample's offset on; empty when always zero.
    pub(super) skips: Vec<u32>,
}

impl PacketPayload {
    /// Gathers the bytes of sample `index`.
    ///
    /// # Errors
    /// `Malformed` when the packets are no longer there.
    pub(in super::super) fn read(
        &self,
        source: &ByteSource,
        sample: &Sample,
        index: usize,
    ) -> Result<Vec<u8>, MediaError> {
        let mut packets = PacketReader::new(source, self.packet_size, sample.offset, 1 << 14);
        let mut pes = PesReader::default();
        let mut skip = self.skips.get(index).copied().unwrap_or(0) as usize;
        let size = sample.size as usize;
        let mut out = Vec::with_capacity(size.min(1 << 20));
        while out.len() < size {
            let Some(packet) = packets.next_packet()? else {
                let text = format!("sample {index} has {} of its {size} bytes", out.len());
                return Err(malformed("transport stream", text));
            };
            if packet.pid() != self.pid || !packet.is_readable() {
                continue;
            }
            let mut data = pes.push(&packet).data;
            let skipped = skip.min(data.len());
            skip -= skipped;
            data = &data[skipped..];
            out.extend_from_slice(&data[..data.len().min(size - out.len())]);
        }
        Ok(out)
    }
}
