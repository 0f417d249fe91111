//! MPEG transport streams: packets of 188, 192 or 204 bytes, one program, times on a 90 kHz clock of 33 bits.

pub(super) mod payload;

mod access_units;
mod packet;
mod pes;
mod psi;
mod timestamps;

use super::bitstream::{keyframes, order};
use super::byte_source::ByteSource;
use super::choice::{TrackChoice, choose};
use super::movie::ParsedFile;
use super::sample::facts::SampleFacts;
use super::sample::layout::SampleLayout;
use super::track::{Codec, Sample, TrackSummary, VideoTrack};
use crate::error::{MediaError, malformed};
use crate::options::limits::{Limits, check_limit};
use access_units::{AccessUnit, AccessUnits, PesPacket};
use packet::{PacketFormat, PacketReader};
use payload::PacketPayload;
use pes::{PesReader, Timestamps};

/// Scrambled packets after which a stream that is scrambled for the most part is given up.
const MANY_PACKETS: usize = 1000;

/// Whether the first bytes are transport packets.
pub(super) fn sniff(head: &[u8]) -> bool {
    PacketFormat::detect(head).is_some()
}

/// Reads the index of a transport stream: one pass for the tables, one over all packets.
pub(super) fn read(source: &ByteSource, limits: &Limits, choice: &TrackChoice<'_>) -> Result<ParsedFile, MediaError> {
    let mut head = [0; 2048];
    let n = source.read_some(0, &mut head)?;
    let format = PacketFormat::detect(&head[..n])
        .ok_or_else(|| malformed("transport stream", "no sync bytes 188 bytes apart"))?;
    let program = psi::find_program(source, format)?;
    let summary = |codec: &Codec| TrackSummary { codec: codec.clone(), ..TrackSummary::default() };
    let tracks: Vec<TrackSummary> = program.videos.iter().map(|(_, codec)| summary(codec)).collect();
    let chosen = choose(&tracks, choice)?;
    let (pid, codec) = program.videos[chosen].clone();
    let mut warnings = Vec::new();
    let units = collect(source, format, pid, codec.clone(), limits, &mut warnings)?;
    let list = units.list;
    if list.is_empty() {
        let text = format!("no frame in the video packets (PID {pid})");
        return Err(malformed("transport stream", text));
    }
    let largest = list.iter().map(|u| u.size).max().unwrap_or(0);
    check_limit("bytes of a coded frame", largest, limits.sample_bytes)?;
    let stamps: Vec<Timestamps> = list.iter().map(|u| u.timestamps).collect();
    let times = timestamps::unwrap_clock(&stamps, &mut warnings)?;
    let sample = |(u, (pts, dts)): (&AccessUnit, (i64, i64))| {
        // Sizes are under the limit of a coded frame, which fits.
        let size = u32::try_from(u.size).unwrap_or(u32::MAX);
        Sample { offset: u.offset, size, pts, dts, keyframe: u.random_access, shown: true }
    };
    let mut samples: Vec<Sample> = list.iter().zip(times).map(sample).collect();
    correct_samples(&mut samples, &list, &mut warnings);
    let skips = if list.iter().any(|u| u.skip > 0) { list.iter().map(|u| u.skip).collect() } else { Vec::new() };
    let (width, height) = units.sps.map_or((0, 0), |s| (s.width, s.height));
    let track = VideoTrack { width, height, timescale: 90_000, samples, ..VideoTrack::new(codec) };
    let layout = SampleLayout::Packets(PacketPayload { pid, packet_size: format.size, skips });
    let (audio_tracks, sub_tracks) = (program.audio, program.subtitles);
    Ok(ParsedFile { audio_tracks, sub_tracks, layout, ..ParsedFile::of_video(track, tracks, chosen, warnings) })
}

fn scrambled_stream() -> MediaError {
    MediaError::Unsupported {
        what: "a scrambled transport stream".into(),
        remedy: "descramble it first; Zoetrope reads no protected media".into(),
    }
}

/// Sets keyframes and, where frames carry no time, the order as the headers tell them.
fn correct_samples(samples: &mut [Sample], list: &[AccessUnit], warnings: &mut Vec<String>) {
    let facts: Vec<Option<SampleFacts>> = list.iter().map(|unit| unit.facts).collect();
    let stated: Vec<bool> = samples.iter().map(|sample| sample.keyframe).collect();
    keyframes::set(samples, &facts);
    if !samples.iter().any(|sample| sample.keyframe) {
        samples.iter_mut().zip(stated).for_each(|(sample, stated)| sample.keyframe = stated);
    }
    if list.iter().any(|unit| unit.timestamps.pts.is_none()) {
        order::restore(samples, &facts);
    }
    let first_keyframe = samples.iter().position(|sample| sample.keyframe).unwrap_or_else(|| {
        warnings.push("no keyframe was found, decoding starts at the first frame".into());
        samples[0].keyframe = true;
        0
    });
    if first_keyframe > 0 {
        warnings.push(format!("{first_keyframe} frames before the first keyframe are not shown"));
        samples[..first_keyframe].iter_mut().for_each(|sample| sample.shown = false);
    }
}

/// Passes over all packets and lists the access units of one PID.
fn collect(
    source: &ByteSource,
    format: PacketFormat,
    pid: u16,
    codec: Codec,
    limits: &Limits,
    warnings: &mut Vec<String>,
) -> Result<AccessUnits, MediaError> {
    let mut packets = PacketReader::new(source, format.size, format.first as u64, 1 << 16);
    let mut reader = PesReader::default();
    let mut units = AccessUnits::new(codec);
    let mut open: Option<PesPacket> = None;
    let mut started = (0u64, false);
    let (mut damaged, mut scrambled, mut clear) = (0usize, 0usize, 0usize);
    while let Some(packet) = packets.next_packet()? {
        if packet.pid() != pid {
            continue;
        }
        damaged += usize::from(packet.damaged());
        scrambled += usize::from(packet.scrambled() && !packet.damaged());
        // Damage sets these bits as well. A stream is scrambled when most of it is.
        if scrambled > MANY_PACKETS.max(clear) {
            return Err(scrambled_stream());
        }
        if !packet.is_readable() {
            continue;
        }
        clear += 1;
        if packet.unit_start() {
            started = (packet.at, packet.random_access());
        }
        let new = reader.push(&packet);
        if let Some(timestamps) = new.timestamps {
            if let Some(pes) = open.take() {
                units.add(&pes, limits.samples)?;
                check_limit("frames of the track", units.list.len() as u64, limits.samples)?;
            }
            open = Some(PesPacket { offset: started.0, timestamps, random_access: started.1, data: Vec::new() });
        }
        if let Some(pes) = &mut open {
            check_limit("bytes of a coded frame", (pes.data.len() + new.data.len()) as u64, limits.sample_bytes)?;
            pes.data.extend_from_slice(new.data);
        }
    }
    if let Some(pes) = open {
        units.add(&pes, limits.samples)?;
    }
    check_limit("frames of the track", units.list.len() as u64, limits.samples)?;
    if scrambled > clear {
        return Err(scrambled_stream());
    }
    if scrambled > 0 {
        warnings.push(format!("{scrambled} of {} video packets are scrambled and left out", scrambled + clear));
    }
    if packets.cut > 0 {
        warnings.push(format!(
            "the file is cut: it ends {} bytes into a packet, its last frame may be damaged",
            packets.cut
        ));
    }
    if packets.skipped > 0 {
        warnings.push(format!("{} bytes between packets were passed over", packets.skipped));
    }
    if reader.gaps + damaged > 0 {
        warnings.push(format!("{} gaps in the video packets, {damaged} marked as damaged", reader.gaps));
    }
    Ok(units)
}
