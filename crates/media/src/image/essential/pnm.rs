//! PNM: the header of PAM, which is read line by line into memory.

use std::sync::Arc;

use crate::error::{MediaError, malformed};

/// Bytes of the header of a PAM at most.
const MAX_HEADER: usize = 1 << 16;

/// The file as it is.
///
/// # Errors
/// `Malformed` for a PAM whose header does not end.
pub(super) fn essential(bytes: Arc<[u8]>) -> Result<Arc<[u8]>, MediaError> {
    let head = &bytes[..bytes.len().min(MAX_HEADER)];
    if head.starts_with(b"P7") && !head.windows(7).any(|line| line == b"\nENDHDR") {
        return Err(malformed("pam header", format!("it does not end within {MAX_HEADER} bytes (ENDHDR)")));
    }
    Ok(bytes)
}
