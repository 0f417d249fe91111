//! Program tables: which PID carries video, and of which codec.

use super::super::bytes::{Cursor, bad};
use super::super::source::Source;
use super::packet::{Shape, Walk};
use crate::MediaError;
use crate::track::Codec;

/// The chosen video stream and counts of the others of its program.
pub(super) struct Program {
    pub(super) pid: u16,
    pub(super) codec: Codec,
    pub(super) audio: usize,
    pub(super) subs: usize,
}

/// Programs looked at; more are ignored.
const MOST_PROGRAMS: usize = 64;

/// Bytes of a section at most.
const LONGEST_SECTION: usize = 4096;

/// Finds the first program with video. Errors: none in the whole file.
pub(super) fn find(source: &Source, shape: Shape) -> Result<Program, MediaError> {
    let mut walk = Walk::new(source, shape.size, shape.first as u64, 1 << 16);
    let mut sections: Vec<(u16, Vec<u8>)> = vec![(0, Vec::new())];
    let mut seen = 0usize;
    while let Some(packet) = walk.next_packet()? {
        let Some(at) = sections.iter().position(|s| s.0 == packet.pid()) else { continue };
        if packet.damaged() {
            continue;
        }
        let buffer = &mut sections[at].1;
        let mut data = packet.payload();
        if packet.starts() {
            let Some((&pointer, rest)) = data.split_first() else { continue };
            buffer.clear();
            data = rest.get(usize::from(pointer)..).unwrap_or(&[]);
        } else if buffer.is_empty() {
            continue;
        }
        buffer.extend_from_slice(data);
        let Some(body) = complete(buffer) else {
            if buffer.len() > LONGEST_SECTION {
                buffer.clear();
            }
            continue;
        };
        if packet.pid() == 0 {
            for pid in programs(body) {
                if !sections.iter().any(|s| s.0 == pid) && sections.len() <= MOST_PROGRAMS {
                    sections.push((pid, Vec::new()));
                }
            }
        } else {
            seen += 1;
            if let Some(program) = streams(body) {
                return Ok(program);
            }
        }
        sections[at].1.clear();
    }
    let text = format!("no program with video ({} programs named, {seen} tables read)", sections.len() - 1);
    Err(bad("transport stream", text))
}

/// A section that is all there, without its checksum; `None` otherwise.
fn complete(buffer: &[u8]) -> Option<&[u8]> {
    let length = usize::from(*buffer.get(1)? & 15) << 8 | usize::from(*buffer.get(2)?);
    buffer.get(..(3 + length).checked_sub(4)?).filter(|b| b.len() + 4 <= buffer.len())
}

/// PIDs of the program maps named by a program association table.
fn programs(section: &[u8]) -> Vec<u16> {
    if section.first() != Some(&0) {
        return Vec::new();
    }
    let entries = section.get(8..).unwrap_or(&[]).chunks_exact(4);
    let number = |e: &[u8]| (u16::from(e[0]) << 8 | u16::from(e[1]), u16::from(e[2] & 0x1f) << 8 | u16::from(e[3]));
    entries.map(number).filter(|(program, pid)| *program != 0 && *pid != 0).map(|(_, pid)| pid).collect()
}

/// The streams of a program map; `None` when it has no video.
fn streams(section: &[u8]) -> Option<Program> {
    if section.first() != Some(&2) {
        return None;
    }
    let mut c = Cursor::new(section, "program map");
    c.skip(10).ok()?;
    let info = usize::from(c.u16().ok()? & 0xfff);
    c.skip(info).ok()?;
    let (mut video, mut audio, mut subs) = (None, 0, 0);
    while c.left() >= 5 {
        let kind = c.u8().ok()?;
        let pid = c.u16().ok()? & 0x1fff;
        let length = usize::from(c.u16().ok()? & 0xfff);
        let descriptors = c.take(length.min(c.left())).ok()?;
        match codec(kind, descriptors) {
            Some(codec) if video.is_none() => video = Some((pid, codec)),
            Some(_) => {}
            None => match kind {
                0x03 | 0x04 | 0x0f | 0x11 | 0x80..=0x87 => audio += 1,
                0x06 if has(descriptors, &[0x6a, 0x7a, 0x7b, 0x7c]) => audio += 1,
                0x06 if has(descriptors, &[0x56, 0x59]) => subs += 1,
                _ => {}
            },
        }
    }
    video.map(|(pid, codec)| Program { pid, codec, audio, subs })
}

fn each(data: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut left = data;
    std::iter::from_fn(move || {
        let (&[tag, length], rest) = left.split_first_chunk::<2>()?;
        let (body, rest) = rest.split_at(usize::from(length).min(rest.len()));
        left = rest;
        Some((tag, body))
    })
}

fn has(descriptors: &[u8], tags: &[u8]) -> bool {
    each(descriptors).any(|(tag, _)| tags.contains(&tag))
}

fn codec(kind: u8, descriptors: &[u8]) -> Option<Codec> {
    match kind {
        0x01 => Some(Codec::Other("mpeg1video".into())),
        0x02 => Some(Codec::Mpeg2),
        0x10 => Some(Codec::Mpeg4),
        0x1b => Some(Codec::H264),
        0x24 => Some(Codec::Hevc),
        0x33 => Some(Codec::Other("vvc".into())),
        0xea => Some(Codec::Other("vc1".into())),
        0x06 => each(descriptors).filter(|d| d.0 == 5).find_map(|(_, body)| match body.get(..4)? {
            b"HEVC" => Some(Codec::Hevc),
            b"AV01" => Some(Codec::Av1),
            b"VP09" => Some(Codec::Vp9),
            _ => None,
        }),
        _ => None,
    }
}
