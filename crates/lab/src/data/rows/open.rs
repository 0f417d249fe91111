//! Which form a data file has, by its first bytes; folders, lists and braces that name several.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::array::{self, JsonRows, JsonSpan};
use super::lines;
use super::shards::{Shard, Shards};
use super::shared_file::SharedFile;
use super::store::RowStore;
use super::tar::{TarRows, has_checksum};
use crate::error::LabError;

/// Most files that one name may stand for.
const MAX_SHARDS: usize = 100_000;
/// Longest list of shards that is read.
const MAX_LIST_BYTES: u64 = 16 << 20;
/// Bytes that are read at once in the search for rows.
const BUFFER: usize = 1 << 20;

/// What the first bytes of a file say.
enum Format {
    Tar,
    Parquet,
    /// The place behind the `[`.
    Array(u64),
    /// The place of the first line.
    Lines(u64),
    /// A list of files, one a line.
    List,
}

/// Opens what `name` stands for: a file, a folder of files, `shard-{000..012}.tar`, or a list of files.
///
/// # Errors
/// [`LabError::File`] about the file that cannot be read or has another form.
pub(in crate::data) fn open(name: &Path) -> Result<Shards, LabError> {
    let mut shards = Vec::new();
    for file in files(name)? {
        let error = |error: io::Error| file_error(&file, &error);
        match format(&file).map_err(error)? {
            Format::List => {
                for listed in list(&file)? {
                    let rows = open_rows(&listed)?;
                    shards.push(Shard { file: listed, rows });
                }
            }
            format => {
                let rows = rows_of(&file, format).map_err(error)?;
                shards.push(Shard { file, rows });
            }
        }
    }
    Ok(Shards::new(shards))
}

/// The rows of one shard of a list, which may be no list itself.
fn open_rows(file: &Path) -> Result<Box<dyn RowStore>, LabError> {
    let error = |error: io::Error| file_error(file, &error);
    rows_of(file, format(file).map_err(error)?).map_err(error)
}

fn rows_of(file: &Path, format: Format) -> io::Result<Box<dyn RowStore>> {
    let shared = SharedFile::open(file)?;
    let mut reader = BufReader::with_capacity(BUFFER, File::open(file)?);
    let spans = match format {
        Format::Tar => return Ok(Box::new(TarRows::index(shared)?)),
        Format::Array(begin) => {
            reader.seek(SeekFrom::Start(begin))?;
            array::spans(&mut reader, begin)?
        }
        Format::Lines(begin) => {
            reader.seek(SeekFrom::Start(begin))?;
            let lines = lines::spans(&mut reader, begin)?;
            whole_object(&shared, begin, &lines).map_or(lines, |whole| vec![whole])
        }
        Format::Parquet => return parquet_rows(file),
        Format::List => return Err(invalid("a list of files inside a list of files")),
    };
    Ok(Box::new(JsonRows { file: Arc::new(shared), spans }))
}

/// The whole file, where it is one object that is written over several lines.
fn whole_object(file: &SharedFile, begin: u64, lines: &[JsonSpan]) -> Option<JsonSpan> {
    let [first, .., last] = lines else { return None };
    let whole = JsonSpan { offset: begin, size: last.offset + last.size - begin };
    let is_object =
        |span: &JsonSpan| array::read_row(file, span.offset, span.size).is_ok_and(|row| array::is_object(&row));
    // Nearly every file of lines ends here.
    (!is_object(first) && is_object(&whole)).then_some(whole)
}

#[cfg(feature = "parquet")]
fn parquet_rows(file: &Path) -> io::Result<Box<dyn RowStore>> {
    Ok(Box::new(super::parquet::ParquetRows::open(file)?))
}

#[cfg(not(feature = "parquet"))]
fn parquet_rows(_: &Path) -> io::Result<Box<dyn RowStore>> {
    let text = "this program was built without Parquet; build it with `--features parquet`, or write JSON lines";
    Err(invalid(text))
}

/// What a file is by its content.
fn format(path: &Path) -> io::Result<Format> {
    let mut file = File::open(path)?;
    let mut head = [0; 512];
    let read = read_up_to(&mut file, &mut head)?;
    if read == 512 && has_checksum(&head) {
        return Ok(Format::Tar);
    }
    if head[..read].starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    for (magic, name) in [(&[0x1f, 0x8b][..], "gzip"), (b"PK\x03\x04", "zip"), (&[0x28, 0xb5, 0x2f, 0xfd], "zstd")] {
        if head[..read].starts_with(magic) {
            return Err(invalid(&format!("a {name} file; unpack it first")));
        }
    }
    let begin = if head[..read].starts_with(&[0xef, 0xbb, 0xbf]) { 3 } else { 0 };
    file.seek(SeekFrom::Start(begin))?;
    let mut blank = 0;
    for byte in BufReader::new(file).bytes() {
        match byte? {
            b'[' => return Ok(Format::Array(begin + blank + 1)),
            b'{' => return Ok(Format::Lines(begin)),
            byte if byte.is_ascii_whitespace() => blank += 1,
            _ if is_list(path, begin)? => return Ok(Format::List),
            _ => return Err(invalid("neither JSON, JSON lines, a tar archive nor a list of such files")),
        }
    }
    Err(invalid("no rows: the file is empty"))
}

/// Whether the first line that is not blank names a file.
fn is_list(path: &Path, begin: u64) -> io::Result<bool> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(begin))?;
    let mut line = String::new();
    let mut reader = BufReader::new(file).take(8192);
    while line.trim().is_empty() {
        line.clear();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return Ok(false),
            Ok(_) => {}
        }
    }
    Ok(beside(path, line.trim()).is_file())
}

/// The files that a list names, relative to the list's folder.
fn list(path: &Path) -> Result<Vec<PathBuf>, LabError> {
    let error = |error: io::Error| file_error(path, &error);
    let mut text = String::new();
    let file = File::open(path).map_err(error)?;
    file.take(MAX_LIST_BYTES + 1).read_to_string(&mut text).map_err(error)?;
    if text.len() as u64 > MAX_LIST_BYTES {
        return Err(error(invalid(&format!("a list of files has at most {MAX_LIST_BYTES} bytes"))));
    }
    let names = text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(|line| !line.is_empty());
    let mut files = Vec::new();
    for name in names {
        files.extend(braces(&beside(path, name))?);
    }
    Ok(files)
}

fn beside(list: &Path, name: &str) -> PathBuf {
    list.parent().unwrap_or(Path::new("")).join(name)
}

/// The files that a name stands for.
fn files(name: &Path) -> Result<Vec<PathBuf>, LabError> {
    if !name.is_dir() {
        return braces(name);
    }
    let error = |error: io::Error| file_error(name, &error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(name).map_err(error)? {
        let path = entry.map_err(error)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        // Media may lie beside the rows, so a folder's data files are told by their endings.
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if !is_hidden && path.is_file() && ["tar", "jsonl", "json", "ndjson", "parquet"].contains(&ending) {
            files.push(path);
        }
        if files.len() > MAX_SHARDS {
            return Err(error(invalid(&format!("more than {MAX_SHARDS} data files"))));
        }
    }
    if files.is_empty() {
        return Err(error(invalid("no data file (.tar, .jsonl, .json, .parquet) lies in this folder")));
    }
    files.sort();
    Ok(files)
}

/// The names that `{000..012}` stands for; a file that is called so itself is itself.
fn braces(name: &Path) -> Result<Vec<PathBuf>, LabError> {
    let range = name.to_str().and_then(|text| {
        let (before, rest) = text.split_once('{')?;
        let (range, after) = rest.split_once('}')?;
        let (first, last) = range.split_once("..")?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        (digits(first) && digits(last)).then_some((before, first, last, after))
    });
    let Some((before, first, last, after)) = range.filter(|_| !name.exists()) else {
        return Ok(vec![name.to_path_buf()]);
    };
    let error = |text: String| file_error(name, &invalid(&text));
    let bounds = first.parse::<u64>().ok().zip(last.parse::<u64>().ok());
    let Some((from, to)) = bounds.filter(|(from, to)| from <= to && to - from < MAX_SHARDS as u64) else {
        return Err(error(format!("{{{first}..{last}}} stands for no or for more than {MAX_SHARDS} files")));
    };
    let width = if first.starts_with('0') || first.len() == last.len() { first.len() } else { 0 };
    let mut names = Vec::new();
    for number in from..=to {
        names.extend(braces(Path::new(&format!("{before}{number:0width$}{after}")))?);
        if names.len() > MAX_SHARDS {
            return Err(error(format!("it stands for more than {MAX_SHARDS} files")));
        }
    }
    Ok(names)
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut bytes = Vec::new();
    file.take(buffer.len() as u64).read_to_end(&mut bytes)?;
    buffer[..bytes.len()].copy_from_slice(&bytes);
    Ok(bytes.len())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn file_error(file: &Path, error: &io::Error) -> LabError {
    let what = match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_string(),
        _ => error.to_string(),
    };
    LabError::File { file: file.to_path_buf(), what }
}
