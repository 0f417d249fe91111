//! `iinf`: the types of the items.

use std::collections::BTreeMap;

use super::super::boxes::{children, full_box};
use super::item::{Item, MAX_ENTRIES, item_id};
use crate::error::MediaError;
use crate::options::limits::check_limit;

/// Reads the items with their types.
pub(super) fn read(body: &[u8]) -> Result<BTreeMap<u32, Item>, MediaError> {
    let (version, _, mut c) = full_box(body, "iinf box")?;
    c.skip(if version == 0 { 2 } else { 4 })?;
    let mut items = BTreeMap::new();
    for entry in children(c.rest()).filter(|b| b.fourcc == *b"infe") {
        let (version, _, mut c) = full_box(entry.body, "infe box")?;
        // Versions 0 and 1 describe files by their MIME type, not pictures.
        if version < 2 {
            continue;
        }
        let id = item_id(&mut c, version > 2)?;
        let protection = c.u16()?;
        let item = Item { kind: c.fourcc()?, unreachable: protection != 0, ..Item::default() };
        check_limit("items of a HEIF file", items.len() as u64 + 1, MAX_ENTRIES)?;
        items.insert(id, item);
    }
    Ok(items)
}
