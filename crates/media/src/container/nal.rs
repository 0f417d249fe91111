//! The little of H.264 and HEVC streams that start-code containers need: units, keyframes, one look at the sequence
//! header. Nothing is decoded.

/// Positions of units in a start-code stream: (first byte of the start code, first byte of the unit).
pub(super) fn units(data: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    // `i` is where the 1 of a start code could be; any byte above 1 there rules out the two places after it too.
    let mut i = 2;
    std::iter::from_fn(move || {
        while i < data.len() {
            match data[i] {
                0 => i += 1,
                1 if data[i - 1] == 0 && data[i - 2] == 0 => {
                    let start = if i >= 3 && data[i - 3] == 0 { i - 3 } else { i - 2 };
                    i += 3;
                    return Some((start, i - 2));
                }
                _ => i += 3,
            }
        }
        None
    })
}

/// What matters of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Access unit delimiter.
    Delimiter,
    /// A slice; whether decoding can start there.
    Slice {
        /// IDR, or any random access picture of HEVC.
        key: bool,
    },
    /// H.264 recovery point message: decoding can start near here.
    Recovery,
    /// H.264 sequence parameters.
    Sequence,
    /// Anything else.
    Other,
}

/// Kind of an H.264 unit.
pub(super) fn h264(unit: &[u8]) -> Unit {
    match unit.first().map_or(0, |b| b & 31) {
        9 => Unit::Delimiter,
        5 => Unit::Slice { key: true },
        1..=4 => Unit::Slice { key: false },
        6 if has_recovery_point(&unit[1..]) => Unit::Recovery,
        7 => Unit::Sequence,
        _ => Unit::Other,
    }
}

/// Kind of an HEVC unit.
pub(super) fn hevc(unit: &[u8]) -> Unit {
    match unit.first().map_or(63, |b| b >> 1 & 63) {
        35 => Unit::Delimiter,
        16..=23 => Unit::Slice { key: true },
        0..=31 => Unit::Slice { key: false },
        _ => Unit::Other,
    }
}

/// Whether one of the messages of an SEI unit is a recovery point (type 6).
fn has_recovery_point(mut data: &[u8]) -> bool {
    fn number(data: &mut &[u8]) -> Option<usize> {
        let mut sum = 0usize;
        loop {
            let (&b, rest) = data.split_first()?;
            *data = rest;
            sum += usize::from(b);
            if b != 255 {
                return Some(sum);
            }
        }
    }
    while data.len() > 2 {
        let (Some(kind), Some(size)) = (number(&mut data), number(&mut data)) else { return false };
        if kind == 6 {
            return true;
        }
        data = data.get(size..).unwrap_or(&[]);
    }
    false
}

/// What a sequence header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Whether pictures can be single fields.
    pub(super) fields: bool,
    /// Whether the three colour planes are coded apart.
    planes: bool,
    /// Bits of a frame number.
    frame_bits: u32,
    /// How the order of pictures is coded: 0 with this many bits in each slice, 2 none (decoding order), else 1.
    order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Bits(u32),
    Cycle,
    Decoding,
}

/// Reads an H.264 sequence parameter set (the unit with its first byte); `None` when it is short or out of range.
pub(super) fn sequence(unit: &[u8]) -> Option<Sequence> {
    let data = unescape(unit.get(1..)?);
    let mut bits = Bits { data: &data, pos: 0 };
    let profile = bits.read(8)?;
    bits.read(16)?;
    bits.ue()?;
    let (mut chroma, mut planes) = (1, false);
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        chroma = bits.ue()?;
        if chroma == 3 {
            planes = bits.read(1)? == 1;
        }
        bits.ue()?;
        bits.ue()?;
        bits.read(1)?;
        if bits.read(1)? == 1 {
            for i in 0..if chroma == 3 { 12 } else { 8 } {
                if bits.read(1)? == 1 {
                    skip_scaling(&mut bits, if i < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    let frame_bits = bits.ue().filter(|&n| n <= 12)? + 4;
    let order = match bits.ue()? {
        0 => Order::Bits(bits.ue().filter(|&n| n <= 12)? + 4),
        1 => {
            bits.read(1)?;
            bits.ue()?;
            bits.ue()?;
            for _ in 0..bits.ue().filter(|&n| n < 256)? {
                bits.ue()?;
            }
            Order::Cycle
        }
        _ => Order::Decoding,
    };
    bits.ue()?;
    bits.read(1)?;
    let columns = bits.ue().filter(|&n| n < 1 << 16)? + 1;
    let rows = bits.ue().filter(|&n| n < 1 << 16)? + 1;
    let frame_only = bits.read(1)?;
    if frame_only == 0 {
        bits.read(1)?;
    }
    bits.read(1)?;
    let mut crop = [0; 4];
    if bits.read(1)? == 1 {
        for side in &mut crop {
            *side = bits.ue().filter(|&n| n < 1 << 16)?;
        }
    }
    let step = (if matches!(chroma, 1 | 2) { 2 } else { 1 }, if chroma == 1 { 2 } else { 1 } * (2 - frame_only));
    let width = (columns * 16).checked_sub(step.0 * (crop[0] + crop[1]))?;
    let height = (rows * 16 * (2 - frame_only)).checked_sub(step.1 * (crop[2] + crop[3]))?;
    Some(Sequence { width, height, fields: frame_only == 0, planes, frame_bits, order })
}

/// Follows the picture order of H.264 slices through a stream.
#[derive(Default)]
pub(super) struct PictureOrder {
    group: i64,
    high: i64,
    low: i64,
}

impl PictureOrder {
    /// A number that rises in presentation order, of the picture that starts with slice `unit`; `None` when the stream
    /// codes the order in another way or the header is short.
    pub(super) fn next(&mut self, unit: &[u8], sequence: &Sequence) -> Option<(i64, i64)> {
        let kind = *unit.first()?;
        let (idr, reference) = (kind & 31 == 5, kind & 0x60 != 0);
        let data = unescape(unit.get(1..)?.get(..unit.len().min(64) - 1)?);
        let mut bits = Bits { data: &data, pos: 0 };
        if idr {
            *self = PictureOrder { group: self.group + 1, high: 0, low: 0 };
        }
        bits.ue()?;
        bits.ue()?;
        bits.ue()?;
        if sequence.planes {
            bits.read(2)?;
        }
        bits.read(sequence.frame_bits)?;
        if sequence.fields && bits.read(1)? == 1 {
            bits.read(1)?;
        }
        if idr {
            bits.ue()?;
        }
        let Order::Bits(n) = sequence.order else { return None };
        let (low, half) = (i64::from(bits.read(n)?), 1i64 << (n - 1));
        let high = match low - self.low {
            d if d <= -half => self.high + 2 * half,
            d if d > half => self.high - 2 * half,
            _ => self.high,
        };
        if reference {
            (self.high, self.low) = (high, low);
        }
        Some((self.group, high + low))
    }
}

/// Whether pictures of this sequence come out in the order they are decoded.
pub(super) fn decoding_order(sequence: &Sequence) -> bool {
    sequence.order == Order::Decoding
}

fn skip_scaling(bits: &mut Bits<'_>, count: usize) -> Option<()> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..count {
        if next != 0 {
            let code = i64::from(bits.ue()?);
            let delta = if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) };
            next = (last + delta).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

/// A unit without its emulation prevention bytes (at most the first kilobyte, enough for a header).
fn unescape(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len().min(1024));
    for &b in data.iter().take(1024) {
        if b != 3 || !out.ends_with(&[0, 0]) {
            out.push(b);
        }
    }
    out
}

/// Bits from the top of each byte.
struct Bits<'a> {
    data: &'a [u8],
    pos: usize,
}

impl Bits<'_> {
    fn read(&mut self, n: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..n {
            let byte = *self.data.get(self.pos / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.pos % 8) & 1);
            self.pos += 1;
        }
        Some(value)
    }

    /// An Exp-Golomb number below 2^31.
    fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.read(1)? == 0 {
            zeros += 1;
            if zeros > 30 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.read(zeros)?)
    }
}
