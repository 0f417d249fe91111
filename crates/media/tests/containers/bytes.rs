//! Builders of boxes, elements, chunks and packets.

use zoetrope_media::container;
use zoetrope_media::container::byte_source::ByteSource;
use zoetrope_media::container::movie::Movie;
use zoetrope_media::{Limits, MediaError};

/// Joins parts.
pub(crate) fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Big-endian words in a row.
pub(crate) fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

/// A box with a 32-bit size.
pub(crate) fn atom(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = cat(parts);
    cat(&[&words(&[body.len() as u32 + 8]), kind, &body])
}

/// A box with a 64-bit size.
pub(crate) fn atom64(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = cat(parts);
    cat(&[&words(&[1]), kind, &(body.len() as u64 + 16).to_be_bytes(), &body])
}

/// An EBML element with an 8-byte size.
pub(crate) fn element(id: u32, parts: &[&[u8]]) -> Vec<u8> {
    let body = cat(parts);
    cat(&[&id_bytes(id), &(body.len() as u64 | 1 << 56).to_be_bytes(), &body])
}

/// An EBML element of unknown size.
pub(crate) fn open_element(id: u32, parts: &[&[u8]]) -> Vec<u8> {
    cat(&[&id_bytes(id), &[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &cat(parts)])
}

fn id_bytes(id: u32) -> Vec<u8> {
    id.to_be_bytes().into_iter().skip_while(|&b| b == 0).collect()
}

/// A RIFF chunk, padded.
pub(crate) fn chunk(code: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = cat(parts);
    let pad = vec![0; body.len() % 2];
    cat(&[code, &(body.len() as u32).to_le_bytes(), &body, &pad])
}

/// Little-endian words in a row.
pub(crate) fn words_le(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Reads bytes as whatever they look like.
pub(crate) fn read(bytes: &[u8]) -> Result<Movie, MediaError> {
    read_with(bytes, &Limits::default())
}

/// Reads bytes as whatever they look like, with these limits.
pub(crate) fn read_with(bytes: &[u8], limits: &Limits) -> Result<Movie, MediaError> {
    let source = ByteSource::from_bytes(bytes);
    let kind = container::sniff(&source).expect("a container we know");
    container::read(&source, kind, limits)
}

/// Presentation times in decoding order.
pub(crate) fn times(movie: &Movie) -> Vec<i64> {
    movie.track.samples.iter().map(|s| s.pts).collect()
}

/// Shown presentation times, sorted.
pub(crate) fn shown(movie: &Movie) -> Vec<i64> {
    let mut times: Vec<i64> = movie.track.samples.iter().filter(|s| s.shown).map(|s| s.pts).collect();
    times.sort_unstable();
    times
}

/// Keyframe flags as indexes.
pub(crate) fn keyframes(movie: &Movie) -> Vec<usize> {
    (0..movie.track.samples.len()).filter(|&i| movie.track.samples[i].keyframe).collect()
}
