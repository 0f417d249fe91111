//! A matrix as its archives hold it: read some rows at a time as f32, whatever it is made of.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use zoetrope_kernels::gemm::{PackedMatrix, WeightType};

use super::encoding::Encoding;
use super::file_bytes::FileBytes;
use super::q4_k::super_block;
use crate::error::ModelResult;
use crate::weights::precision::StoredAs;

/// Consecutive rows of one matrix from one place.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) rows: usize,
    pub(crate) values: SegmentValues,
}

/// Where the rows of a segment come from.
#[derive(Clone)]
pub(crate) enum SegmentValues {
    /// Bytes of a file, as many as rows, columns and encoding ask for.
    File { file: FileBytes, bytes: Range<usize>, encoding: Encoding },
    /// Values in memory, row by row.
    Memory(Arc<Vec<f32>>),
    /// Zeros.
    Zeros,
    /// Row `r` is row `order[r]` of another matrix.
    Reordered { source: Box<RowSource>, order: Arc<Vec<usize>> },
    /// `base + scale * up down`: a low-rank sum, with `up` `[rows, rank]` and `down` `[rank, cols]`.
    LowRank { base: Box<RowSource>, down: Box<RowSource>, up: Box<RowSource>, scale: f32 },
}

/// A matrix `[rows, cols]` whose rows come from one or more segments, in order. A tensor of one axis is one row;
/// further axes count as columns.
#[derive(Clone)]
pub(crate) struct RowSource {
    pub(crate) cols: usize,
    pub(crate) segments: Vec<Segment>,
}

impl RowSource {
    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.segments.iter().map(|segment| segment.rows).sum()
    }

    /// The rows `range` alone.
    pub(crate) fn slice(&self, range: Range<usize>) -> RowSource {
        let (mut first, mut segments) = (0, Vec::new());
        for segment in &self.segments {
            let end = first + segment.rows;
            let own = range.start.clamp(first, end) - first..range.end.clamp(first, end) - first;
            if !own.is_empty() {
                segments.push(segment.slice(own, self.cols));
            }
            first = end;
        }
        RowSource { cols: self.cols, segments }
    }

    /// Decodes rows `range` to `out` `[range.len(), cols]`.
    pub(crate) fn read(&self, range: Range<usize>, out: &mut [f32]) -> ModelResult<()> {
        let (mut first, mut done) = (0, 0);
        for segment in &self.segments {
            let end = first + segment.rows;
            let own = range.start.clamp(first, end) - first..range.end.clamp(first, end) - first;
            if !own.is_empty() {
                let values = own.len() * self.cols;
                segment.read(own, self.cols, &mut out[done..done + values])?;
                done += values;
            }
            first = end;
        }
        Ok(())
    }

    /// How the files hold it: on the grid of int4 when all rows are.
    pub(crate) fn stored_as(&self) -> StoredAs {
        let mut all = self.segments.iter().map(|segment| segment.values.stored_as());
        let same = |first: StoredAs, next: StoredAs| match (first, next) {
            (StoredAs::MoreBits, _) | (_, StoredAs::MoreBits) => StoredAs::MoreBits,
            (StoredAs::Int4Grid, StoredAs::Int4Grid) => StoredAs::Int4Grid,
            _ => StoredAs::Values,
        };
        let first = all.next().unwrap_or(StoredAs::Values);
        all.fold(first, same)
    }

    /// All rows packed as `weight_type`, a panel at a time; the file's pages are given back afterwards.
    pub(crate) fn pack(&self, weight_type: WeightType) -> ModelResult<PackedMatrix> {
        if weight_type == WeightType::Int4 && self.stored_as() == StoredAs::Int4Grid {
            let read = |row, block| super_block(self.stored_row(row), block);
            let packed = PackedMatrix::from_super_blocks(self.rows(), self.cols, read);
            self.release();
            return Ok(packed);
        }
        let failed = OnceLock::new();
        let packed = PackedMatrix::from_rows(weight_type, self.rows(), self.cols, |range, out| {
            if let Err(error) = self.read(range, out) {
                let _ = failed.set(error);
            }
        });
        self.release();
        failed.into_inner().map_or(Ok(packed), Err)
    }

    /// The bytes of a row as a file has them; none where the row lies in no file.
    fn stored_row(&self, row: usize) -> &[u8] {
        let mut row = row;
        for segment in &self.segments {
            if row < segment.rows {
                return match &segment.values {
                    SegmentValues::File { file, bytes, encoding } => {
                        let len = encoding.bytes(self.cols);
                        &file[bytes.start + row * len..][..len]
                    }
                    SegmentValues::Reordered { source, order } => source.stored_row(order[row]),
                    SegmentValues::Memory(_) | SegmentValues::Zeros | SegmentValues::LowRank { .. } => &[],
                };
            }
            row -= segment.rows;
        }
        &[]
    }

    /// Gives the file pages that were read back to the system.
    pub(crate) fn release(&self) {
        for segment in &self.segments {
            match &segment.values {
                SegmentValues::File { file, bytes, .. } => file.release(bytes.clone()),
                SegmentValues::Reordered { source, .. } => source.release(),
                SegmentValues::LowRank { base, .. } => base.release(),
                SegmentValues::Memory(_) | SegmentValues::Zeros => {}
            }
        }
    }

    /// The file, byte range and encoding of a matrix that is nothing but that.
    pub(crate) fn single_file(&self) -> Option<(&FileBytes, &Range<usize>, Encoding)> {
        match &self.segments[..] {
            [Segment { values: SegmentValues::File { file, bytes, encoding }, .. }] => Some((file, bytes, *encoding)),
            _ => None,
        }
    }
}

impl SegmentValues {
    fn stored_as(&self) -> StoredAs {
        match self {
            SegmentValues::File { encoding, .. } => encoding.stored_as(),
            SegmentValues::Reordered { source, .. } => source.stored_as(),
            SegmentValues::Memory(_) | SegmentValues::Zeros | SegmentValues::LowRank { .. } => StoredAs::Values,
        }
    }
}

impl Segment {
    fn slice(&self, own: Range<usize>, cols: usize) -> Segment {
        let values = match &self.values {
            SegmentValues::File { file, bytes, encoding } => {
                let at = |row: usize| bytes.start + encoding.bytes(row * cols);
                SegmentValues::File { file: file.clone(), bytes: at(own.start)..at(own.end), encoding: *encoding }
            }
            SegmentValues::Memory(values) => {
                SegmentValues::Memory(Arc::new(values[own.start * cols..own.end * cols].to_vec()))
            }
            SegmentValues::Zeros => SegmentValues::Zeros,
            SegmentValues::Reordered { source, order } => {
                SegmentValues::Reordered { source: source.clone(), order: Arc::new(order[own.clone()].to_vec()) }
            }
            SegmentValues::LowRank { base, down, up, scale } => SegmentValues::LowRank {
                base: Box::new(base.slice(own.clone())),
                down: down.clone(),
                up: Box::new(up.slice(own.clone())),
                scale: *scale,
            },
        };
        Segment { rows: own.len(), values }
    }

    fn read(&self, own: Range<usize>, cols: usize, out: &mut [f32]) -> ModelResult<()> {
        match &self.values {
            SegmentValues::File { file, bytes, encoding } => {
                let at = |row: usize| bytes.start + encoding.bytes(row * cols);
                encoding.decode(&file[at(own.start)..at(own.end)], out)
            }
            SegmentValues::Memory(values) => {
                out.copy_from_slice(&values[own.start * cols..own.end * cols]);
                Ok(())
            }
            SegmentValues::Zeros => {
                out.fill(0.0);
                Ok(())
            }
            SegmentValues::Reordered { source, order } => {
                let rows = own.zip(out.chunks_exact_mut(cols));
                rows.into_iter().try_for_each(|(row, out)| source.read(order[row]..order[row] + 1, out))
            }
            SegmentValues::LowRank { base, down, up, scale } => {
                base.read(own.clone(), out)?;
                add_low_rank(down, up, *scale, own, cols, out)
            }
        }
    }
}

/// `out += scale * up[own] down`, in f32.
fn add_low_rank(
    down: &RowSource,
    up: &RowSource,
    scale: f32,
    own: Range<usize>,
    cols: usize,
    out: &mut [f32],
) -> ModelResult<()> {
    let rank = down.rows();
    let (mut up_or, mut down_rc) = (vec![0.0; own.len() * rank], vec![0.0; rank * cols]);
    up.read(own, &mut up_or)?;
    down.read(0..rank, &mut down_rc)?;
    for (out, up) in out.chunks_exact_mut(cols).zip(up_or.chunks_exact(rank)) {
        for (factor, down) in up.iter().zip(down_rc.chunks_exact(cols)) {
            out.iter_mut().zip(down).for_each(|(out, down)| *out += scale * factor * down);
        }
    }
    Ok(())
}
