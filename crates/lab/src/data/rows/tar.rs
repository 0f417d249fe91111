//! WebDataset shards: tar archives in which files that follow each other and share the name before the first dot are
//! one sample. The archive is read once for the places of its files; their contents are not.
//!
//! Source: POSIX.1-2017, `pax` interchange format; GNU tar's long names (type `L`).

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::array::{object, read_row};
use super::shared_file::SharedFile;
use super::store::{Member, Row, RowStore};
use crate::data::fault::{FaultKind, RowResult};

/// Bytes of a block.
const BLOCK: u64 = 512;
/// Most bytes of a long name or an extended header.
const MAX_EXTENSION: u64 = 64 << 10;
/// The field that the text of a caption file is put in.
const CAPTION: &str = "caption";

/// The samples of a shard.
pub(super) struct TarRows {
    members: Vec<Member>,
    /// The members of each sample.
    samples: Vec<Range<usize>>,
}

impl TarRows {
    /// Reads the headers of an archive.
    pub(super) fn index(shared: SharedFile) -> io::Result<Self> {
        let (mut file, archive) = (File::open(shared.path())?, Arc::new(shared));
        let mut members: Vec<Member> = Vec::new();
        let mut samples: Vec<Range<usize>> = Vec::new();
        let mut reader = HeaderReader { len: file.metadata()?.len(), at: 0 };
        while let Some((name, offset, size)) = reader.next_file(&mut file)? {
            let member = Member { name, offset, size, archive: Arc::clone(&archive) };
            // Litter of systems and of the tools that write shards.
            if member.file_name().starts_with('.') || member.file_name().starts_with("__") {
                continue;
            }
            let continues = members.last().is_some_and(|last| sample_key(&last.name) == sample_key(&member.name));
            members.push(member);
            match samples.last_mut().filter(|_| continues) {
                Some(sample) => sample.end = members.len(),
                None => samples.push(members.len() - 1..members.len()),
            }
        }
        Ok(TarRows { members, samples })
    }
}

impl RowStore for TarRows {
    fn len(&self) -> u64 {
        self.samples.len() as u64
    }

    fn row(&self, index: u64) -> RowResult<Row> {
        let sample = usize::try_from(index).ok().and_then(|index| self.samples.get(index));
        let Some(sample) = sample else {
            return Err(FaultKind::Unreadable.of(format!("sample {index} wanted, there are {}", self.samples.len())));
        };
        let mut row = Row::default();
        for member in &self.members[sample.clone()] {
            let ending = member.ending();
            let read = || read_row(&member.archive, member.offset, member.size);
            match ending.rsplit('.').next().unwrap_or_default() {
                "json" => row.fields.extend(object(&read()?)?),
                "txt" | "text" | CAPTION => {
                    let text = String::from_utf8(read()?);
                    let text = text.map_err(|error| FaultKind::FieldType.of(format!("{}: {error}", member.name)))?;
                    row.fields.insert(CAPTION.to_string(), Value::String(text));
                }
                _ => row.members.push(member.clone()),
            }
        }
        Ok(row)
    }
}

/// What samples are told apart by: the path up to the first dot of the file's name.
fn sample_key(name: &str) -> &str {
    let begin = name.rfind('/').map_or(0, |at| at + 1);
    name[begin..].find('.').map_or(name, |dot| &name[..begin + dot])
}

/// Walks from header to header.
struct HeaderReader {
    len: u64,
    at: u64,
}

impl HeaderReader {
    /// Name, place and size of the next regular file.
    fn next_file(&mut self, file: &mut File) -> io::Result<Option<(String, u64, u64)>> {
        let (mut long_name, mut long_size) = (None, None);
        while self.at < self.len {
            let mut header = [0; BLOCK as usize];
            file.seek(SeekFrom::Start(self.at))?;
            file.read_exact(&mut header).map_err(|_| self.damaged("the archive ends inside a header"))?;
            if header.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            if !has_checksum(&header) {
                return Err(self.damaged("the checksum of a header is wrong"));
            }
            let kind = header[156];
            let own = number(&header[124..136]).ok_or_else(|| self.damaged("a header states no size"))?;
            let size = if is_extension(kind) { own } else { long_size.take().unwrap_or(own) };
            let begin = self.at + BLOCK;
            let end = begin.checked_add(size).filter(|end| *end <= self.len);
            let end = end.ok_or_else(|| self.damaged("the archive ends inside a file"))?;
            let after = end.div_ceil(BLOCK).saturating_mul(BLOCK);
            if is_extension(kind) {
                let bytes = self.extension(file, size)?;
                match kind {
                    b'L' => long_name = Some(text(&bytes)),
                    b'x' => {
                        long_name = pax(&bytes, "path").or(long_name);
                        long_size = pax(&bytes, "size").and_then(|size| size.parse().ok()).or(long_size);
                    }
                    _ => {}
                }
                self.at = after;
                continue;
            }
            self.at = after;
            let name = long_name.take().unwrap_or_else(|| own_name(&header));
            if matches!(kind, b'0' | 0 | b'7') {
                return Ok(Some((name, begin, size)));
            }
        }
        Ok(None)
    }

    /// The contents of an extended header, which the file was read up to.
    fn extension(&self, file: &mut File, size: u64) -> io::Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(self.damaged(&format!("an extended header of {size} bytes, at most {MAX_EXTENSION}")));
        }
        let mut bytes = vec![0; size as usize];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn damaged(&self, what: &str) -> io::Error {
        io::Error::new(ErrorKind::InvalidData, format!("tar archive: {what}, at byte {}", self.at))
    }
}

/// Whether a block is the header of a tar file: its checksum says so.
pub(super) fn has_checksum(header: &[u8; BLOCK as usize]) -> bool {
    let stated = number(&header[148..156]);
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, byte)| match at {
            148..156 => u64::from(b' '),
            _ => u64::from(*byte),
        })
        .sum();
    stated == Some(sum)
}

/// Long names, long link names, extended headers of one file and of all that follow.
fn is_extension(kind: u8) -> bool {
    matches!(kind, b'L' | b'K' | b'x' | b'g')
}

/// An octal number, or a big-endian one behind a byte whose first bit is set (GNU).
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let low = field.len() - 8;
        let is_small = field[0] == 0x80 && field[1..low].iter().all(|byte| *byte == 0);
        return is_small.then(|| field[low..].iter().fold(0, |n, byte| n << 8 | u64::from(*byte)));
    }
    let digits = text(field);
    let digits = digits.trim();
    if digits.is_empty() { None } else { u64::from_str_radix(digits, 8).ok() }
}

/// The name in the header itself: prefix and name.
fn own_name(header: &[u8; BLOCK as usize]) -> String {
    let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
    let is_posix = &header[257..263] == b"ustar\0";
    if prefix.is_empty() || !is_posix { name } else { format!("{prefix}/{name}") }
}

/// Text up to the first zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The value of `key` in the records `LENGTH KEY=VALUE\n` of an extended header.
fn pax(bytes: &[u8], key: &str) -> Option<String> {
    let mut rest = bytes;
    while let Some(space) = rest.iter().position(|byte| *byte == b' ') {
        let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let record = rest.get(space + 1..length)?;
        rest = &rest[length..];
        let record = record.strip_suffix(b"\n").unwrap_or(record);
        if let Some(value) = record.strip_prefix(key.as_bytes()).and_then(|record| record.strip_prefix(b"=")) {
            return Some(String::from_utf8_lossy(value).into_owned());
        }
    }
    None
}
