//! Packed weight matrices: bytes in the panel format, owned or shared with a mapped file.

use std::ops::{Deref, Range};
use std::sync::Arc;

use rayon::prelude::*;

use super::layout::{I4_BLOCK_COLS, NR};
use super::pack_weights::{SuperBlock, pack_panel, pack_row_i4, unpack_value};
use super::weight_type::WeightType;
use crate::cache_lines::CacheLines;
use crate::dense::gemm_crate::{Parallelism, StridedMatrix, matmul};

/// Bytes that a packed matrix shares, such as a mapped file.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Where the packed bytes lie.
#[derive(Clone)]
enum PanelBytes {
    Owned(Arc<CacheLines<u8>>),
    Shared(SharedBytes, Range<usize>),
}

impl Deref for PanelBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            PanelBytes::Owned(bytes) => bytes,
            PanelBytes::Shared(bytes, range) => &(**bytes).as_ref()[range.clone()],
        }
    }
}

/// A weight matrix `[rows, cols]` in the panel format; cheap to clone.
#[derive(Clone)]
pub struct PackedMatrix {
    weight_type: WeightType,
    rows: usize,
    cols: usize,
    bytes: PanelBytes,
}

impl std::fmt::Debug for PackedMatrix {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "PackedMatrix({:?}, {} x {})", self.weight_type, self.rows, self.cols)
    }
}

impl PackedMatrix {
    /// Packs `w` `[rows, cols]`.
    ///
    /// # Panics
    /// When `w` has another size: a defect of the caller.
    pub fn pack(weight_type: WeightType, w: &[f32], rows: usize, cols: usize) -> PackedMatrix {
        PackedMatrix::from_rows(weight_type, rows, cols, |range, out| {
            out.copy_from_slice(&w[range.start * cols..range.end * cols]);
        })
    }

    /// Packs a matrix that is read in blocks of at most 32 rows: `read(range, values)` writes the rows `range` to
    /// `values` `[range.len(), cols]`. Each row is read once, so that the whole matrix never lies in memory as f32.
    /// Blocks are read in any order, from several threads.
    ///
    /// # Panics
    /// When `cols` is zero.
    pub fn from_rows(
        weight_type: WeightType,
        rows: usize,
        cols: usize,
        read: impl Fn(Range<usize>, &mut [f32]) + Sync,
    ) -> PackedMatrix {
        PackedMatrix::from_panels(weight_type, rows, cols, |range, panel| {
            let mut values = vec![0.0; NR * cols];
            read(range.clone(), &mut values[..range.len() * cols]);
            pack_panel(weight_type, &values, cols, panel);
        })
    }

    /// An int4 matrix of values that lie on the grid of its format already: `read(row, block)` gives the super-blocks
    /// of each row. Nothing is rounded. They are read in any order, from several threads.
    ///
    /// # Panics
    /// When `cols` is zero or no multiple of 256.
    pub fn from_super_blocks(
        rows: usize,
        cols: usize,
        read: impl Fn(usize, usize) -> SuperBlock + Sync,
    ) -> PackedMatrix {
        assert!(cols.is_multiple_of(I4_BLOCK_COLS), "rows of {cols} values, no whole super-blocks");
        PackedMatrix::from_panels(WeightType::Int4, rows, cols, |range, panel| {
            for (lane, row) in range.enumerate() {
                pack_row_i4((0..cols / I4_BLOCK_COLS).map(|block| read(row, block)), lane, panel);
            }
        })
    }

    /// `write(range, panel)` fills the panel of the rows `range`, which is all zeros.
    fn from_panels(
        weight_type: WeightType,
        rows: usize,
        cols: usize,
        write: impl Fn(Range<usize>, &mut [u8]) + Sync,
    ) -> PackedMatrix {
        assert!(cols > 0, "a matrix without columns");
        let mut bytes = CacheLines::zeroed(weight_type.bytes(rows, cols));
        let panels = bytes.par_chunks_mut(weight_type.panel_bytes(weight_type.k_steps(cols)));
        panels.enumerate().for_each(|(number, panel)| write(number * NR..rows.min((number + 1) * NR), panel));
        PackedMatrix { weight_type, rows, cols, bytes: PanelBytes::Owned(Arc::new(bytes)) }
    }

    /// A matrix packed earlier: the part `range` of `bytes`, which may be a mapped file. `None` when the range does not
    /// lie inside or does not have the size of a packed `[rows, cols]`.
    pub fn from_packed(
        weight_type: WeightType,
        rows: usize,
        cols: usize,
        bytes: SharedBytes,
        range: Range<usize>,
    ) -> Option<PackedMatrix> {
        let inside = (*bytes).as_ref().get(range.clone()).is_some();
        let fits = cols > 0 && range.len() == weight_type.bytes(rows, cols) && inside;
        fits.then_some(PackedMatrix { weight_type, rows, cols, bytes: PanelBytes::Shared(bytes, range) })
    }

    /// Number format of the weights.
    pub fn weight_type(&self) -> WeightType {
        self.weight_type
    }

    /// Rows and columns.
    pub fn dims(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// The packed bytes, for writing to a file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The weights of rows `range` as the products use them, `[range.len(), cols]`.
    ///
    /// # Panics
    /// When the matrix does not have these rows.
    pub fn unpack(&self, range: Range<usize>) -> Vec<f32> {
        assert!(range.end <= self.rows, "rows of a packed matrix");
        let mut out = Vec::with_capacity(range.len() * self.cols);
        for row in range {
            let (panel, lane) = (self.panel(row / NR), row % NR);
            out.extend((0..self.cols).map(|k| unpack_value(self.weight_type, panel, lane, k)));
        }
        out
    }

    /// Gradient of `y = x W^T + b` with respect to `x`: writes `dy W` to `dx`, in f32 with the values that
    /// [`PackedMatrix::unpack`] returns. `dy` is `[t, rows]`, `dx` is `[t, cols]`.
    ///
    /// # Panics
    /// When the slices do not have these sizes.
    pub fn matmul_backward_input(&self, dy: &[f32], t: usize, dx: &mut [f32]) {
        let (rows, cols) = (self.rows, self.cols);
        assert_eq!((dy.len(), dx.len()), (t * rows, t * cols), "gradient sizes");
        dx.fill(0.0);
        for first in (0..rows).step_by(8 * NR) {
            let last = rows.min(first + 8 * NR);
            let w = self.unpack(first..last);
            let dy = StridedMatrix::row_major(dy, first, t, last - first, rows);
            let w = StridedMatrix::row_major(&w, 0, last - first, cols, cols);
            matmul(Parallelism::Pool, dx, 0, cols, dy, w, true);
        }
    }

    fn panel(&self, panel: usize) -> &[u8] {
        self.panels(panel..panel + 1, 0..self.weight_type.k_steps(self.cols)).0
    }

    /// The bytes from the first of `steps` of the first of `panels` to the last of the last, and the stride from one
    /// panel to the next.
    pub(super) fn panels(&self, panels: Range<usize>, steps: Range<usize>) -> (&[u8], usize) {
        let size = self.weight_type.panel_bytes(self.weight_type.k_steps(self.cols));
        let (first, last) = (self.weight_type.panel_bytes(steps.start), self.weight_type.panel_bytes(steps.end));
        (&self.bytes[panels.start * size + first..(panels.end - 1) * size + last], size)
    }
}

/// Weights of a linear layer `y = x W^T + b`.
#[derive(Clone, Copy, Debug)]
pub struct LinearWeights<'a> {
    /// `W` `[rows, cols]`.
    pub weight: &'a PackedMatrix,
    /// `b` `[rows]`.
    pub bias: Option<&'a [f32]>,
}
