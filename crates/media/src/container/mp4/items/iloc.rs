//! `iloc`: where the bytes of the items are.

use std::collections::BTreeMap;

use super::super::super::byte_source::cursor::Cursor;
use super::super::boxes::full_box;
use super::item::{Item, MAX_ENTRIES, item_id};
use crate::error::{MediaError, malformed};
use crate::options::limits::check_limit;

/// Adds their extents to `items`.
pub(super) fn read(body: &[u8], items: &mut BTreeMap<u32, Item>) -> Result<(), MediaError> {
    let (version, _, mut c) = full_box(body, "iloc box")?;
    if version > 2 {
        return Err(malformed("iloc box", format!("version {version} is not known")));
    }
    let (sizes, more_sizes) = (c.u8()?, c.u8()?);
    let (offset_size, length_size, base_size) = (sizes >> 4, sizes & 15, more_sizes >> 4);
    let index_size = if version == 0 { 0 } else { more_sizes & 15 };
    let count = item_id(&mut c, version == 2)?;
    let mut total = 0u64;
    for _ in 0..count {
        let id = item_id(&mut c, version == 2)?;
        let construction = if version == 0 { 0 } else { (c.u16()? & 15) as u8 };
        let in_other_file = c.u16()? != 0;
        let base = number(&mut c, base_size)?;
        let extents = c.u16()?;
        total += 1 + u64::from(extents);
        check_limit("extents of HEIF items", total, 2 * MAX_ENTRIES)?;
        let mut list = Vec::new();
        for _ in 0..extents {
            number(&mut c, index_size)?;
            let offset = base.saturating_add(number(&mut c, offset_size)?);
            let length = number(&mut c, length_size)?;
            list.push((offset, (length_size > 0).then_some(length)));
        }
        if let Some(item) = items.get_mut(&id) {
            item.construction = construction;
            item.unreachable |= in_other_file;
            item.extents = list;
        }
    }
    Ok(())
}

/// A number of 0, 4 or 8 bytes.
fn number(c: &mut Cursor<'_>, size: u8) -> Result<u64, MediaError> {
    match size {
        0 => Ok(0),
        4 => Ok(c.u32()?.into()),
        8 => c.u64(),
        _ => Err(malformed("iloc box", format!("numbers of {size} bytes"))),
    }
}
