//! `iref`: references between items.

use std::collections::BTreeMap;

use super::super::super::byte_source::cursor::Cursor;
use super::super::boxes::{children, full_box};
use super::item::{Item, MAX_ENTRIES, item_id};
use crate::error::MediaError;
use crate::options::limits::check_limit;

/// Adds their references to `items`.
pub(super) fn read(body: &[u8], items: &mut BTreeMap<u32, Item>) -> Result<(), MediaError> {
    let (version, _, c) = full_box(body, "iref box")?;
    let mut total = 0;
    for reference in children(c.rest()) {
        let mut c = Cursor::new(reference.body, "iref box");
        let from = item_id(&mut c, version > 0)?;
        let count = c.u16()?;
        total += 1 + u64::from(count);
        check_limit("references between HEIF items", total, MAX_ENTRIES)?;
        let to = (0..count).map(|_| item_id(&mut c, version > 0)).collect::<Result<Vec<u32>, _>>()?;
        if let Some(item) = items.get_mut(&from) {
            item.references.push((reference.fourcc, to));
        }
    }
    Ok(())
}
