//! Paths as people give them: dropped on a terminal, quoted, with backslashes, `~`, and `file://` addresses.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Endings of media files, lower case.
const ENDINGS: &[&str] = &[
    "mp4", "m4v", "mov", "qt", "mkv", "webm", "avi", "divx", "ts", "m2t", "m2ts", "mts", "vob", "mpg", "mpeg", "mxf",
    "asf", "wmv", "flv", "f4v", "3gp", "3g2", "ogv", "ivf", "y4m", "gif", "png", "apng", "jpg", "jpeg", "jpe", "jfif",
    "webp", "bmp", "ico", "tif", "tiff", "tga", "qoi", "pnm", "pbm", "pgm", "ppm", "pam", "heic", "heif", "hif",
    "avif",
];

/// Whether a name ends as media files do.
pub(crate) fn has_media_ending(path: &Path) -> bool {
    let ending = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// Whether a file of features was written by `zoetrope index` or named by the user, and does not lie in the store.
pub(crate) fn is_index(path: &Path) -> bool {
    path.extension().is_none_or(|ending| ending != "features")
}

/// Whether a word is an address of the web, which is not fetched.
pub(crate) fn is_address(word: &OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    let begins = |scheme: &[u8]| bytes.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    begins(b"http://") || begins(b"https://")
}

/// The path that a word of the command line names: that of a `file://` address, else the word itself.
pub(crate) fn of_word(word: &OsStr) -> PathBuf {
    from_address(word.as_encoded_bytes()).unwrap_or_else(|| PathBuf::from(word))
}

/// The path of `file:///a%20b` or `file://localhost/a%20b`.
fn from_address(word: &[u8]) -> Option<PathBuf> {
    let scheme = word.get(..7).filter(|begin| begin.eq_ignore_ascii_case(b"file://"))?;
    let rest = &word[scheme.len()..];
    let rest = rest.strip_prefix(b"localhost").unwrap_or(rest);
    let mut bytes = Vec::with_capacity(rest.len());
    let mut at = 0;
    while at < rest.len() {
        let digit = |offset: usize| rest.get(at + offset).and_then(|b| char::from(*b).to_digit(16));
        match (rest[at], digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    // `file:///C:/a` names `C:/a`.
    if cfg!(windows) && bytes.first() == Some(&b'/') && bytes.get(2) == Some(&b':') {
        bytes.remove(0);
    }
    Some(from_bytes(bytes))
}

#[cfg(unix)]
fn from_bytes(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(<OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes))
}

#[cfg(not(unix))]
fn from_bytes(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from(String::from_utf8_lossy(&bytes).into_owned()))
}

/// A word of a typed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The path it names: without quotes and backslashes, with `~` and `file://` resolved.
    pub(crate) path: PathBuf,
    /// Whether it can hardly be anything but a path: quoted, escaped, with a separator, or with a media file's ending.
    pub(crate) looks_like_path: bool,
    /// Where the line goes on after it.
    pub(crate) end: usize,
}

/// The words of a line as a shell would split it. A quote that is not closed is an apostrophe.
pub(crate) fn words(line: &[u8]) -> Vec<Word> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(word) = word(line, at) {
        at = word.end;
        words.push(word);
    }
    words
}

/// The first word at or after `at`.
fn word(line: &[u8], mut at: usize) -> Option<Word> {
    while line.get(at)?.is_ascii_whitespace() {
        at += 1;
    }
    let begin = at;
    let (mut bytes, mut quoted) = (Vec::new(), false);
    while let Some(&byte) = line.get(at).filter(|byte| !byte.is_ascii_whitespace()) {
        match (byte, line.get(at + 1)) {
            (b'\\', Some(&next)) if !cfg!(windows) => {
                bytes.push(next);
                (quoted, at) = (true, at + 2);
            }
            (b'"' | b'\'', _) => match quoted_text(line, at) {
                Some((text, end)) => {
                    bytes.extend(text);
                    (quoted, at) = (true, end);
                }
                None => {
                    bytes.push(byte);
                    at += 1;
                }
            },
            _ => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    let is_home = line[begin] == b'~';
    let path = resolve(bytes, is_home);
    let has_separator = path.as_os_str().as_encoded_bytes().iter().any(|&b| b == b'/' || (cfg!(windows) && b == b'\\'));
    let looks_like_path = quoted || has_separator || has_media_ending(&path);
    Some(Word { path, looks_like_path, end: at })
}

/// What the quote at `at` encloses, and where it ends; `None` when it is not closed.
fn quoted_text(line: &[u8], at: usize) -> Option<(Vec<u8>, usize)> {
    let quote = *line.get(at)?;
    let (mut text, mut i) = (Vec::new(), at + 1);
    loop {
        match *line.get(i)? {
            byte if byte == quote => return Some((text, i + 1)),
            b'\\' if quote == b'"' && !cfg!(windows) && matches!(line.get(i + 1), Some(b'"' | b'\\' | b'$' | b'`')) => {
                text.push(line[i + 1]);
                i += 2;
            }
            byte => {
                text.push(byte);
                i += 1;
            }
        }
    }
}

/// The path of an unquoted word: `file://` and, where it stood outside of quotes, `~`.
fn resolve(bytes: Vec<u8>, is_home: bool) -> PathBuf {
    if let Some(path) = from_address(&bytes) {
        return path;
    }
    let home = || std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE")).filter(|home| !home.is_empty());
    match bytes.as_slice() {
        [b'~', b'/', rest @ ..] if is_home => match home() {
            Some(home) => PathBuf::from(home).join(from_bytes(rest.to_vec())),
            None => from_bytes(bytes),
        },
        _ => from_bytes(bytes),
    }
}

/// The path that the whole of `text` names as it stands, with spaces and all, where there is such a file.
pub(crate) fn literal(text: &[u8]) -> Option<PathBuf> {
    let text = text.trim_ascii();
    let path = resolve(text.to_vec(), text.starts_with(b"~"));
    (!text.is_empty() && path.exists()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(line: &str) -> Vec<String> {
        words(line.as_bytes()).into_iter().map(|word| word.path.display().to_string()).collect()
    }

    #[cfg(unix)]
    #[test]
    fn words_are_unquoted_as_a_shell_does() {
        assert_eq!(paths("'my pic.png' \"a b.mp4\" c\\ d.gif"), ["my pic.png", "a b.mp4", "c d.gif"]);
        assert_eq!(paths("'it'\\''s.png' x"), ["it's.png", "x"]);
        assert_eq!(paths("\"a\\\"b\\$.png\""), ["a\"b$.png"]);
        assert_eq!(paths("What's in  this?"), ["What's", "in", "this?"]);
        assert_eq!(paths("file:///tmp/a%20b%25.png FILE://localhost/c"), ["/tmp/a b%.png", "/c"]);
        assert_eq!(paths("file:///%zz%"), ["/%zz%"]);
        assert_eq!(paths("   "), Vec::<String>::new());
        let home = std::env::var("HOME").expect("a home");
        assert_eq!(paths("~/x.png '~/x.png' ~x"), [&format!("{home}/x.png"), "~/x.png", "~x"]);
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_utf8_stay() {
        use std::os::unix::ffi::OsStrExt;
        let word = &words(b"caf\xe9.png?")[0];
        assert_eq!(word.path.as_os_str().as_bytes(), b"caf\xe9.png?");
        assert_eq!(of_word(OsStr::from_bytes(b"file:///caf%e9")).as_os_str().as_bytes(), b"/caf\xe9");
    }

    #[test]
    fn what_looks_like_a_path() {
        let looks = |line: &str| words(line.as_bytes())[0].looks_like_path;
        assert!(["a.PNG", "a.pgm", "a.y4m", "a.heif", "a.ico"].into_iter().all(looks));
        assert!(looks("./a") && looks("'a'"));
        assert!(!looks("red") && !looks("what's") && !looks("3.5"));
        assert!(is_address(OsStr::new("HTTPS://x/a.mp4")) && !is_address(OsStr::new("file:///a")));
    }
}
