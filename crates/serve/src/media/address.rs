//! Addresses of media: bytes inside them, files below the media root, the web, uploads.

use std::io::Read;
use std::path::{Path, PathBuf};

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::spool::{Spool, Spooled};
use super::uploads;
use crate::error::{ApiError, quoted};
use crate::wire::content::{Origin, has_prefix};

/// As clients write it: with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Base64 characters that are decoded at once.
const RUN: usize = 1 << 16;

/// What an origin names.
pub(crate) enum Address<'o> {
    /// Base64 of the bytes.
    Base64(&'o str),
    /// A path below the media root, or elsewhere.
    File(&'o str),
    /// The id of an upload.
    Upload(&'o str),
    /// An address of the web.
    Web(&'o str),
}

/// What `origin` names.
///
/// # Errors
/// For anything else, with what can be used.
pub(crate) fn of(origin: &Origin) -> Result<Address<'_>, ApiError> {
    let text = match origin {
        Origin::Base64(text) => return Ok(Address::Base64(text)),
        Origin::File(id) => return Ok(Address::Upload(id)),
        Origin::Address(text) => text.as_str(),
    };
    if has_prefix(text, "data:") {
        return data(&text["data:".len()..]).map(Address::Base64);
    }
    if has_prefix(text, "file:") {
        return Ok(Address::File(&text["file:".len()..]));
    }
    if has_prefix(text, "http:") || has_prefix(text, "https:") {
        return Ok(Address::Web(text));
    }
    if text.starts_with(uploads::PREFIX) {
        return Ok(Address::Upload(text));
    }
    let kinds = "data:, http:, https:, file: below the server's media root, or the id of an uploaded file";
    Err(ApiError::invalid("url", format!("the address {} cannot be used; these can: {kinds}", quoted(text))))
}

/// The base64 of `video/mp4;base64,AAAA`.
fn data(rest: &str) -> Result<&str, ApiError> {
    let wrong = |text: &str| Err(ApiError::invalid("url", text));
    let Some((head, data)) = rest.split_once(',') else { return wrong("the data: address has no comma") };
    match head.split(';').any(|part| part.trim().eq_ignore_ascii_case("base64")) {
        true => Ok(data),
        false => wrong("the data: address is not base64"),
    }
}

/// Base64 to a file of the spool, a run at a time.
///
/// # Errors
/// For text that is not base64, and for none at all.
pub(crate) fn decode(text: &str, spool: &Spool, most: u64) -> Result<Spooled, ApiError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ApiError::invalid("url", "there are no bytes"));
    }
    let mut writer = spool.writer(most)?;
    let mut run = vec![0; RUN];
    let mut reader = base64::read::DecoderReader::new(text.as_bytes(), &BASE64);
    loop {
        let read = reader.read(&mut run).map_err(|_| ApiError::invalid("url", "the bytes are not base64"))?;
        if read == 0 {
            return writer.finish();
        }
        writer.write(&run[..read])?;
    }
}

/// The folder that `file:` addresses may name files in.
pub(crate) struct MediaRoot(Option<PathBuf>);

impl MediaRoot {
    /// The folder; `None` refuses all addresses of files.
    ///
    /// # Errors
    /// When there is no such folder.
    pub(crate) fn new(folder: Option<&Path>) -> std::io::Result<Self> {
        Ok(MediaRoot(folder.map(Path::canonicalize).transpose()?))
    }

    /// The file of an address behind `file:`. Links are followed before it is looked whether it lies in the folder.
    ///
    /// # Errors
    /// 400, the same for every file that may not be read and for those that do not exist.
    pub(crate) fn file(&self, rest: &str) -> Result<PathBuf, ApiError> {
        let Some(root) = &self.0 else {
            let text = "addresses of files are not served; the server was started without --media-root";
            return Err(ApiError::invalid("url", text).code("file_refused"));
        };
        let refused = || ApiError::invalid("url", "there is no such file below the media root").code("file_refused");
        let path = rest.strip_prefix("//localhost").or_else(|| rest.strip_prefix("//")).unwrap_or(rest);
        let path = percent_decoded(path).filter(|path| path.starts_with('/') && !path.contains('\0'));
        let path = Path::new(path.as_deref().ok_or_else(refused)?).canonicalize().map_err(|_| refused())?;
        match path.starts_with(root) && path.is_file() {
            true => Ok(path),
            false => Err(refused()),
        }
    }
}

/// `%20` to a blank; `None` where that gives no text.
fn percent_decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let code = code.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine;

    use super::*;

    fn base64_of(address: &str) -> Option<String> {
        match of(&Origin::Address(address.to_string())) {
            Ok(Address::Base64(text)) => Some(text.to_string()),
            _ => None,
        }
    }

    #[test]
    fn only_base64_is_taken_of_data_addresses() {
        assert_eq!(base64_of("data:video/mp4;base64,AAAA").as_deref(), Some("AAAA"));
        assert_eq!(base64_of("DATA:video/mp4;codecs=x;BASE64,AAAA").as_deref(), Some("AAAA"));
        for wrong in ["data:", "data:,", "data:;base64", "data:video/mp4,hello", "ftp://x/y", "/etc/passwd", ""] {
            assert_eq!(base64_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn base64_is_decoded_with_and_without_padding_and_anything_else_is_refused() {
        let spool = Spool::new(None, 1 << 20).expect("a spool");
        let bytes = |text: &str| decode(text, &spool, 1 << 20).map(|file| std::fs::read(file.path()).expect("bytes"));
        assert_eq!(bytes("aGk=").ok(), Some(b"hi".to_vec()));
        assert_eq!(bytes("aGk").ok(), Some(b"hi".to_vec()));
        let long = BASE64.encode(vec![7; 300_000]);
        assert_eq!(bytes(&long).ok(), Some(vec![7; 300_000]));
        for wrong in ["", " ", "!!!!", "A===", "AAAA====AAAA", "äö", "AA AA\nAA"] {
            assert!(bytes(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(decode(&long, &spool, 1000).map(|_| ()).expect_err("too large").status, 413);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_served_only_from_below_the_media_root_wherever_links_lead() {
        let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("another"));
        let write = |path: PathBuf| std::fs::write(path, b"x").expect("a file");
        write(folder.path().join("a b.mp4"));
        write(other.path().join("secret"));
        std::os::unix::fs::symlink(other.path().join("secret"), folder.path().join("link")).expect("a link");
        let root = MediaRoot::new(Some(folder.path())).expect("a root");
        let at = |tail: &str| root.file(&format!("//{}{tail}", folder.path().display()));
        assert!(at("/a%20b.mp4").is_ok() && at("/./a b.mp4").is_ok());
        let sibling = format!("/../{}/secret", other.path().file_name().and_then(|n| n.to_str()).unwrap_or_default());
        let elsewhere = [sibling.as_str(), "/%2e%2e/%2e%2e/etc/passwd", "/link", "/missing", "", "/a%20b.mp4%00"];
        let told: Vec<String> = elsewhere.iter().map(|tail| at(tail).expect_err("refused").message).collect();
        assert!(told.iter().all(|text| *text == told[0]), "one answer for all: {told:?}");
        assert!(MediaRoot::new(None).expect("none").file("///etc/passwd").is_err());
    }
}
