//! The directory of a zip file: where the bytes of each record lie.
//!
//! Reference: APPNOTE.TXT of PKWARE, sections 4.3 (records) and 4.5.3 (zip64). Only stored records can be mapped;
//! `torch.save` writes no others. The `zip` crate is not used: it has no limit on the number of records (a million of
//! them take 200 MB) and reads records into buffers, while we need their place in a mapped file.
//!
//! Deliberately absent: compression, encryption, several disks, checksums (they would read all weights), bytes before
//! the archive.

use std::collections::HashMap;
use std::ops::Range;

use super::cursor::Cursor;
use super::error::{ReadError, check_limit, malformed, unsupported};

/// Most records of a file.
const RECORDS: usize = 1 << 18;
/// Bytes of the end record without its comment.
const END: usize = 22;
/// Longest comment after the end record.
const COMMENT: usize = 0xffff;
/// Bytes of the zip64 locator, which lies before the end record.
const LOCATOR: usize = 20;
/// Fewest bytes of a record in the directory.
const RECORD: u64 = 46;

/// The directory of a zip file.
pub(super) struct Directory<'a> {
    file: &'a [u8],
    records: HashMap<&'a [u8], Record>,
}

/// What the directory says about a record.
struct Record {
    flags: u16,
    method: u16,
    compressed: u64,
    size: u64,
    /// First byte of the local header.
    header: u64,
}

impl<'a> Directory<'a> {
    /// Whether `file` begins as zip files with records do.
    pub(super) fn is_zip(file: &[u8]) -> bool {
        file.starts_with(b"PK\x03\x04")
    }

    /// Reads the directory of `file`, at most [`RECORDS`] records.
    pub(super) fn read(file: &'a [u8]) -> Result<Directory<'a>, ReadError> {
        let End { count, size, start } = end(file)?;
        let found = usize::try_from(count).unwrap_or(usize::MAX);
        let (start, end) = match (usize::try_from(start), start.checked_add(size).map(usize::try_from)) {
            (Ok(start), Some(Ok(end))) if end <= file.len() => (start, end),
            _ => {
                let text = format!("a directory of {size} bytes at byte {start}, the file has {}", file.len());
                return malformed(text);
            }
        };
        if count.checked_mul(RECORD).is_none_or(|least| least > size) {
            return malformed(format!("{count} records in a directory of {size} bytes"));
        }
        check_limit("records of a PyTorch file", found, RECORDS)?;
        let mut records = HashMap::with_capacity(found);
        let mut cursor = Cursor::new(&file[..end], start);
        for _ in 0..found {
            let (name, record) = record(&mut cursor)?;
            if records.insert(name, record).is_some() {
                return malformed(format!("record {} is there twice", name.escape_ascii()));
            }
        }
        Ok(Directory { file, records })
    }

    /// The names of all records.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        self.records.keys().copied()
    }

    /// Where the bytes of the record `name` lie in the file, `None` if it has no such record.
    pub(super) fn data(&self, name: &str) -> Result<Option<Range<usize>>, ReadError> {
        let Some(record) = self.records.get(name.as_bytes()) else { return Ok(None) };
        if record.flags & 1 != 0 {
            return unsupported(format!("record {name} is encrypted"));
        }
        if record.method != 0 {
            let text = format!("record {name} is compressed (method {}); torch.save stores records", record.method);
            return unsupported(text);
        }
        if record.compressed != record.size {
            return malformed(format!("record {name} is stored in {} bytes as {}", record.size, record.compressed));
        }
        let header = usize::try_from(record.header).unwrap_or(usize::MAX);
        let mut cursor = Cursor::new(self.file, header);
        if cursor.take(4)? != b"PK\x03\x04" {
            return malformed(format!("record {name} does not begin at byte {header}"));
        }
        cursor.take(22)?;
        let (name_len, extra) = (cursor.u16()?, cursor.u16()?);
        if cursor.take(name_len.into())? != name.as_bytes() {
            return malformed(format!("the record at byte {header} is not {name}, as the directory says"));
        }
        cursor.take(extra.into())?;
        let start = cursor.at;
        cursor.take_u64(record.size).map(|_| Some(start..cursor.at))
    }
}

/// What the end records say about the directory.
struct End {
    count: u64,
    size: u64,
    start: u64,
}

/// The end record, or the zip64 one where there is one.
fn end(file: &[u8]) -> Result<End, ReadError> {
    let ends_file = |at: usize| {
        let record = &file[at..];
        let comment = usize::from(u16::from_le_bytes([record[20], record[21]]));
        record.starts_with(b"PK\x05\x06") && comment == record.len() - END
    };
    let last = file.len().checked_sub(END);
    let found = last.and_then(|last| (last.saturating_sub(COMMENT)..=last).rev().find(|at| ends_file(*at)));
    let Some(at) = found else {
        return malformed("a zip file without its end, which lists the records; the file may be cut off".to_string());
    };
    let mut cursor = Cursor::new(file, at + 4);
    let disks = (cursor.u16()?, cursor.u16()?);
    let _here = cursor.u16()?;
    let short = End { count: cursor.u16()?.into(), size: cursor.u32()?.into(), start: cursor.u32()?.into() };
    let locator = at.checked_sub(LOCATOR).filter(|at| file[*at..].starts_with(b"PK\x06\x07"));
    match locator {
        Some(locator) => zip64_end(file, locator),
        None if disks == (0, 0) => Ok(short),
        None => unsupported(format!("a zip file on {} disks", u32::from(disks.0) + 1)),
    }
}

/// The zip64 end record, whose place the locator at byte `locator` gives.
fn zip64_end(file: &[u8], locator: usize) -> Result<End, ReadError> {
    // The locator's first fields: signature and disk.
    let at = Cursor::new(file, locator + 8).u64()?;
    let mut cursor = Cursor::new(&file[..locator], usize::try_from(at).unwrap_or(usize::MAX));
    if cursor.take(4)? != b"PK\x06\x06" {
        return malformed(format!("no zip64 end record at byte {at}"));
    }
    // Its size, versions, disks, and the number of records on this disk.
    cursor.take(8 + 4 + 8 + 8)?;
    Ok(End { count: cursor.u64()?, size: cursor.u64()?, start: cursor.u64()? })
}

/// The next record of the directory.
fn record<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a [u8], Record), ReadError> {
    let at = cursor.at;
    if cursor.take(4)? != b"PK\x01\x02" {
        return malformed(format!("no record of the directory at byte {at}"));
    }
    cursor.take(4)?;
    let (flags, method) = (cursor.u16()?, cursor.u16()?);
    cursor.take(8)?;
    let (mut compressed, mut size) = (u64::from(cursor.u32()?), u64::from(cursor.u32()?));
    let (name_len, extra_len, comment_len) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
    cursor.take(8)?;
    let mut header = u64::from(cursor.u32()?);
    let name = cursor.take(name_len.into())?;
    let extra = cursor.take(extra_len.into())?;
    cursor.take(comment_len.into())?;
    // Zip64: those of these fields, in this order, that do not fit 32 bits.
    let mut wide = zip64_extra(extra).chunks_exact(8);
    for field in [&mut size, &mut compressed, &mut header] {
        if *field == u64::from(u32::MAX) {
            let Some(bytes) = wide.next() else {
                return malformed(format!("record {} has no zip64 sizes", name.escape_ascii()));
            };
            *field = bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        }
    }
    Ok((name, Record { flags, method, compressed, size, header }))
}

/// The contents of the zip64 field among a record's extra fields; empty if there is none.
fn zip64_extra(extra: &[u8]) -> &[u8] {
    let mut cursor = Cursor::new(extra, 0);
    while let (Ok(id), Ok(len)) = (cursor.u16(), cursor.u16()) {
        match cursor.take(len.into()) {
            Ok(field) if id == 1 => return field,
            Ok(_) => {}
            Err(_) => break,
        }
    }
    &[]
}
