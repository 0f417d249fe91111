//! SHA-256 of files: of all bytes, or of a few of every part, which is enough to tell files apart that nobody forged.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// One block of this many bytes is read of every [`STRIDE`] bytes, and the last block.
const BLOCK: usize = 4 << 10;
const STRIDE: usize = 4 << 20;
/// Files up to this many bytes are read as a whole.
const WHOLE: usize = 8 << 20;

/// A SHA-256 as it grows.
#[derive(Clone, Default)]
pub(super) struct Fingerprint(Sha256);

impl Fingerprint {
    /// Adds bytes with their length, so that two parts are not mistaken for other two.
    pub(super) fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Adds the length of `bytes` and a block of every part of them.
    pub(super) fn sample(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        for start in starts(bytes.len()) {
            self.0.update(&bytes[start..bytes.len().min(start + size(bytes.len()))]);
        }
    }

    /// Adds the length of a file and a block of every part of it.
    pub(super) fn sample_file(&mut self, path: &Path) -> io::Result<()> {
        let mut file = File::open(path)?;
        let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        self.0.update((len as u64).to_le_bytes());
        let mut block = Vec::new();
        for start in starts(len) {
            io::Seek::seek(&mut file, io::SeekFrom::Start(start as u64))?;
            block.clear();
            (&mut file).take(size(len) as u64).read_to_end(&mut block)?;
            self.0.update(&block);
        }
        Ok(())
    }

    /// Adds all bytes of a file.
    pub(super) fn whole_file(&mut self, path: &Path) -> io::Result<()> {
        let mut file = File::open(path)?;
        self.0.update(file.metadata()?.len().to_le_bytes());
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => self.0.update(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The hash in hexadecimal digits.
    pub(super) fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Where the blocks of `len` bytes begin.
fn starts(len: usize) -> impl Iterator<Item = usize> {
    let last = len.saturating_sub(BLOCK);
    let stride = if len <= WHOLE { len.max(1) } else { STRIDE };
    (0..len).step_by(stride).chain((len > WHOLE).then_some(last))
}

/// Bytes of a block of `len` bytes.
fn size(len: usize) -> usize {
    if len <= WHOLE { len } else { BLOCK }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_bytes_and_of_a_file_are_the_same_and_see_every_part() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("film");
        for len in [0, 1, BLOCK, WHOLE, WHOLE + 1, 3 * STRIDE + 17] {
            let mut bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            let sampled = |bytes: &[u8]| {
                let mut print = Fingerprint::default();
                print.sample(bytes);
                print.finish()
            };
            std::fs::write(&file, &bytes).unwrap();
            let mut print = Fingerprint::default();
            print.sample_file(&file).unwrap();
            let first = sampled(&bytes);
            assert_eq!(print.finish(), first, "{len}");
            for at in [0, len / 2 / STRIDE * STRIDE, len.saturating_sub(1)] {
                if len > 0 {
                    bytes[at] ^= 1;
                    assert_ne!(sampled(&bytes), first, "byte {at} of {len}");
                    bytes[at] ^= 1;
                }
            }
            bytes.push(0);
            assert_ne!(sampled(&bytes), first);
        }
    }
}
