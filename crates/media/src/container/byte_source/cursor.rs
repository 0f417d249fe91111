//! A checked cursor over a byte slice, big- and little-endian.

use crate::error::{MediaError, malformed};

/// A position in a slice. Every read is checked; errors name `part`.
#[derive(Clone, Copy)]
pub(in super::super) struct Cursor<'a> {
    data: &'a [u8],
    pos: usize,
    part: &'static str,
}

impl<'a> Cursor<'a> {
    pub(in super::super) fn new(data: &'a [u8], part: &'static str) -> Self {
        Cursor { data, pos: 0, part }
    }

    pub(in super::super) fn left(&self) -> usize {
        self.data.len() - self.pos
    }

    pub(in super::super) fn rest(&self) -> &'a [u8] {
        &self.data[self.pos..]
    }

    pub(in super::super) fn take(&mut self, n: usize) -> Result<&'a [u8], MediaError> {
        if n > self.left() {
            let text = format!("{n} bytes wanted at {}, {} are left", self.pos, self.left());
            return Err(malformed(self.part, text));
        }
        let out = &self.data[self.pos..self.pos + n];
        self.pos += n;
        Ok(out)
    }

    pub(in super::super) fn skip(&mut self, n: usize) -> Result<(), MediaError> {
        self.take(n).map(|_| ())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MediaError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(in super::super) fn u8(&mut self) -> Result<u8, MediaError> {
        Ok(self.array::<1>()?[0])
    }

    pub(in super::super) fn u16(&mut self) -> Result<u16, MediaError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(in super::super) fn u24(&mut self) -> Result<u32, MediaError> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    pub(in super::super) fn u32(&mut self) -> Result<u32, MediaError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(in super::super) fn i32(&mut self) -> Result<i32, MediaError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(in super::super) fn u64(&mut self) -> Result<u64, MediaError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(in super::super) fn fourcc(&mut self) -> Result<[u8; 4], MediaError> {
        self.array()
    }

    pub(in super::super) fn u16_le(&mut self) -> Result<u16, MediaError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(in super::super) fn u32_le(&mut self) -> Result<u32, MediaError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(in super::super) fn u64_le(&mut self) -> Result<u64, MediaError> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}
