//! `ContentEncodings`: header stripping and zlib are undone, every other compression and encryption is refused.

use super::ebml::{children, uint};
use super::ids;
use crate::error::MediaError;

/// Bytes that may be stripped from the front of frames.
const MAX_STRIPPED: usize = 1024;

/// How the contents of a track are packed.
#[derive(Debug, Default)]
pub(super) struct Packing {
    /// Bytes stripped from the front of every frame.
    pub(super) stripped: Vec<u8>,
    /// Whether frames are compressed with zlib.
    pub(super) zlib: bool,
    /// Whether the codec's configuration is compressed with zlib.
    pub(super) zlib_private: bool,
}

/// One `ContentEncoding`.
struct Encoding<'a> {
    /// The compression method, where it is one.
    algorithm: Option<u64>,
    settings: &'a [u8],
    /// 1: frames; 2: the codec's configuration.
    scope: u64,
}

/// Reads `ContentEncodings`. Bytes stripped by several encodings are put in front of one another.
///
/// # Errors
/// `Unsupported` for encryption and for compression other than header stripping or one round of zlib.
pub(super) fn read(data: &[u8], packing: &mut Packing) -> Result<(), MediaError> {
    for (_, body) in children(data).filter(|c| c.0 == ids::CONTENT_ENCODING) {
        let encoding = read_encoding(body)?;
        let Encoding { settings, scope, .. } = encoding;
        match encoding.algorithm {
            None => {}
            Some(0) if !packing.zlib && packing.stripped.is_empty() => {
                (packing.zlib, packing.zlib_private) = (scope & 1 != 0, scope & 2 != 0);
            }
            Some(3) if !packing.zlib && settings.len() + packing.stripped.len() <= MAX_STRIPPED => {
                packing.stripped.splice(0..0, settings.iter().copied());
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

fn read_encoding(data: &[u8]) -> Result<Encoding<'_>, MediaError> {
    let mut encoding = Encoding { algorithm: None, settings: &[], scope: 1 };
    for (id, body) in children(data) {
        match id {
            ids::CONTENT_ENCRYPTION => return Err(encrypted()),
            ids::CONTENT_ENCODING_TYPE if uint(body)? == 1 => return Err(encrypted()),
            ids::CONTENT_ENCODING_SCOPE => encoding.scope = uint(body)?,
            ids::CONTENT_COMPRESSION => {
                encoding.algorithm = Some(0);
                for (id, body) in children(body) {
                    match id {
                        ids::CONTENT_COMP_ALGO => encoding.algorithm = Some(uint(body)?),
                        ids::CONTENT_COMP_SETTINGS => encoding.settings = body,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(encoding)
}

/// The error for protected tracks.
pub(super) fn encrypted() -> MediaError {
    MediaError::Unsupported {
        what: "an encrypted matroska track".into(),
        remedy: "decrypt the file first; Zoetrope reads no protected media".into(),
    }
}
