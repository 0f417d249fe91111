//! `ContentEncodings`: header stripping is undone, every other compression and encryption is refused.

use super::ebml::{children, uint};
use super::ids;
use crate::error::MediaError;

/// Bytes that may be stripped from the front of frames.
const MAX_STRIPPED: usize = 1024;

/// Reads `ContentEncodings` and puts the bytes stripped from every frame in front of `stripped`.
///
/// # Errors
/// `Unsupported` for encryption and for compression other than header stripping.
pub(super) fn read(data: &[u8], stripped: &mut Vec<u8>) -> Result<(), MediaError> {
    for (_, encoding) in children(data).filter(|c| c.0 == ids::CONTENT_ENCODING) {
        let mut algorithm = None;
        let mut settings: &[u8] = &[];
        for (id, body) in children(encoding) {
            match id {
                ids::CONTENT_ENCRYPTION => return Err(encrypted()),
                ids::CONTENT_ENCODING_TYPE if uint(body)? == 1 => return Err(encrypted()),
                ids::CONTENT_COMPRESSION => {
                    algorithm = Some(0);
                    for (id, body) in children(body) {
                        match id {
                            ids::CONTENT_COMP_ALGO => algorithm = Some(uint(body)?),
                            ids::CONTENT_COMP_SETTINGS => settings = body,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        match algorithm {
            None => {}
            Some(3) if settings.len() + stripped.len() <= MAX_STRIPPED => {
                *stripped = [settings, stripped.as_slice()].concat()
            }
            Some(n) => {
                return Err(MediaError::Unsupported {
                    what: format!("matroska frames packed with method {n}"),
                    remedy: "rewrite the file with `ffmpeg -i in.mkv -c copy out.mkv`".into(),
                });
            }
        }
    }
    Ok(())
}

/// The error for protected tracks.
pub(super) fn encrypted() -> MediaError {
    MediaError::Unsupported {
        what: "an encrypted matroska track".into(),
        remedy: "decrypt the file first; Zoetrope reads no protected media".into(),
    }
}
