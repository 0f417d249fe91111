//! PES packets: the elementary stream of one PID and its timestamps.

use super::packet::Packet;

/// Timestamps of a PES packet in 90 kHz ticks of 33 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Timestamps {
    pub(super) pts: Option<u64>,
    pub(super) dts: Option<u64>,
}

/// Extracts the elementary stream of one PID from its packets.
#[derive(Default)]
pub(super) struct PesReader {
    /// Header bytes while the header is incomplete.
    header: Option<Vec<u8>>,
    /// Continuity counter and payload of the packet before, to recognize one that is sent twice.
    last: Option<(u8, Vec<u8>)>,
    /// Bytes the PES packet may still have, when it states its length.
    left: Option<usize>,
    /// Jumps of the continuity counter.
    pub(super) gaps: usize,
}

/// What one packet contributes to the elementary stream.
pub(super) struct PesData<'a> {
    /// Set when the header of a new PES packet ended in this packet.
    pub(super) timestamps: Option<Timestamps>,
    /// Bytes of the elementary stream.
    pub(super) data: &'a [u8],
}

impl PesReader {
    /// Adds the next packet of the PID.
    pub(super) fn push<'a>(&mut self, packet: &'a Packet) -> PesData<'a> {
        let nothing = PesData { timestamps: None, data: &[] };
        let mut data = packet.payload();
        if data.is_empty() {
            return nothing;
        }
        if let Some((counter, payload)) = &mut self.last {
            if *counter == packet.counter() && payload == data {
                return nothing;
            }
            self.gaps += usize::from(packet.counter() != (*counter + 1) & 15);
            *counter = packet.counter();
            payload.clear();
            payload.extend_from_slice(data);
        } else {
            self.last = Some((packet.counter(), data.to_vec()));
        }
        if packet.unit_start() {
            self.header = Some(Vec::new());
            self.left = None;
        }
        let mut timestamps = None;
        if let Some(header) = &mut self.header {
            let before = header.len();
            header.extend_from_slice(data);
            let Some(used) = header_len(header) else {
                return nothing;
            };
            timestamps = Some(read_timestamps(header));
            let length = usize::from(header[4]) << 8 | usize::from(header[5]);
            self.left = if length == 0 { None } else { (length + 6).checked_sub(used) };
            data = &data[(used - before).min(data.len())..];
            self.header = None;
        }
        if let Some(left) = &mut self.left {
            data = &data[..data.len().min(*left)];
            *left -= data.len();
        }
        PesData { timestamps, data }
    }
}

/// Bytes of a PES header; `None` while more bytes are needed.
fn header_len(header: &[u8]) -> Option<usize> {
    if header.len() < 9 {
        return None;
    }
    let used = 9 + usize::from(header[8]);
    (header.len() >= used).then_some(used)
}

/// The timestamps of a PES header; none when it does not begin with a start code.
fn read_timestamps(header: &[u8]) -> Timestamps {
    if header[..3] != [0, 0, 1] {
        return Timestamps::default();
    }
    let stamp = |from: usize| {
        let &[a, b, c, d, e] = header.get(from..from + 5)?.first_chunk::<5>()?;
        let (top, middle, low) = (u64::from(a >> 1 & 7), u64::from(b) << 7 | u64::from(c) >> 1, u64::from(d) << 7);
        Some(top << 30 | middle << 15 | low | u64::from(e) >> 1)
    };
    let pts = if header[7] & 0x80 != 0 { stamp(9) } else { None };
    let dts = if header[7] & 0xc0 == 0xc0 { stamp(14) } else { pts };
    Timestamps { pts, dts }
}
