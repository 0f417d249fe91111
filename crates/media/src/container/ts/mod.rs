//! MPEG transport streams: packets of 188, 192 or 204 bytes, one program, times on a 90 kHz clock of 33 bits.

mod frames;
mod packet;
mod tables;
mod times;

use super::bytes::bad;
use super::source::Source;
use super::{Found, Layout, limit};
use crate::track::{Codec, Colour, Sample, VideoTrack};
use crate::{Limits, MediaError};
use frames::{Frames, Pes};
use packet::{Shape, Stamps, Stream, Walk};

/// Whether the first bytes are transport packets.
pub(super) fn sniff(head: &[u8]) -> Option<()> {
    packet::shape(head).map(|_| ())
}

/// How to gather a sample again.
#[derive(Clone, Debug)]
pub(super) struct Packets {
    pid: u16,
    packet: usize,
    /// Stream bytes to pass over from the sample's offset, one a sample; empty when always zero.
    skips: Vec<u32>,
}

impl Packets {
    /// Gathers the payload of sample `index`. Errors: `Malformed` when the packets are not there any more.
    pub(super) fn read(&self, source: &Source, sample: &Sample, index: usize) -> Result<Vec<u8>, MediaError> {
        let mut walk = Walk::new(source, self.packet, sample.offset, 1 << 14);
        let mut stream = Stream::default();
        let mut skip = self.skips.get(index).copied().unwrap_or(0) as usize;
        let size = sample.size as usize;
        let mut out = Vec::with_capacity(size.min(1 << 20));
        while out.len() < size {
            let Some(packet) = walk.next_packet()? else {
                let text = format!("sample {index} has {} of its {size} bytes", out.len());
                return Err(bad("transport stream", text));
            };
            if packet.pid() != self.pid || packet.damaged() {
                continue;
            }
            let mut data = stream.push(&packet).data;
            let pass = skip.min(data.len());
            skip -= pass;
            data = &data[pass..];
            out.extend_from_slice(&data[..data.len().min(size - out.len())]);
        }
        Ok(out)
    }
}

/// Reads a transport stream: one pass for the tables, one over all packets.
pub(super) fn read(source: &Source, limits: &Limits) -> Result<Found, MediaError> {
    let mut head = [0; 2048];
    let n = source.read_some(0, &mut head)?;
    let shape = packet::shape(&head[..n]).ok_or_else(|| bad("transport stream", "no sync bytes 188 bytes apart"))?;
    let program = tables::find(source, shape)?;
    let mut warnings = Vec::new();
    let frames = collect(source, shape, program.pid, program.codec.clone(), limits, &mut warnings)?;
    let mut list = frames.list;
    if list.is_empty() {
        return Err(bad("transport stream", format!("no frame in the video packets (PID {})", program.pid)));
    }
    let largest = list.iter().map(|f| f.size).max().unwrap_or(0);
    limit("bytes of a coded frame", largest, limits.sample_bytes)?;
    if !list.iter().any(|f| f.key) {
        list.iter_mut().for_each(|f| f.key = f.random_access);
    }
    let stamps: Vec<Stamps> = list.iter().map(|f| f.stamps).collect();
    let times = times::unwrap(&stamps, &mut warnings)?;
    let first_key = list.iter().position(|f| f.key).unwrap_or_else(|| {
        warnings.push("no keyframe was found, decoding starts at the first frame".into());
        list[0].key = true;
        0
    });
    if first_key > 0 {
        warnings.push(format!("{first_key} frames before the first keyframe are not shown"));
    }
    let sample = |(i, (f, (pts, dts))): (usize, (&frames::Frame, (i64, i64)))| {
        // Sizes are under the limit of a coded frame, which fits.
        let size = u32::try_from(f.size).unwrap_or(u32::MAX);
        Sample { offset: f.offset, size, pts, dts, key: f.key, shown: i >= first_key }
    };
    let samples: Vec<Sample> = list.iter().zip(times).enumerate().map(sample).collect();
    let skips = if list.iter().any(|f| f.skip > 0) { list.iter().map(|f| f.skip).collect() } else { Vec::new() };
    let (width, height) = frames.sequence.map_or((0, 0), |s| (s.width, s.height));
    let track = VideoTrack {
        codec: program.codec,
        extradata: Vec::new(),
        length_prefixed: false,
        width,
        height,
        rotation: 0,
        sar: (1, 1),
        colour: Colour::default(),
        timescale: 90_000,
        samples,
        duration: None,
    };
    let layout = Layout::Packets(Packets { pid: program.pid, packet: shape.size, skips });
    Ok(Found { track, warnings, audio_tracks: program.audio, sub_tracks: program.subs, layout })
}

/// Passes over all packets and lists the frames of one PID.
fn collect(
    source: &Source,
    shape: Shape,
    pid: u16,
    codec: Codec,
    limits: &Limits,
    warnings: &mut Vec<String>,
) -> Result<Frames, MediaError> {
    let mut walk = Walk::new(source, shape.size, shape.first as u64, 1 << 16);
    let mut stream = Stream::default();
    let mut frames = Frames::new(codec);
    let mut open: Option<Pes> = None;
    let mut started = (0u64, false);
    let mut damaged = 0usize;
    while let Some(packet) = walk.next_packet()? {
        if packet.pid() != pid {
            continue;
        }
        if packet.damaged() {
            damaged += 1;
            continue;
        }
        if packet.scrambled() {
            return Err(MediaError::Unsupported {
                what: "a scrambled transport stream".into(),
                remedy: "descramble it first; Zoetrope reads no protected media".into(),
            });
        }
        if packet.starts() {
            started = (packet.at, packet.random_access());
        }
        let piece = stream.push(&packet);
        if let Some(stamps) = piece.stamps {
            if let Some(pes) = open.take() {
                frames.add(&pes, limits.samples)?;
                limit("frames of the track", frames.list.len() as u64, limits.samples)?;
            }
            open = Some(Pes { offset: started.0, stamps, random_access: started.1, data: Vec::new() });
        }
        if let Some(pes) = &mut open {
            limit("bytes of a coded frame", (pes.data.len() + piece.data.len()) as u64, limits.sample_bytes)?;
            pes.data.extend_from_slice(piece.data);
        }
    }
    if let Some(pes) = open {
        frames.add(&pes, limits.samples)?;
    }
    limit("frames of the track", frames.list.len() as u64, limits.samples)?;
    if walk.lost > 0 {
        warnings.push(format!("{} bytes between packets were passed over", walk.lost));
    }
    if stream.jumps + damaged > 0 {
        warnings.push(format!("{} gaps in the video packets, {damaged} marked as damaged", stream.jumps));
    }
    Ok(frames)
}
