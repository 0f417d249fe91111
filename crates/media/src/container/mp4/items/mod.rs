//! Still pictures in the box format: HEIF (ISO/IEC 23008-12), that is HEIC and AVIF.
//!
//! A `meta` box lists items. An item is a coded picture, a grid of such pictures, or an alpha channel of another item.
//! Only the lists are read here; their sizes are bounded before they are expanded.

pub(crate) mod property;

mod iinf;
mod iloc;
mod ipma;
mod iref;
mod item;

use std::collections::BTreeMap;

use super::super::byte_source::ByteSource;
use super::boxes::{find, full_box};
use super::top_level;
use crate::error::{MediaError, malformed, unsupported};
use crate::options::limits::{Limits, check_limit};
use item::{Item, item_id};
use property::Property;

/// The items of a file.
#[derive(Clone, Debug)]
pub(crate) struct Items {
    /// The item that is the picture to show.
    pub(crate) primary: u32,
    items: BTreeMap<u32, Item>,
    properties: Vec<Property>,
    idat: Vec<u8>,
}

/// Reads the items of a file that [`top_level::is_picture`] takes for a picture.
pub(in super::super) fn read(source: &ByteSource, limits: &Limits) -> Result<Items, MediaError> {
    let mut warnings = Vec::new();
    let boxes = top_level::list(source, limits, &mut warnings)?;
    let Some(at) = boxes.iter().find(|b| b.fourcc == *b"meta") else {
        return Err(malformed("heif file", format!("no list of items (meta) among its {} boxes", boxes.len())));
    };
    let mut budget = limits.header_bytes;
    let body = top_level::load(source, at, &mut budget)?;
    let (_, _, cursor) = full_box(&body, "meta box")?;
    let meta = cursor.rest();
    let missing = |name: &str| malformed("meta box", format!("no {name}"));
    let mut items = iinf::read(find(meta, b"iinf").ok_or_else(|| missing("iinf"))?)?;
    iloc::read(find(meta, b"iloc").ok_or_else(|| missing("iloc"))?, &mut items)?;
    if let Some(body) = find(meta, b"iref") {
        iref::read(body, &mut items)?;
    }
    let mut properties = Vec::new();
    if let Some(body) = find(meta, b"iprp") {
        properties = property::read(find(body, b"ipco").unwrap_or(&[]))?;
        ipma::read(body, &mut items)?;
    }
    let (version, _, mut cursor) = full_box(find(meta, b"pitm").ok_or_else(|| missing("pitm"))?, "pitm box")?;
    let primary = item_id(&mut cursor, version > 0)?;
    Ok(Items { primary, items, properties, idat: find(meta, b"idat").unwrap_or(&[]).to_vec() })
}

impl Items {
    /// The item of this number.
    ///
    /// # Errors
    /// `Malformed` when there is none, `Unsupported` when it is encrypted or a property that must be known is not.
    pub(crate) fn get(&self, id: u32) -> Result<&Item, MediaError> {
        let Some(item) = self.items.get(&id) else {
            return Err(malformed("heif file", format!("item {id} is not among its {} items", self.items.len())));
        };
        if item.unreachable {
            return Err(unsupported(format!("HEIF item {id}, which is encrypted or in another file")));
        }
        for &(at, essential) in &item.properties {
            match self.properties.get(usize::from(at)) {
                Some(Property::Other(name)) if essential => {
                    return Err(unsupported(format!("HEIF property {name} of item {id}")));
                }
                Some(_) => {}
                None => return Err(malformed("ipma box", format!("property {} of item {id} is missing", at + 1))),
            }
        }
        Ok(item)
    }

    /// The properties of an item in the order in which they apply.
    pub(crate) fn properties<'a>(&'a self, item: &'a Item) -> impl Iterator<Item = &'a Property> {
        item.properties.iter().filter_map(|&(at, _)| self.properties.get(usize::from(at)))
    }

    /// Numbers of the items that refer to item `id` with references of this type.
    pub(crate) fn referring(&self, kind: &[u8; 4], id: u32) -> impl Iterator<Item = u32> {
        let refers = move |item: &Item| item.references.iter().any(|(k, to)| k == kind && to.contains(&id));
        self.items.iter().filter(move |(_, item)| refers(item)).map(|(&id, _)| id)
    }

    /// The bytes of item `id`.
    ///
    /// # Errors
    /// `Malformed` for extents outside the file, `Limit` for more than `max_bytes` in all.
    pub(crate) fn data(&self, source: &ByteSource, id: u32, max_bytes: u64) -> Result<Vec<u8>, MediaError> {
        let item = self.get(id)?;
        let all = match item.construction {
            0 => source.len(),
            1 => self.idat.len() as u64,
            n => return Err(unsupported(format!("HEIF item {id} by construction method {n}"))),
        };
        let mut data = Vec::new();
        for &(offset, length) in &item.extents {
            let length = length.unwrap_or_else(|| all.saturating_sub(offset));
            let Some(end) = offset.checked_add(length).filter(|&end| end <= all) else {
                let what = format!("{length} bytes of item {id} at {offset} are not inside its {all} bytes");
                return Err(malformed("heif file", what));
            };
            check_limit("bytes of a coded frame", (data.len() as u64).saturating_add(length), max_bytes)?;
            match item.construction {
                0 => data.extend(source.read_vec(offset, length as usize)?),
                _ => data.extend(&self.idat[offset as usize..end as usize]),
            }
        }
        Ok(data)
    }
}
