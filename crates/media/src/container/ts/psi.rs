//! Program specific information (PAT and PMT): which PID carries video, and of which codec.

use super::super::byte_source::ByteSource;
use super::super::byte_source::cursor::Cursor;
use super::super::track::Codec;
use super::packet::{PacketFormat, PacketReader};
use crate::error::{MediaError, malformed};

/// The streams of a program.
pub(super) struct Program {
    /// PID and codec of its video streams, at least one.
    pub(super) videos: Vec<(u16, Codec)>,
    pub(super) audio: usize,
    pub(super) subtitles: usize,
}

/// Programs looked at; more are ignored.
const MAX_PROGRAMS: usize = 64;

/// Bytes of a section at most.
const MAX_SECTION: usize = 4096;

/// Finds the first program with video.
///
/// # Errors
/// `Malformed` when there is none in the whole file.
pub(super) fn find_program(source: &ByteSource, format: PacketFormat) -> Result<Program, MediaError> {
    let mut packets = PacketReader::new(source, format.size, format.first as u64, 1 << 16);
    let mut sections: Vec<(u16, Vec<u8>)> = vec![(0, Vec::new())];
    let mut tables = 0usize;
    while let Some(packet) = packets.next_packet()? {
        let Some(at) = sections.iter().position(|s| s.0 == packet.pid()) else { continue };
        if packet.damaged() {
            continue;
        }
        let buffer = &mut sections[at].1;
        let mut data = packet.payload();
        if packet.unit_start() {
            let Some((&pointer, rest)) = data.split_first() else { continue };
            buffer.clear();
            data = rest.get(usize::from(pointer)..).unwrap_or(&[]);
        } else if buffer.is_empty() {
            continue;
        }
        buffer.extend_from_slice(data);
        let Some(body) = complete_section(buffer) else {
            if buffer.len() > MAX_SECTION {
                buffer.clear();
            }
            continue;
        };
        if packet.pid() == 0 {
            for pid in program_map_pids(body) {
                if !sections.iter().any(|s| s.0 == pid) && sections.len() <= MAX_PROGRAMS {
                    sections.push((pid, Vec::new()));
                }
            }
        } else {
            tables += 1;
            if let Some(program) = read_program_map(body) {
                return Ok(program);
            }
        }
        sections[at].1.clear();
    }
    let text = format!("no program with video ({} programs named, {tables} tables read)", sections.len() - 1);
    Err(malformed("transport stream", text))
}

/// A section without its checksum; `None` while it is incomplete.
fn complete_section(buffer: &[u8]) -> Option<&[u8]> {
    let length = usize::from(*buffer.get(1)? & 15) << 8 | usize::from(*buffer.get(2)?);
    buffer.get(..(3 + length).checked_sub(4)?).filter(|b| b.len() + 4 <= buffer.len())
}

/// PIDs of the program maps (PMT) that a program association table (PAT) names.
fn program_map_pids(section: &[u8]) -> Vec<u16> {
    if section.first() != Some(&0) {
        return Vec::new();
    }
    let entries = section.get(8..).unwrap_or(&[]).chunks_exact(4);
    let number = |e: &[u8]| (u16::from(e[0]) << 8 | u16::from(e[1]), u16::from(e[2] & 0x1f) << 8 | u16::from(e[3]));
    entries.map(number).filter(|(program, pid)| *program != 0 && *pid != 0).map(|(_, pid)| pid).collect()
}

/// The streams of a program map (PMT); `None` when it has no video.
fn read_program_map(section: &[u8]) -> Option<Program> {
    if section.first() != Some(&2) {
        return None;
    }
    let mut c = Cursor::new(section, "program map");
    c.skip(10).ok()?;
    let info = usize::from(c.u16().ok()? & 0xfff);
    c.skip(info).ok()?;
    let (mut videos, mut audio, mut subtitles) = (Vec::new(), 0, 0);
    while c.left() >= 5 {
        let stream_type = c.u8().ok()?;
        let pid = c.u16().ok()? & 0x1fff;
        let length = usize::from(c.u16().ok()? & 0xfff);
        let descriptors = c.take(length.min(c.left())).ok()?;
        match codec_of_stream_type(stream_type, descriptors) {
            Some(codec) => videos.push((pid, codec)),
            None => match stream_type {
                0x03 | 0x04 | 0x0f | 0x11 | 0x80..=0x87 => audio += 1,
                0x06 if has_descriptor(descriptors, &[0x6a, 0x7a, 0x7b, 0x7c]) => audio += 1,
                0x06 if has_descriptor(descriptors, &[0x56, 0x59]) => subtitles += 1,
                _ => {}
            },
        }
    }
    Some(Program { videos, audio, subtitles }).filter(|p| !p.videos.is_empty())
}

/// The descriptors of `data`: tag and contents.
fn descriptors(data: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut left = data;
    std::iter::from_fn(move || {
        let (&[tag, length], rest) = left.split_first_chunk::<2>()?;
        let (body, rest) = rest.split_at(usize::from(length).min(rest.len()));
        left = rest;
        Some((tag, body))
    })
}

fn has_descriptor(data: &[u8], tags: &[u8]) -> bool {
    descriptors(data).any(|(tag, _)| tags.contains(&tag))
}

/// The video codec of a stream type; private streams (type 6) are told by their registration descriptor.
fn codec_of_stream_type(stream_type: u8, data: &[u8]) -> Option<Codec> {
    match stream_type {
        0x01 => Some(Codec::Other("mpeg1video".into())),
        0x02 => Some(Codec::Mpeg2),
        0x10 => Some(Codec::Mpeg4),
        0x1b => Some(Codec::H264),
        0x24 => Some(Codec::Hevc),
        0x33 => Some(Codec::Other("vvc".into())),
        0xea => Some(Codec::Other("vc1".into())),
        0x06 => descriptors(data).filter(|d| d.0 == 5).find_map(|(_, body)| match body.get(..4)? {
            b"HEVC" => Some(Codec::Hevc),
            b"AV01" => Some(Codec::Av1),
            b"VP09" => Some(Codec::Vp9),
            _ => None,
        }),
        _ => None,
    }
}
