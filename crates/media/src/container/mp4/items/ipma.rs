//! `ipma`: which properties an item has.

use std::collections::BTreeMap;

use super::super::boxes::{children, full_box};
use super::item::{Item, item_id};
use crate::error::MediaError;

/// Adds the properties of `iprp` to `items`. A position of 0 means no property.
pub(super) fn read(iprp: &[u8], items: &mut BTreeMap<u32, Item>) -> Result<(), MediaError> {
    for table in children(iprp).filter(|b| b.fourcc == *b"ipma") {
        let (version, flags, mut c) = full_box(table.body, "ipma box")?;
        let count = c.u32()?;
        for _ in 0..count {
            let id = item_id(&mut c, version > 0)?;
            let mut list = Vec::new();
            for _ in 0..c.u8()? {
                let (essential, position) = if flags & 1 == 0 {
                    let byte = c.u8()?;
                    (byte & 0x80 != 0, u16::from(byte & 0x7f))
                } else {
                    let word = c.u16()?;
                    (word & 0x8000 != 0, word & 0x7fff)
                };
                list.extend(position.checked_sub(1).map(|at| (at, essential)));
            }
            if let Some(item) = items.get_mut(&id) {
                item.properties = list;
            }
        }
    }
    Ok(())
}
