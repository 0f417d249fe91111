//! The rows of a tensor of ours, put together from what an archive holds.

use std::sync::Arc;

use crate::error::{ModelError, ModelResult};
use crate::weights::archive::Archive;
use crate::weights::formats::{RowSource, Segment, SegmentValues, matrix_dims};
use crate::weights::origin::{Origin, interleaved_order};

impl Archive {
    /// The rows of the tensor at `origin`, which must have `shape`. Of a vocabulary there may be fewer.
    pub(super) fn source(&self, origin: &Origin, shape: &[usize]) -> ModelResult<RowSource> {
        let (rows, cols) = matrix_dims(shape);
        let segments = match origin {
            Origin::Tensor(name) => vec![self.rows(name, shape)?],
            Origin::Vocabulary(name) => self.vocabulary_rows(name, shape)?,
            Origin::FirstOf(_) => return Err(ModelError::Bug("an origin was not chosen".to_string())),
            Origin::Zeros(rows) => vec![Segment { rows: *rows, values: SegmentValues::Zeros }],
            Origin::Rows(name, range) => {
                let whole = [&[self.stored_rows(name, range.end)], &shape[1.min(shape.len())..]].concat();
                let all = RowSource { cols, segments: vec![self.rows(name, &whole)?] };
                all.slice(range.clone()).segments
            }
            Origin::Stack(parts) => {
                let mut segments = Vec::new();
                for part in parts {
                    segments.extend(self.source(part, &self.part_shape(part, shape))?.segments);
                }
                segments
            }
            Origin::InterleavedRope(name, heads) => {
                let source = Box::new(RowSource { cols, segments: vec![self.rows(name, shape)?] });
                let order = Arc::new(interleaved_order(rows, *heads));
                vec![Segment { rows, values: SegmentValues::Reordered { source, order } }]
            }
            Origin::LowRank { base, down, up, scale } => {
                self.with_low_rank(self.source(base, shape)?, (down, up, *scale), shape)?.segments
            }
        };
        let source = RowSource { cols, segments };
        if source.rows() != rows && !matches!(origin, Origin::Vocabulary(_)) {
            let text = format!("{origin:?} has {} rows, the configuration says {shape:?}", source.rows());
            return Err(ModelError::Caller(text));
        }
        Ok(source)
    }

    /// `base + scale * up down`, with LoRA's A (`down`) and B (`up`) of this archive.
    pub(super) fn with_low_rank(
        &self,
        base: RowSource,
        (down, up, scale): (&str, &str, f32),
        shape: &[usize],
    ) -> ModelResult<RowSource> {
        let ((rows, cols), rank) = (matrix_dims(shape), self.stored_rows(down, 0));
        let matrix = |name: &str, shape: &[usize]| -> ModelResult<Box<RowSource>> {
            Ok(Box::new(RowSource { cols: shape[1], segments: vec![self.rows(name, shape)?] }))
        };
        let (down, up) = (matrix(down, &[rank, cols])?, matrix(up, &[rows, rank])?);
        let values = SegmentValues::LowRank { base: Box::new(base), down, up, scale };
        Ok(RowSource { cols, segments: vec![Segment { rows, values }] })
    }

    fn rows(&self, name: &str, shape: &[usize]) -> ModelResult<Segment> {
        match self.tensors() {
            Some(tensors) => tensors.rows(name, shape),
            None => Err(ModelError::Bug(format!("a seed holds no tensor {name}"))),
        }
    }

    /// As many rows of a vocabulary as there are, `shape[0]` at most.
    fn vocabulary_rows(&self, name: &str, shape: &[usize]) -> ModelResult<Vec<Segment>> {
        let rows = self.stored_rows(name, shape[0]);
        let all = self.rows(name, &[&[rows], &shape[1..]].concat())?;
        let source = RowSource { cols: matrix_dims(shape).1, segments: vec![all] };
        Ok(source.slice(0..rows.min(shape[0])).segments)
    }

    /// The shape in which the tensor of ours lies here as a tensor of its own.
    pub(super) fn stored_shape(&self, canonical: &str) -> Option<&[usize]> {
        match self.origin(canonical)? {
            Origin::Tensor(name) => self.tensors()?.shape(&name),
            _ => None,
        }
    }

    /// Rows of the tensor as it is stored; `unknown` when the archive does not say.
    fn stored_rows(&self, name: &str, unknown: usize) -> usize {
        let shape = self.tensors().and_then(|tensors| tensors.shape(name));
        shape.and_then(|shape| shape.first().copied()).unwrap_or(unknown)
    }

    /// The shape of a part of a stack whose columns are those of `shape`.
    fn part_shape(&self, part: &Origin, shape: &[usize]) -> Vec<usize> {
        let rows = match part {
            Origin::Rows(_, range) => range.len(),
            Origin::Zeros(rows) => *rows,
            Origin::Stack(parts) => parts.iter().map(|part| self.part_shape(part, shape)[0]).sum(),
            _ => part.tensors().first().map_or(0, |name| self.stored_rows(name, 0)),
        };
        [&[rows], &shape[1.min(shape.len())..]].concat()
    }
}
