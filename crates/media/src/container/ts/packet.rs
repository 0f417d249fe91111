//! Transport packets: their size in the file, their header fields, and resynchronization after damage.

use super::super::byte_source::{ByteSource, PeekReader};
use crate::error::MediaError;

/// How packets lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PacketFormat {
    /// Bytes from one packet to the next.
    pub(super) size: usize,
    /// Offset of the first sync byte.
    pub(super) first: usize,
}

impl PacketFormat {
    /// Finds the packets in the first bytes of a file: 188 bytes, 192 (a time code before each) or 204 (parity after
    /// each). Three sync bytes in a row must be there, five when there is room.
    pub(super) fn detect(head: &[u8]) -> Option<PacketFormat> {
        for size in [188, 192, 204] {
            for first in 0..size {
                let mut syncs = head.iter().skip(first).step_by(size).take(5);
                let count = syncs.len();
                if count >= 3 && syncs.all(|&b| b == 0x47) {
                    return Some(PacketFormat { size, first });
                }
            }
        }
        None
    }
}

/// One packet of 188 bytes.
pub(super) struct Packet {
    /// Offset of its sync byte in the file.
    pub(super) at: u64,
    bytes: [u8; 188],
}

impl Packet {
    pub(super) fn pid(&self) -> u16 {
        u16::from(self.bytes[1] & 0x1f) << 8 | u16::from(self.bytes[2])
    }

    /// Whether a PES packet or a section starts here (payload unit start).
    pub(super) fn unit_start(&self) -> bool {
        self.bytes[1] & 0x40 != 0
    }

    /// Whether the receiver marked it as damaged (transport error indicator).
    pub(super) fn damaged(&self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    pub(super) fn scrambled(&self) -> bool {
        self.bytes[3] & 0xc0 != 0
    }

    /// Whether its payload counts: what lists the frames and what gathers their bytes must agree on that.
    pub(super) fn is_readable(&self) -> bool {
        !self.damaged() && !self.scrambled()
    }

    /// The continuity counter, 0 to 15.
    pub(super) fn counter(&self) -> u8 {
        self.bytes[3] & 15
    }

    /// The random access flag of the adaptation field.
    pub(super) fn random_access(&self) -> bool {
        self.bytes[3] & 0x20 != 0 && self.bytes[4] > 0 && self.bytes[5] & 0x40 != 0
    }

    pub(super) fn payload(&self) -> &[u8] {
        if self.bytes[3] & 0x10 == 0 {
            return &[];
        }
        let from = if self.bytes[3] & 0x20 != 0 { 5 + usize::from(self.bytes[4]) } else { 4 };
        self.bytes.get(from..).unwrap_or(&[])
    }
}

/// Reads the packets of a file one after the other.
pub(super) struct PacketReader<'a> {
    reader: PeekReader<'a>,
    at: u64,
    size: usize,
    /// Bytes skipped to find the sync byte again.
    pub(super) skipped: u64,
    /// Bytes at the end that are less than a packet.
    pub(super) cut: u64,
}

impl<'a> PacketReader<'a> {
    /// Starts at the sync byte at offset `at`; fetches `read_ahead` bytes at a time.
    pub(super) fn new(source: &'a ByteSource, size: usize, at: u64, read_ahead: usize) -> Self {
        PacketReader { reader: PeekReader::new(source, read_ahead), at, size, skipped: 0, cut: 0 }
    }

    /// The next whole packet; `None` at the end.
    pub(super) fn next_packet(&mut self) -> Result<Option<Packet>, MediaError> {
        loop {
            // The first byte of the packet after it confirms a sync byte when sync had been lost.
            let data = self.reader.peek(self.at, self.size + 1)?;
            if data.len() < 188 {
                self.cut = data.len() as u64;
                return Ok(None);
            }
            if data[0] == 0x47 {
                let mut bytes = [0; 188];
                bytes.copy_from_slice(&data[..188]);
                let at = self.at;
                self.at += self.size as u64;
                return Ok(Some(Packet { at, bytes }));
            }
            let next = |data: &[u8], i: usize| data.get(i + self.size).is_none_or(|&b| b == 0x47);
            let data = self.reader.peek(self.at, 3 * self.size)?;
            let skip = (1..data.len()).find(|&i| data[i] == 0x47 && next(data, i)).unwrap_or(data.len());
            self.at += skip as u64;
            self.skipped += skip as u64;
        }
    }
}
