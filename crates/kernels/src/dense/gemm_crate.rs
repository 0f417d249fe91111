//! Safe interface to the f32 matrix product of the `gemm` crate, on strided matrices.

/// A read-only matrix inside a slice: element (r, c) is `data[offset + r * row_stride + c * col_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct StridedMatrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) offset: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

impl<'a> StridedMatrix<'a> {
    /// A row-major matrix: contiguous rows of `cols` values, `row_stride` apart.
    pub(crate) fn row_major(data: &'a [f32], offset: usize, rows: usize, cols: usize, row_stride: usize) -> Self {
        StridedMatrix { data, offset, rows, cols, row_stride, col_stride: 1 }
    }

    /// The transposed view of the same data.
    pub(crate) fn t(self) -> Self {
        StridedMatrix {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }
}

/// Index of the last element.
fn last_index(offset: usize, rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> usize {
    offset + (rows - 1) * row_stride + (cols - 1) * col_stride
}

/// Multiplications from which a product runs on several threads (about a millisecond on one).
const MIN_PARALLEL_MULTIPLICATIONS: usize = 1 << 27;

/// The threads of a product.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parallelism {
    /// The calling thread alone: for callers that are jobs of a parallel loop.
    Serial,
    /// All threads of the current pool when the product is large.
    Pool,
}

impl Parallelism {
    fn of_crate(self, multiplications: usize) -> gemm::Parallelism {
        match (self, rayon::current_num_threads()) {
            (Parallelism::Pool, threads) if threads > 1 && multiplications >= MIN_PARALLEL_MULTIPLICATIONS => {
                gemm::Parallelism::Rayon(threads)
            }
            _ => gemm::Parallelism::None,
        }
    }
}

/// `dst = lhs * rhs`, or `dst += lhs * rhs` when `accumulate`. `dst` is row-major: rows `dst_stride` apart, the first
/// at `dst_offset`.
///
/// Panics when the sizes do not fit together or reach outside a slice: a defect of the calling kernel.
pub(crate) fn matmul(
    parallelism: Parallelism,
    dst: &mut [f32],
    dst_offset: usize,
    dst_stride: usize,
    lhs: StridedMatrix<'_>,
    rhs: StridedMatrix<'_>,
    accumulate: bool,
) {
    let (m, n, k) = (lhs.rows, rhs.cols, lhs.cols);
    assert_eq!(k, rhs.rows, "inner sizes differ");
    if m == 0 || n == 0 {
        return;
    }
    assert!(k > 0 && dst_stride >= n, "empty inner size or overlapping rows");
    for side in [&lhs, &rhs] {
        let last = last_index(side.offset, side.rows, side.cols, side.row_stride, side.col_stride);
        assert!(last < side.data.len(), "matrix reaches outside its slice");
    }
    assert!(last_index(dst_offset, m, n, dst_stride, 1) < dst.len(), "result reaches outside its slice");
    // SAFETY: the asserts above show that every element of the three matrices lies inside its slice; `dst` is borrowed
    // mutably, so it aliases neither input; its rows do not overlap because `dst_stride >= n`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.as_mut_ptr().add(dst_offset),
            1,
            dst_stride as isize,
            accumulate,
            lhs.data.as_ptr().add(lhs.offset),
            lhs.col_stride as isize,
            lhs.row_stride as isize,
            rhs.data.as_ptr().add(rhs.offset),
            rhs.col_stride as isize,
            rhs.row_stride as isize,
            if accumulate { 1.0 } else { 0.0 },
            1.0,
            false,
            false,
            false,
            parallelism.of_crate(m * n * k),
        );
    }
}
