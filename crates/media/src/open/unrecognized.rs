//! What is said about a file whose start no reader here takes.

use crate::error::{MediaError, malformed, unsupported};

/// Formats that only FFmpeg reads: offset and bytes of their magic number, and their name.
const FORMATS: [(usize, &[u8], &str); 25] = [
    (0, b"FLV", "the Flash video format"),
    (0, &[0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11], "the Windows media format (ASF)"),
    (0, &[0, 0, 1, 0xba], "the MPEG program stream format"),
    (0, &[0, 0, 1, 0xb3], "a raw MPEG video stream"),
    (0, b"OggS", "the Ogg format"),
    (0, &[0x06, 0x0e, 0x2b, 0x34, 0x02, 0x05, 0x01], "the MXF format"),
    (0, b".RMF", "the RealMedia format"),
    (0, &[0x1f, 0x07, 0x00], "a raw DV stream"),
    (0, b"nut/multimedia container", "the NUT format"),
    (0, b"FWS", "the Flash movie format (SWF)"),
    (0, b"CWS", "the Flash movie format (SWF)"),
    (0, b"FILM", "the Sega film format"),
    (0, b"BM", "the BMP picture format"),
    (0, b"II*\0", "the TIFF picture format"),
    (0, b"MM\0*", "the TIFF picture format"),
    (0, b"II+\0", "the BigTIFF picture format"),
    (0, b"8BPS", "the Photoshop picture format"),
    (0, b"qoif", "the QOI picture format"),
    (0, b"DDS ", "the DDS picture format"),
    (0, b"\x76\x2f\x31\x01", "the OpenEXR picture format"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "the JPEG XL picture format"),
    (0, &[0xff, 0x0a], "the JPEG XL picture format"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "the JPEG 2000 picture format"),
    (0, &[0xff, 0x4f, 0xff, 0x51], "the JPEG 2000 picture format"),
    (0, &[0, 0, 1, 0], "the icon format (ICO)"),
];

/// Files that lead to a video instead of holding one: how they begin, what they are, and the remedy.
const POINTERS: [(&str, &str, &str); 6] = [
    ("#EXTM3U", "a playlist (.m3u8)", "playlists are not followed; save the video it names as one file first"),
    ("ffconcat", "a list of files to join", "lists are not followed; join the files first"),
    ("version https://git-lfs", "a Git LFS pointer instead of the file", "run `git lfs pull` where it came from"),
    ("<!DOCTYPE html", "a web page", "save the video itself, not the page around it"),
    ("<html", "a web page", "save the video itself, not the page around it"),
    ("http", "a link", "URLs are not fetched; download the file first"),
];

/// The error for a file that begins with `head`, at most its first 64 bytes. Known formats are unsupported, the rest
/// is malformed.
pub(crate) fn explain(head: &[u8]) -> MediaError {
    if let Some((_, what, remedy)) = pointer(head) {
        return MediaError::Unsupported { what: what.to_string(), remedy: remedy.to_string() };
    }
    let is = |magic: &(usize, &[u8], &str)| head.get(magic.0..).is_some_and(|h| h.starts_with(magic.1));
    if let Some((_, _, name)) = FORMATS.iter().find(|f| is(f)) {
        return unsupported(name.to_string());
    }
    if is_drawing(head) {
        return unsupported("the SVG drawing format".into());
    }
    if head.starts_with(&[0, 0, 0, 1]) || head.starts_with(&[0, 0, 1]) {
        return unsupported("a raw stream without container".into());
    }
    malformed("file", if is_text(head) { "it is text, not a video or a picture" } else { UNKNOWN })
}

/// What is said when nothing is known about the bytes.
pub(crate) const UNKNOWN: &str = "it is no video or picture known here";

/// Whether FFmpeg may be asked about a file that begins with `head`. It gets no text: lists of other files are text,
/// and it would paint any other text as a picture of letters.
pub(crate) fn may_be_media(head: &[u8]) -> bool {
    let portable_map = matches!(head, [b'P', b'1'..=b'7', b' ' | b'\n' | b'\r', ..]);
    portable_map || !is_text(head)
}

fn is_text(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    head.iter().all(|&b| b.is_ascii_graphic() || b.is_ascii_whitespace() || b >= 0x80)
        && String::from_utf8_lossy(head).chars().filter(|&c| c == '\u{fffd}').count() <= usize::from(head.len() >= 8)
}

fn pointer(head: &[u8]) -> Option<&'static (&'static str, &'static str, &'static str)> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let begins = |start: &str| {
        head.get(..start.len()).is_some_and(|h| h.eq_ignore_ascii_case(start.as_bytes())) && is_text(head)
    };
    POINTERS.iter().find(|p| begins(p.0))
}

fn is_drawing(head: &[u8]) -> bool {
    head.windows(4).any(|w| w.eq_ignore_ascii_case(b"<svg")) && is_text(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_named_and_pointers_have_remedies() {
        for (head, words) in [
            (&b"\x06\x0e\x2b\x34\x02\x05\x01\x01"[..], "MXF"),
            (b".RMF\0\0\0\x12", "RealMedia"),
            (b"\0\0\x01\0\x05\0\x10\x10", "icon"),
            (b"\0\0\0\x01\x67\x64", "raw stream"),
            (b"#EXTM3U\n#EXT-X-VERSION:3\n", "playlist"),
            (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
            (b"<!doctype HTML>\n<html>", "web page"),
            (b"https://example.org/clip.mp4\n", "not fetched"),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\">", "SVG"),
            ("Liebes Tagebuch, übermorgen".as_bytes(), "it is text"),
            (b"Sch\xf6ne Gr", "it is text"),
            (b"\x89PNG", UNKNOWN),
            (b"\x80\x81\x82\x83\x84\x85\x86\x87", UNKNOWN),
        ] {
            assert!(explain(head).to_string().contains(words), "{}", explain(head));
        }
    }

    #[test]
    fn text_is_no_media_but_for_formats_with_a_text_header() {
        for text in ["#EXTM3U\nfile:///etc/passwd", "ffconcat version 1.0", "\u{feff}Notes", "PDF", ""] {
            assert!(!may_be_media(text.as_bytes()), "{text}");
        }
        for media in [&b"P6\n8 8\n255\n"[..], b"\x1f\x07\0\x3f", b"DKIF\0\0"] {
            assert!(may_be_media(media), "{media:?}");
        }
    }
}
