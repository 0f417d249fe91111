//! `stbl`, the sample table: its run-length tables expanded to one entry per frame. One file per box.

pub(super) mod colr;
pub(super) mod stsd;

mod clap;
mod ctts;
mod esds;
mod run_length;
mod stco;
mod stsc;
mod stss;
mod stsz;
mod stts;

use super::unedited_sample::UneditedSample;
use crate::error::{MediaError, malformed};
use crate::options::limits::Limits;
use ctts::CompositionOffsets;
use stco::ChunkOffsets;
use stsc::SamplesPerChunk;
use stsz::SampleSizes;
use stts::SampleDurations;

/// Number of samples in `stbl`; 0 when it cannot be read.
pub(super) fn count(stbl: &[u8]) -> u64 {
    SampleSizes::read(stbl, &Limits::default(), &mut Vec::new()).map_or(0, |sizes| sizes.count as u64)
}

/// Expands the tables of `stbl` to its samples in decoding order. Fragmented files give an empty list.
pub(super) fn read(
    stbl: &[u8],
    limits: &Limits,
    warnings: &mut Vec<String>,
) -> Result<Vec<UneditedSample>, MediaError> {
    let sizes = SampleSizes::read(stbl, limits, warnings)?;
    if sizes.count == 0 {
        return Ok(Vec::new());
    }
    let chunks = ChunkOffsets::read(stbl)?;
    let mut per_chunk = SamplesPerChunk::read(stbl)?;
    let mut durations = SampleDurations::read(stbl)?;
    let mut composition = CompositionOffsets::read(stbl)?;
    if per_chunk.is_empty() {
        return Err(malformed("stsc box", "it maps no chunk"));
    }
    let mut out = Vec::new();
    let mut dts = 0i64;
    'chunks: for chunk in 0..chunks.count() {
        let mut offset = chunks.offset(chunk);
        let (count, description) = per_chunk.samples_in(chunk);
        for _ in 0..count {
            let i = out.len();
            if i >= sizes.count {
                break 'chunks;
            }
            let size = sizes.get(i);
            let duration = durations.next_duration();
            let composition_offset = composition.next_offset();
            let keyframe = false;
            out.push(UneditedSample { offset, size, dts, composition_offset, duration, keyframe, description });
            offset = offset.saturating_add(u64::from(size));
            dts += i64::from(duration);
        }
    }
    if durations.negative > 0 {
        warnings.push(format!("{} frame durations are negative, taken as 1 tick", durations.negative));
    }
    if out.len() < sizes.count {
        warnings.push(format!("the chunk tables place {} of {} frames", out.len(), sizes.count));
    }
    stss::mark_keyframes(stbl, &mut out, warnings)?;
    Ok(out)
}
