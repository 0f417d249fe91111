//! `elst`, the edit list box: its entries. What they do to the samples is in `edit_list.rs`.

use super::super::boxes::{find_path, full_box};
use crate::error::MediaError;
use crate::options::limits::check_limit;

/// One entry of an edit list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Edit {
    /// Length in ticks of the movie clock.
    pub(super) duration: u64,
    /// Start in ticks of the media clock; -1 for an empty edit.
    pub(super) media_time: i64,
}

/// Entries an edit list may have.
const MAX_EDITS: u64 = 1 << 20;

/// Reads the edit list of `trak`: the entries that are present in full, whatever number the box announces.
///
/// # Errors
/// `Limit` for more than a million entries.
pub(in super::super) fn read(trak: &[u8]) -> Result<Vec<Edit>, MediaError> {
    let Some(body) = find_path(trak, &[b"edts", b"elst"]) else { return Ok(Vec::new()) };
    check_limit("bytes of the edit list", body.len() as u64, 20 * MAX_EDITS)?;
    let mut out = Vec::new();
    let mut read = || -> Result<(), MediaError> {
        let (version, _, mut c) = full_box(body, "elst box")?;
        let count = c.u32()?;
        for _ in 0..count {
            let (duration, media_time) = match version {
                1 => (c.u64()?, c.u64()? as i64),
                _ => (u64::from(c.u32()?), i64::from(c.i32()?)),
            };
            c.skip(4)?; // media rate: always taken as 1
            out.push(Edit { duration, media_time });
        }
        Ok(())
    };
    let _short_list_is_fine = read();
    Ok(out)
}

/// Seconds by which an edit list moves a track whose clock ticks `media` times a second: empty edits at its begin delay
/// it, the first other one says where it begins.
pub(in super::super) fn shift(edits: &[Edit], movie: u32, media: u32) -> f64 {
    let empty = edits.iter().take_while(|edit| edit.media_time == -1);
    let delay: f64 = empty.clone().map(|edit| edit.duration as f64).sum();
    let begin = edits.get(empty.count()).map_or(0, |edit| edit.media_time.max(0));
    delay / f64::from(movie.max(1)) - begin as f64 / f64::from(media.max(1))
}
