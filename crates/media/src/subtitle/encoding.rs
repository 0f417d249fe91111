//! The characters of a subtitle file, whose encoding nobody states.

use std::borrow::Cow;

use encoding_rs::{Encoding, WINDOWS_1252};

/// The text of `bytes`: by their byte order mark (UTF-8, UTF-16), else as UTF-8, else as Windows-1252. A file that is
/// UTF-8 but for some damaged bytes stays UTF-8.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[mark..]).0;
    }
    let text = String::from_utf8_lossy(bytes);
    if let Cow::Borrowed(_) = text {
        return text;
    }
    let foreign = text.chars().filter(|c| !c.is_ascii());
    let (damaged, sound): (Vec<char>, Vec<char>) = foreign.partition(|&c| c == char::REPLACEMENT_CHARACTER);
    if damaged.len() <= sound.len() { text } else { WINDOWS_1252.decode_without_bom_handling(bytes).0 }
}
