//! Files that torch wrote, and files that lie.

mod arrays;
mod build;
mod goldens;
mod legacy_files;
mod pickles;
mod zip_files;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::containers;
use super::error::ReadError;
use super::state_dict::TensorPlace;

/// A file that `reference/make_pickle_goldens.py` made.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pickle").join(name)
}

/// What [`super::PickleFile::open`] does, without a file.
fn read(bytes: &[u8]) -> Result<HashMap<String, TensorPlace>, ReadError> {
    containers::read(bytes)
}

/// The text of the error that `bytes` are refused with, which contains all `words`.
fn refused(bytes: &[u8], words: &[&str]) -> String {
    let error = read(bytes).expect_err("a file that is refused");
    let text = error.of_file(Path::new("model.bin")).to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
    text
}

/// Whatever `bytes` are: an error, or tensors whose bytes are in the file and as many as their shapes say.
fn check(bytes: &[u8]) {
    for (name, entry) in read(bytes).into_iter().flatten() {
        if let Ok((dtype, range)) = entry.place {
            assert_eq!(range.len(), entry.shape.iter().product::<usize>() * dtype.size_in_bytes(), "{name}");
            assert!(range.start <= range.end && range.end <= bytes.len(), "{name}");
        }
    }
}

/// All cuts, and `changes` of every byte.
fn check_damage(whole: &[u8], changes: &[u8]) {
    for at in 0..whole.len() {
        check(&whole[..at]);
        for change in changes {
            let mut bytes = whole.to_vec();
            bytes[at] ^= change;
            check(&bytes);
        }
    }
}
