//! Shapes as matrices.

/// Rows and columns of a tensor as a matrix: further axes count as columns, and each value of a vector is a row.
pub(crate) fn matrix_dims(shape: &[usize]) -> (usize, usize) {
    match shape {
        [] => (1, 1),
        [rows, rest @ ..] => (*rows, rest.iter().product()),
    }
}
