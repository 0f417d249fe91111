//! What media is made of, by the bytes of its files: equal digests mean equal frames at equal times.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use zoetrope_engine::{ContentDigest, content_digest};

use super::place::FoundMedia;

/// Files whose digests are remembered.
const REMEMBERED: usize = 1 << 16;

/// Digests of files, so that a file is not read again in every epoch. One that has another size or another time of
/// change is.
#[derive(Default)]
pub(super) struct Digests(Mutex<HashMap<PathBuf, (FileTime, ContentDigest)>>);

/// Size and time of change of a file.
type FileTime = (u64, SystemTime);

impl Digests {
    fn of_file(&self, path: &Path) -> io::Result<ContentDigest> {
        let state = || path.metadata().and_then(|found| Ok((found.len(), found.modified()?)));
        let before = state()?;
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, digest)) = lock().get(path).filter(|(known, _)| *known == before) {
            return Ok(*digest);
        }
        let digest = content_digest(path)?;
        if state()? == before {
            let mut known = lock();
            if known.len() >= REMEMBERED {
                known.clear();
            }
            known.insert(path.to_path_buf(), (before, digest));
        }
        Ok(digest)
    }
}

/// The files of one picture or video, and the part of it that is shown.
pub(super) struct MediaContent {
    /// Several are the frames of a clip, in their order.
    pub(super) files: Vec<FoundMedia>,
    /// Seconds where the part starts and ends.
    pub(super) part: (Option<f64>, Option<f64>),
}

impl MediaContent {
    /// The digest of all of it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn digest(&self, digests: &Digests) -> io::Result<ContentDigest> {
        let mut all = Sha256::new_with_prefix(b"zoetrope sample media 1");
        for file in &self.files {
            all.update(match file {
                FoundMedia::File(path) => digests.of_file(path)?,
                FoundMedia::Bytes(bytes) => Sha256::digest(bytes).into(),
                FoundMedia::Member(member) => {
                    let mut digest = Sha256::new();
                    member.archive.pieces(member.offset, member.size, |piece| digest.update(piece))?;
                    digest.finalize().into()
                }
            });
        }
        for moment in [self.part.0, self.part.1] {
            all.update([u8::from(moment.is_some())]);
            all.update(moment.unwrap_or_default().to_le_bytes());
        }
        Ok(all.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn content_is_told_by_bytes_order_and_part() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            FoundMedia::File(path)
        };
        let (one, copy, other) = (file("one", b"film"), file("copy", b"film"), file("other", b"fish"));
        let digests = Digests::default();
        let of = |files: &[&FoundMedia], part| {
            let files = files.iter().map(|&file| file.clone()).collect();
            MediaContent { files, part }.digest(&digests).expect("read")
        };
        let whole = (None, None);
        assert_eq!(of(&[&one], whole), of(&[&copy], whole));
        assert_eq!(of(&[&one], whole), of(&[&FoundMedia::Bytes(Arc::from(&b"film"[..]))], whole));
        let different = [
            of(&[&one], whole),
            of(&[&other], whole),
            of(&[&one, &other], whole),
            of(&[&other, &one], whole),
            of(&[&one], (Some(0.0), None)),
            of(&[&one], (None, Some(0.0))),
            of(&[&one], (Some(1.0), None)),
        ];
        for (at, digest) in different.iter().enumerate() {
            assert!(different[at + 1..].iter().all(|other| other != digest), "{at}");
        }
        // A file that is written anew is read anew.
        std::fs::write(folder.path().join("one"), b"fishes").expect("written");
        assert_ne!(of(&[&one], whole), different[0]);
        let missing = MediaContent { files: vec![FoundMedia::File(folder.path().join("none"))], part: whole };
        assert!(missing.digest(&digests).is_err());
    }
}
