//! Little-endian numbers and slices from a place in a file onward.

use super::error::{ReadError, malformed};

/// A place in bytes. Errors name the byte, counted from the beginning of the file.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    /// The next byte.
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    /// `bytes` begin where the file begins and end where the reader must stop.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Cursor<'a> {
        Cursor { bytes, at }
    }

    /// The next `len` bytes.
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], ReadError> {
        let at = self.at;
        let Some(slice) = at.checked_add(len).and_then(|end| self.bytes.get(at..end)) else {
            return malformed(format!("cut off: {len} bytes from byte {at}, only {} are there", self.bytes.len()));
        };
        self.at = at + len;
        Ok(slice)
    }

    /// The next `len` bytes, where `len` comes from the file.
    pub(super) fn take_u64(&mut self, len: u64) -> Result<&'a [u8], ReadError> {
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// The bytes up to the next line feed, which is passed, too. At most `limit` bytes.
    pub(super) fn line(&mut self, limit: usize) -> Result<&'a [u8], ReadError> {
        let (at, rest) = (self.at, self.bytes.get(self.at..).unwrap_or_default());
        let Some(len) = rest.iter().take(limit + 1).position(|byte| *byte == b'\n') else {
            return malformed(format!("the line at byte {at} does not end within {limit} bytes"));
        };
        self.at += len + 1;
        Ok(&rest[..len])
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, ReadError> {
        self.number().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, ReadError> {
        self.number().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, ReadError> {
        self.number().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, ReadError> {
        self.number().map(u64::from_le_bytes)
    }
}
