//! A file of the store: a header of a fixed size, then the payload, and one SHA-256 over both.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | magic |
//! | 8..12 | version of this layout |
//! | 12..16 | kind |
//! | 16..48 | key |
//! | 48..56 | bytes of the payload |
//! | 56..88 | SHA-256 of header (with zeros here) and payload |
//! | 88..512 | texts for people, UTF-8, filled up with zeros: program, model, type, film |

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

/// Digest of what an entry was computed from.
pub(crate) type Key = [u8; 32];

/// Bytes before the payload.
pub(crate) const HEADER: usize = 512;

const MAGIC: [u8; 8] = *b"ZOESTORE";
const FORMAT: u32 = 1;
const CHECKSUM: Range<usize> = 56..88;
/// Where the texts lie.
const TEXTS: [Range<usize>; 4] = [88..104, 104..168, 168..232, 232..HEADER];
/// Bytes that are read at once where a payload is only checked.
const PIECE: usize = 1 << 20;

/// What a file of the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// Features of a film.
    Features,
    /// A block of keys and values of a prompt.
    KeysValues,
    /// The digest of a large file, so that it is not read for each question.
    Digest,
}

impl EntryKind {
    /// All of them.
    pub(super) const ALL: [EntryKind; 3] = [EntryKind::Features, EntryKind::KeysValues, EntryKind::Digest];

    /// What names of files end with.
    pub(super) fn ending(self) -> &'static str {
        match self {
            EntryKind::Features => "features",
            EntryKind::KeysValues => "kv",
            EntryKind::Digest => "digest",
        }
    }

    fn number(self) -> u32 {
        match self {
            EntryKind::Features => 1,
            EntryKind::KeysValues => 2,
            EntryKind::Digest => 3,
        }
    }
}

/// What people are told of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EntryTexts {
    /// Name and version of the program that wrote it.
    pub(crate) program: String,
    /// The model.
    pub(crate) model: String,
    /// Type and shape of the numbers.
    pub(crate) detail: String,
    /// The name of the film, or of the films.
    pub(crate) film: String,
}

/// What stands before a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: EntryKind,
    pub(super) key: Key,
    pub(super) payload: u64,
    pub(super) texts: EntryTexts,
}

impl Header {
    /// The bytes, with zeros for the checksum.
    fn bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.kind.number().to_le_bytes());
        bytes[16..48].copy_from_slice(&self.key);
        bytes[48..56].copy_from_slice(&self.payload.to_le_bytes());
        let EntryTexts { program, model, detail, film } = &self.texts;
        for (text, place) in [program, model, detail, film].into_iter().zip(TEXTS) {
            let text = &text.as_bytes()[..text.floor_char_boundary(place.len())];
            bytes[place.start..place.start + text.len()].copy_from_slice(text);
        }
        bytes
    }

    /// The header of `bytes`; `None` when they are none of this version.
    fn of(bytes: &[u8; HEADER]) -> Option<Self> {
        let number = |at: usize| bytes[at..at + 4].iter().rev().fold(0, |n, &byte| n << 8 | u32::from(byte));
        let kind = EntryKind::ALL.into_iter().find(|kind| kind.number() == number(12))?;
        if bytes[..8] != MAGIC || number(8) != FORMAT {
            return None;
        }
        let text = |place: &Range<usize>| {
            let text = bytes[place.clone()].split(|&byte| byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(text).into_owned()
        };
        let [program, model, detail, film] = TEXTS.each_ref().map(text);
        let payload = u64::from(number(48)) | u64::from(number(52)) << 32;
        let key = *bytes[16..48].first_chunk()?;
        Some(Header { kind, key, payload, texts: EntryTexts { program, model, detail, film } })
    }
}

/// Counts and digests what goes to a file.
struct Digesting<'a> {
    out: BufWriter<&'a mut File>,
    digest: Sha256,
    bytes: u64,
}

impl Write for Digesting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes header and payload to the empty `file`.
///
/// # Errors
/// When the disk or `payload` fails, and when the payload has not the bytes that the header says.
pub(super) fn write(
    file: &mut File,
    header: &Header,
    payload: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut head = header.bytes();
    file.write_all(&head)?;
    let (checksum, bytes) = {
        let digest = Sha256::new_with_prefix(head);
        let mut out = Digesting { out: BufWriter::with_capacity(PIECE, &mut *file), digest, bytes: 0 };
        payload(&mut out)?;
        out.flush()?;
        (out.digest.finalize(), out.bytes)
    };
    if bytes != header.payload {
        let text = format!("{bytes} bytes were written of {}", header.payload);
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    head[CHECKSUM].copy_from_slice(&checksum);
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&head)
}

/// The header of an open file, and its digest so far, when the checksum is still to be compared.
fn begin(file: &mut impl Read) -> io::Result<(Header, Sha256, Key)> {
    let mut head = [0; HEADER];
    file.read_exact(&mut head)?;
    let header = Header::of(&head).ok_or_else(|| damaged("no header of this version"))?;
    let mut told = [0; 32];
    told.copy_from_slice(&head[CHECKSUM]);
    head[CHECKSUM].fill(0);
    Ok((header, Sha256::new_with_prefix(head), told))
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

/// The header of a file; what it says is not checked.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] and [`io::ErrorKind::UnexpectedEof`] where there is none.
pub(super) fn header(path: &Path) -> io::Result<Header> {
    begin(&mut File::open(path)?).map(|(header, ..)| header)
}

/// The payload of the entry at `path`, which must have `kind` and `key` and `wanted` bytes. Nothing is allocated for
/// one of another size.
///
/// # Errors
/// What the system reports; [`io::ErrorKind::InvalidData`] and [`io::ErrorKind::UnexpectedEof`] for a file that is
/// damaged or another one.
pub(super) fn payload(path: &Path, kind: EntryKind, key: &Key, wanted: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() != (HEADER + wanted) as u64 {
        return Err(damaged("another number of bytes"));
    }
    let (header, digest, told) = begin(&mut file)?;
    if (header.kind, &header.key, header.payload) != (kind, key, wanted as u64) {
        return Err(damaged("another entry"));
    }
    let mut bytes = vec![0; wanted];
    file.read_exact(&mut bytes)?;
    match Key::from(digest.chain_update(&bytes).finalize()) == told {
        true => Ok(bytes),
        false => Err(damaged("the checksum is another one")),
    }
}

/// Reads all of the entry at `path`, which must have `kind` and `key`, without keeping it.
///
/// # Errors
/// As [`payload`].
pub(super) fn check(path: &Path, kind: EntryKind, key: &Key) -> io::Result<()> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut file = BufReader::with_capacity(PIECE, file);
    let (header, mut digest, told) = begin(&mut file)?;
    if (header.kind, &header.key, header.payload.saturating_add(HEADER as u64)) != (kind, key, bytes) {
        return Err(damaged("another entry"));
    }
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => digest.update(&piece[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if Key::from(digest.finalize()) == told { Ok(()) } else { Err(damaged("the checksum is another one")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(payload: u64) -> Header {
        let texts = EntryTexts { film: "é".repeat(200), model: "m".into(), ..EntryTexts::default() };
        Header { kind: EntryKind::KeysValues, key: [9; 32], payload, texts }
    }

    #[test]
    fn every_changed_byte_and_every_other_length_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("entry");
        let body: Vec<u8> = (0..300u32).map(|n| (n % 251) as u8).collect();
        let mut file = File::create(&path).expect("a file");
        write(&mut file, &header(300), |out| out.write_all(&body)).expect("written");
        let read = || payload(&path, EntryKind::KeysValues, &[9; 32], 300);
        let is_whole = || check(&path, EntryKind::KeysValues, &[9; 32]).is_ok();
        assert_eq!(read().expect("whole"), body);
        assert!(is_whole());
        assert_eq!(super::header(&path).expect("a header").texts.film, "é".repeat(140));
        for (kind, key, bytes) in [
            (EntryKind::Features, [9; 32], 300),
            (EntryKind::KeysValues, [8; 32], 300),
            (EntryKind::KeysValues, [9; 32], 299),
        ] {
            assert!(payload(&path, kind, &key, bytes).is_err());
        }
        let whole = std::fs::read(&path).expect("bytes");
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&path, bytes).expect("written");
            assert!(read().is_err() && !is_whole(), "byte {at}");
        }
        for length in [0, 1, HEADER - 1, HEADER, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).expect("written");
            assert!(read().is_err() && !is_whole(), "{length} bytes");
        }
        std::fs::write(&path, [&whole[..], &[0]].concat()).expect("written");
        assert!(read().is_err() && !is_whole(), "a byte more");
        let mut file = File::create(&path).expect("a file");
        assert!(write(&mut file, &header(299), |out| out.write_all(&body)).is_err());
    }
}
