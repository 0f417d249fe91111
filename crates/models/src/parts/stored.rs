//! Matrices as files store them, read some rows at a time as f32, and packed so.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use candle_core::quantized::GgmlDType;
use candle_core::{CpuStorage, DType};
use zoetrope_kernels::map::Mapped;
use zoetrope_kernels::packed::{Kind, Packed};

use crate::error::ModelError;

/// How values lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// Little-endian floats.
    Float(DType),
    /// Blocks of values that share scales, as GGUF files have them.
    Blocks(GgmlDType),
}

impl Stored {
    /// Values that only come together; rows begin and end with them.
    pub(super) fn block(self) -> usize {
        match self {
            Stored::Float(_) => 1,
            Stored::Blocks(kind) => kind.block_size(),
        }
    }

    /// Bytes of `values` values, whole blocks.
    pub(super) fn bytes(self, values: usize) -> usize {
        match self {
            Stored::Float(dtype) => values * dtype.size_in_bytes(),
            Stored::Blocks(kind) => values / kind.block_size() * kind.type_size(),
        }
    }

    fn read(self, bytes: &[u8], out: &mut [f32]) -> Result<(), ModelError> {
        match self {
            Stored::Float(dtype) => widen(bytes, dtype, out),
            Stored::Blocks(kind) => match kind.from_data(Cow::Borrowed(bytes)).dequantize(out.len())? {
                CpuStorage::F32(values) => out.copy_from_slice(&values),
                other => return Err(ModelError::Bug(format!("{kind:?} became {other:?}"))),
            },
        }
        Ok(())
    }
}

/// Some rows of a file.
pub(super) struct Part<'a> {
    pub(super) map: &'a Mapped,
    /// Their bytes, as many as `rows`, the columns and `stored` ask for.
    pub(super) bytes: Range<usize>,
    pub(super) stored: Stored,
    pub(super) rows: usize,
}

/// A matrix in one file or, the first rows from one and the others from another, in two.
pub(super) struct Rows<'a> {
    pub(super) cols: usize,
    pub(super) parts: Vec<Part<'a>>,
}

impl Rows<'_> {
    /// Number of rows.
    pub(super) fn number(&self) -> usize {
        self.parts.iter().map(|part| part.rows).sum()
    }

    /// Rows `range` as f32 to `out` `[range.len(), cols]`.
    pub(super) fn read(&self, range: Range<usize>, out: &mut [f32]) -> Result<(), ModelError> {
        let (mut first, mut done) = (0, 0);
        for part in &self.parts {
            let here = range.start.clamp(first, first + part.rows)..range.end.clamp(first, first + part.rows);
            let at = |row: usize| part.bytes.start + part.stored.bytes((row - first) * self.cols);
            let values = here.len() * self.cols;
            part.stored.read(&part.map[at(here.start)..at(here.end)], &mut out[done..done + values])?;
            (first, done) = (first + part.rows, done + values);
        }
        Ok(())
    }

    /// All rows packed as `kind`, 32 at a time; the file's pages are given back afterwards.
    pub(super) fn pack(&self, kind: Kind) -> Result<Packed, ModelError> {
        let failed = OnceLock::new();
        let packed = Packed::from_rows(kind, self.number(), self.cols, |range, out| {
            if let Err(error) = self.read(range, out) {
                let _ = failed.set(error);
            }
        });
        self.release();
        failed.into_inner().map_or(Ok(packed), Err)
    }

    /// Gives the pages that were read back to the system; they are read again when they are asked for again.
    pub(super) fn release(&self) {
        for part in &self.parts {
            part.map.release(part.bytes.clone());
        }
    }
}

/// Little-endian values of type `stored` as f32.
pub(super) fn widen(bytes: &[u8], stored: DType, out: &mut [f32]) {
    match stored {
        DType::F32 => {
            for (out, b) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = f32::from_le_bytes(*b);
            }
        }
        DType::BF16 => {
            for (out, b) in out.iter_mut().zip(bytes.as_chunks().0) {
                // Not by `half`, which looks at each value whether it is a number.
                *out = f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
            }
        }
        _ => {
            for (out, b) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = half::f16::from_le_bytes(*b).to_f32();
            }
        }
    }
}

/// f32 values as little-endian values of type `stored`, the nearest, behind `out`.
pub(super) fn narrow(values: &[f32], stored: DType, out: &mut Vec<u8>) {
    match stored {
        DType::F32 => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        DType::BF16 => out.extend(values.iter().flat_map(|value| half::bf16::from_f32(*value).to_le_bytes())),
        _ => out.extend(values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes())),
    }
}
