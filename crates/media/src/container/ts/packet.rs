//! Transport packets: finding them, and the elementary stream of one PID inside them.

use super::super::source::{Source, Window};
use crate::MediaError;

/// How packets lie in a file: bytes each, and where the sync byte is in the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) size: usize,
    pub(super) first: usize,
}

/// Finds the packets in the first bytes of a file: 188 bytes, 192 (with a time code before each) or 204 (with parity
/// after each). Three sync bytes in a row have to be there, five when there is room.
pub(super) fn shape(head: &[u8]) -> Option<Shape> {
    for size in [188, 192, 204] {
        for first in 0..size {
            let mut syncs = head.iter().skip(first).step_by(size).take(5);
            let count = syncs.len();
            if count >= 3 && syncs.all(|&b| b == 0x47) {
                return Some(Shape { size, first });
            }
        }
    }
    None
}

/// One packet of 188 bytes and where its sync byte is in the file.
pub(super) struct Packet {
    pub(super) at: u64,
    bytes: [u8; 188],
}

impl Packet {
    pub(super) fn pid(&self) -> u16 {
        u16::from(self.bytes[1] & 0x1f) << 8 | u16::from(self.bytes[2])
    }

    /// Whether a PES packet or a section starts here.
    pub(super) fn starts(&self) -> bool {
        self.bytes[1] & 0x40 != 0
    }

    /// Whether the receiver marked it as damaged.
    pub(super) fn damaged(&self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    pub(super) fn scrambled(&self) -> bool {
        self.bytes[3] & 0xc0 != 0
    }

    fn counter(&self) -> u8 {
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

/// Walks the packets of a file.
pub(super) struct Walk<'a> {
    window: Window<'a>,
    at: u64,
    size: usize,
    /// Bytes skipped to find sync again.
    pub(super) lost: u64,
}

impl<'a> Walk<'a> {
    /// Starts at the sync byte `at`; reads `ahead` bytes at a time.
    pub(super) fn new(source: &'a Source, size: usize, at: u64, ahead: usize) -> Self {
        Walk { window: Window::new(source, ahead), at, size, lost: 0 }
    }

    /// The next whole packet; `None` at the end.
    pub(super) fn next_packet(&mut self) -> Result<Option<Packet>, MediaError> {
        loop {
            // One byte of the packet after it confirms a sync byte when it had been lost.
            let data = self.window.peek(self.at, self.size + 1)?;
            if data.len() < 188 {
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
            let data = self.window.peek(self.at, 3 * self.size)?;
            let skip = (1..data.len()).find(|&i| data[i] == 0x47 && next(data, i)).unwrap_or(data.len());
            self.at += skip as u64;
            self.lost += skip as u64;
        }
    }
}

/// Times of a PES packet in 90 kHz ticks, 33 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamps {
    pub(super) pts: Option<u64>,
    pub(super) dts: Option<u64>,
}

/// Takes the elementary stream of one PID out of its packets.
#[derive(Default)]
pub(super) struct Stream {
    /// Header bytes while the header is incomplete.
    header: Option<Vec<u8>>,
    /// Counter and payload of the packet before, to know one that is sent twice.
    last: Option<(u8, Vec<u8>)>,
    /// Bytes the PES packet may still have, when it says.
    left: Option<usize>,
    /// Jumps of the continuity counter.
    pub(super) jumps: usize,
}

/// What a packet gave.
pub(super) struct Piece<'a> {
    /// Set when the header of a new PES packet ended in this packet.
    pub(super) stamps: Option<Stamps>,
    /// Stream bytes.
    pub(super) data: &'a [u8],
}

impl Stream {
    /// Adds the next packet of the PID.
    pub(super) fn push<'a>(&mut self, packet: &'a Packet) -> Piece<'a> {
        let nothing = Piece { stamps: None, data: &[] };
        let mut data = packet.payload();
        if data.is_empty() {
            return nothing;
        }
        if let Some((counter, payload)) = &mut self.last {
            if *counter == packet.counter() && payload == data {
                return nothing;
            }
            self.jumps += usize::from(packet.counter() != (*counter + 1) & 15);
            *counter = packet.counter();
            payload.clear();
            payload.extend_from_slice(data);
        } else {
            self.last = Some((packet.counter(), data.to_vec()));
        }
        if packet.starts() {
            self.header = Some(Vec::new());
            self.left = None;
        }
        let mut stamps = None;
        if let Some(header) = &mut self.header {
            let before = header.len();
            header.extend_from_slice(data);
            let Some(used) = header_len(header) else {
                return nothing;
            };
            stamps = Some(read_stamps(header));
            let length = usize::from(header[4]) << 8 | usize::from(header[5]);
            self.left = if length == 0 { None } else { (length + 6).checked_sub(used) };
            data = &data[(used - before).min(data.len())..];
            self.header = None;
        }
        if let Some(left) = &mut self.left {
            data = &data[..data.len().min(*left)];
            *left -= data.len();
        }
        Piece { stamps, data }
    }
}

/// Bytes of a PES header; `None` while more are needed. Something else than a header counts as no bytes.
fn header_len(header: &[u8]) -> Option<usize> {
    if header.len() < 9 {
        return None;
    }
    let used = 9 + usize::from(header[8]);
    (header.len() >= used).then_some(used)
}

fn read_stamps(header: &[u8]) -> Stamps {
    if header[..3] != [0, 0, 1] {
        return Stamps::default();
    }
    let stamp = |from: usize| {
        let &[a, b, c, d, e] = header.get(from..from + 5)?.first_chunk::<5>()?;
        let (top, middle, low) = (u64::from(a >> 1 & 7), u64::from(b) << 7 | u64::from(c) >> 1, u64::from(d) << 7);
        Some(top << 30 | middle << 15 | low | u64::from(e) >> 1)
    };
    let pts = if header[7] & 0x80 != 0 { stamp(9) } else { None };
    let dts = if header[7] & 0xc0 == 0xc0 { stamp(14) } else { pts };
    Stamps { pts, dts }
}
