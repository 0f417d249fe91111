//! The walk over the elements of a segment.

use super::super::byte_source::{ByteSource, PeekReader};
use super::cluster::{ClusterScan, ScannedTrack};
use super::ebml::element;
use super::ids;
use super::info::{self, SegmentInfo};
use super::segment::{READ_AHEAD, SegmentReader, seek_head};
use super::tracks::{self, Tracks};
use crate::error::{MediaError, malformed};
use crate::options::limits::{Limits, check_limit};

/// What a segment holds.
pub(super) struct SegmentContents<'a> {
    pub(super) info: SegmentInfo,
    pub(super) tracks: Tracks,
    pub(super) scan: ClusterScan<'a>,
    pub(super) warnings: Vec<String>,
}

/// Reads the segment at or after byte `start`. Returns it and the offset of the next one.
///
/// A segment ends at the next one. Its stated size is only believed where something else follows: recorders that were
/// stopped leave a size that ends inside the data.
pub(super) fn read_segment<'a>(
    source: &'a ByteSource,
    reader: &mut SegmentReader<'a>,
    start: u64,
    limits: &'a Limits,
) -> Result<(SegmentContents<'a>, Option<u64>), MediaError> {
    let mut warnings = Vec::new();
    let (from, stated_end) = reader.find(start)?;
    let (mut info, mut tracks, mut scan, mut seeks, mut next) = (None, None, None, Vec::new(), None);
    let (mut at, mut count) = (from, 0u64);
    while at < source.len() {
        count += 1;
        check_limit("elements of the segment", count, limits.samples)?;
        let child = element(&mut reader.reader, at)?;
        if at >= stated_end && !child.is_some_and(|c| ids::is_top_level(c.id) || c.id == ids::VOID) {
            break;
        }
        let Some(child) = child else {
            at = after_damage(reader, at, &mut warnings)?;
            continue;
        };
        match child.id {
            ids::SEEK_HEAD => seeks.extend(seek_head(&reader.load(child)?)),
            ids::INFO => info = Some(info::read(&reader.load(child)?)?),
            ids::TRACKS if tracks.is_none() => {
                tracks = Some(tracks::read(&reader.load(child)?, limits, &mut warnings)?);
            }
            ids::CLUSTER => {
                if tracks.is_none() {
                    let Some(list) = reader.find_header(ids::TRACKS, from, &seeks, Some(at))? else {
                        return Err(malformed("matroska file", "frames before the list of tracks"));
                    };
                    tracks = Some(tracks::read(&reader.load(list)?, limits, &mut warnings)?);
                }
                if info.is_none()
                    && let Some(found) = reader.find_header(ids::INFO, from, &seeks, None)?
                {
                    info = Some(info::read(&reader.load(found)?)?);
                }
                let scan = scan.get_or_insert_with(|| scan_of(source, limits, &tracks, &info.unwrap_or_default()));
                at = scan.cluster(child, source.len())?.max(at + 1);
                continue;
            }
            ids::EBML | ids::SEGMENT => {
                next = Some(at);
                break;
            }
            _ => {}
        }
        let Some(size) = child.size else {
            warnings.push(format!("an element of unknown size at byte {at}, the rest is not read"));
            break;
        };
        at = end_of(reader, (child.body, size), at, &mut warnings)?;
    }
    if at > source.len() {
        warnings.push(format!("the file is cut: {} bytes are missing", at - source.len()));
    }
    let Some(tracks) = tracks else {
        return Err(malformed("matroska file", "it has no list of tracks"));
    };
    let Some(mut scan) = scan else {
        // Tracks that cannot be read are the better reason.
        tracks.videos.into_iter().collect::<Result<Vec<_>, _>>()?;
        return Err(malformed("matroska file", "it holds no frame of the video track"));
    };
    warnings.append(&mut scan.warnings);
    Ok((SegmentContents { info: info.unwrap_or_default(), tracks, scan, warnings }, next))
}

/// Where the element at `at` with this body and size ends. Only clusters are long: what claims to reach past the end
/// of the file may have a damaged size, and the next cluster goes on.
fn end_of(
    reader: &mut SegmentReader<'_>,
    (body, size): (u64, u64),
    at: u64,
    warnings: &mut Vec<String>,
) -> Result<u64, MediaError> {
    let end = body.saturating_add(size);
    let found = if end > reader.reader.len() { reader.find_cluster(body)? } else { None };
    if found.is_some() {
        warnings.push(format!("the element at byte {at} is longer than the file, the next cluster was searched"));
    }
    Ok(found.unwrap_or(end))
}

/// Where to go on when there is no element at `at`: the next cluster, or the end of the file.
fn after_damage(reader: &mut SegmentReader<'_>, at: u64, warnings: &mut Vec<String>) -> Result<u64, MediaError> {
    let found = reader.find_cluster(at + 1)?;
    warnings.push(match found {
        Some(found) => format!("no element at byte {at}, {} bytes were passed over to the next cluster", found - at),
        None => format!("no element at byte {at}, the rest is not read"),
    });
    Ok(found.unwrap_or(reader.reader.len()))
}

fn scan_of<'a>(
    source: &'a ByteSource,
    limits: &'a Limits,
    tracks: &Option<Tracks>,
    info: &SegmentInfo,
) -> ClusterScan<'a> {
    let scale = info.timestamp_scale.max(1);
    let scanned = tracks.iter().flat_map(|t| &t.videos).map(|video| {
        let Ok(video) = video else { return ScannedTrack::new(u64::MAX, 0, 0) };
        let lace_ticks = video.default_duration.map_or(0, |ns| (ns / scale).min(1 << 40) as i64);
        ScannedTrack::new(video.number, lace_ticks, video.packing.stripped.len() as u64)
    });
    let texts = tracks.iter().flat_map(|t| &t.texts).map(|text| {
        let number = if text.is_read() { text.number } else { u64::MAX };
        ScannedTrack::text(number, text.packing.stripped.len() as u64)
    });
    ClusterScan::new(PeekReader::new(source, READ_AHEAD), limits, scanned.chain(texts).collect())
}
