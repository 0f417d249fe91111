//! A safe door to the strided matrix product of the `gemm` crate, f32.

/// A read-only matrix inside a slice: element (r, c) is `data[offset + r * row_stride + c * col_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) offset: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `cols` values that start `row_stride` apart.
    pub(crate) fn rows_of(data: &'a [f32], offset: usize, rows: usize, cols: usize, row_stride: usize) -> Self {
        Matrix { data, offset, rows, cols, row_stride, col_stride: 1 }
    }

    /// The transpose, without moving anything.
    pub(crate) fn t(self) -> Self {
        Matrix { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

fn last(offset: usize, rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> usize {
    offset + (rows - 1) * row_stride + (cols - 1) * col_stride
}

/// Multiplications from which a product is worth several threads (about a millisecond on one).
const WORTH_THREADS: usize = 1 << 27;

/// What a product runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Over {
    /// The calling thread: for callers that spread tiles over the pool themselves.
    One,
    /// All threads of the current pool when the product is large.
    Pool,
}

impl Over {
    fn parallelism(self, multiplications: usize) -> gemm::Parallelism {
        match (self, rayon::current_num_threads()) {
            (Over::Pool, threads) if threads > 1 && multiplications >= WORTH_THREADS => {
                gemm::Parallelism::Rayon(threads)
            }
            _ => gemm::Parallelism::None,
        }
    }
}

/// `dst = lhs * rhs` (or `dst += lhs * rhs`), where `dst` has contiguous rows `dst_stride` apart from `dst_offset`.
///
/// Panics when the sizes do not fit together or reach outside a slice: a defect of the calling kernel.
pub(crate) fn product(
    over: Over,
    dst: &mut [f32],
    dst_offset: usize,
    dst_stride: usize,
    lhs: Matrix<'_>,
    rhs: Matrix<'_>,
    add: bool,
) {
    let (m, n, k) = (lhs.rows, rhs.cols, lhs.cols);
    assert_eq!(k, rhs.rows, "inner sizes differ");
    if m == 0 || n == 0 {
        return;
    }
    assert!(k > 0 && dst_stride >= n, "empty inner size or overlapping rows");
    for side in [&lhs, &rhs] {
        let end = last(side.offset, side.rows, side.cols, side.row_stride, side.col_stride);
        assert!(end < side.data.len(), "matrix reaches outside its slice");
    }
    assert!(last(dst_offset, m, n, dst_stride, 1) < dst.len(), "result reaches outside its slice");
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
            add,
            lhs.data.as_ptr().add(lhs.offset),
            lhs.col_stride as isize,
            lhs.row_stride as isize,
            rhs.data.as_ptr().add(rhs.offset),
            rhs.col_stride as isize,
            rhs.row_stride as isize,
            if add { 1.0 } else { 0.0 },
            1.0,
            false,
            false,
            false,
            over.parallelism(m * n * k),
        );
    }
}
