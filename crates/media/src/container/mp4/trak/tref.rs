//! `tref`, the track references: which tracks only hold chapters.

use super::super::boxes::{children, find_path};

/// Chapter tracks listed at most; more are ignored.
const MAX_CHAPTER_TRACKS: usize = 64;

/// Ids of the tracks of `moov` that only hold chapter names or images.
pub(super) fn chapter_tracks(moov: &[u8]) -> Vec<u32> {
    let mut out = Vec::new();
    for trak in children(moov).filter(|c| c.fourcc == *b"trak") {
        if let Some(chap) = find_path(trak.body, &[b"tref", b"chap"]) {
            out.extend(
                chap.chunks_exact(4)
                    .take(MAX_CHAPTER_TRACKS - out.len())
                    .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]])),
            );
        }
    }
    out
}
