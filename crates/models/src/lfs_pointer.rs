//! Files of a Git repository whose content was not fetched.

/// How a file of Git LFS begins when its content was not fetched.
const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// Whether a file holds what its name says, or only a pointer to it.
///
/// # Errors
/// The way out, in words.
pub(crate) fn check_fetched(bytes: &[u8]) -> Result<(), &'static str> {
    match bytes.starts_with(LFS_POINTER) {
        true => Err("a pointer of Git LFS, not the file itself; `git lfs pull` in its folder fetches it"),
        false => Ok(()),
    }
}
