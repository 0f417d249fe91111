//! `stsd`, the sample description: codec, size, configuration, color and sample aspect ratio.

use super::super::super::byte_source::cursor::Cursor;
use super::super::super::track::ratio::reduced_ratio;
use super::super::super::track::{Codec, Crop};
use super::super::super::track::{codec_of_fourcc, fourcc_text};
use super::super::boxes::{BoxSlice, children, find, find_path, full_box};
use super::{clap, colr, esds};
use crate::color::description::Color;
use crate::error::{MediaError, malformed};

/// What a video sample entry says.
pub(in super::super) struct VideoSampleEntry {
    pub(in super::super) codec: Codec,
    pub(in super::super) extradata: Vec<u8>,
    pub(in super::super) length_prefixed: bool,
    pub(in super::super) width: u32,
    pub(in super::super) height: u32,
    pub(in super::super) sar: Option<(u32, u32)>,
    pub(in super::super) color: Color,
    /// The clean aperture.
    pub(in super::super) crop: Crop,
    /// Why the clean aperture is not applied.
    pub(in super::super) crop_warning: Option<String>,
}

/// Entries of `stsd` that are read.
const MOST_ENTRIES: usize = 256;

/// Reads the entries of `stsd`, at least one. Later entries that cannot be read are left out with all after them.
///
/// # Errors
/// A `Malformed` first entry, `Unsupported` for an encrypted track.
pub(in super::super) fn read(body: &[u8]) -> Result<Vec<VideoSampleEntry>, MediaError> {
    let (_, _, mut c) = full_box(body, "stsd box")?;
    c.u32()?;
    let mut boxes = children(c.rest()).take(MOST_ENTRIES);
    let Some(first) = boxes.next() else {
        return Err(malformed("stsd box", "it describes no sample"));
    };
    let mut entries = vec![read_entry(&first)?];
    entries.extend(boxes.map_while(|other| read_entry(&other).ok()));
    Ok(entries)
}

fn read_entry(entry_box: &BoxSlice<'_>) -> Result<VideoSampleEntry, MediaError> {
    if matches!(&entry_box.fourcc, b"encv" | b"drmi") {
        return Err(encrypted(entry_box.body));
    }
    let mut c = Cursor::new(entry_box.body, "video sample entry");
    c.skip(24)?;
    let width = u32::from(c.u16()?);
    let height = u32::from(c.u16()?);
    c.skip(50)?;
    let boxes = c.rest();
    let mut entry = VideoSampleEntry {
        codec: codec_of_fourcc(entry_box.fourcc),
        extradata: Vec::new(),
        length_prefixed: false,
        width,
        height,
        sar: None,
        color: Color::default(),
        crop: Crop::default(),
        crop_warning: None,
    };
    read_configuration(&mut entry, boxes);
    if let Some(pasp) = find(boxes, b"pasp") {
        let mut c = Cursor::new(pasp, "pasp box");
        if let (Ok(h), Ok(v)) = (c.u32(), c.u32())
            && h > 0
            && v > 0
        {
            entry.sar = Some(reduced_ratio(u64::from(h), u64::from(v)));
        }
    }
    match find(boxes, b"clap").map(|body| clap::read(body, (width, height))) {
        Some(Ok(crop)) => entry.crop = crop,
        Some(Err(warning)) => entry.crop_warning = Some(warning),
        None => {}
    }
    if let Some(color) = children(boxes).filter(|b| b.fourcc == *b"colr").find_map(|b| colr::colr(b.body)) {
        entry.color = color;
    }
    Ok(entry)
}

/// The error for an encrypted entry; names the codec under the encryption.
fn encrypted(entry: &[u8]) -> MediaError {
    let original = find_path(entry.get(78..).unwrap_or(&[]), &[b"sinf", b"frma"]);
    let name = original.and_then(|s| s.get(..4)).map(|s| fourcc_text([s[0], s[1], s[2], s[3]]));
    MediaError::Unsupported {
        what: format!("encrypted video ({})", name.unwrap_or_else(|| "unknown codec".into())),
        remedy: "decrypt the file first; Zoetrope reads no protected media".into(),
    }
}

/// Reads the codec configuration box of the entry.
fn read_configuration(entry: &mut VideoSampleEntry, boxes: &[u8]) {
    let fourcc: &[u8; 4] = match entry.codec {
        Codec::H264 => b"avcC",
        Codec::Hevc => b"hvcC",
        Codec::Av1 => b"av1C",
        Codec::Vp8 | Codec::Vp9 => b"vpcC",
        _ => b"esds",
    };
    let Some(body) = find(boxes, fourcc) else {
        return;
    };
    match entry.codec {
        Codec::H264 | Codec::Hevc => {
            // A configuration record of version 1 (drafts of HEVC: 0) means length-prefixed units.
            entry.length_prefixed = body.first().is_some_and(|&v| v <= 1);
            entry.extradata = body.to_vec();
        }
        Codec::Av1 => entry.extradata = body.to_vec(),
        Codec::Vp8 | Codec::Vp9 => {
            entry.extradata = body.to_vec();
            if let Ok(color) = colr::vpcc(body) {
                entry.color = color;
            }
        }
        _ => {
            if let Ok((object_type, config)) = esds::read(body) {
                entry.codec = esds::codec_of_object_type(object_type, &entry.codec);
                entry.extradata = config.to_vec();
            }
        }
    }
}
