//! Rows of a result over the threads of the current pool.

use std::ops::Range;

use crate::team;

/// Values of a result below which it stays on one thread (about ten microseconds of work).
const WORTH_THREADS: usize = 1 << 15;
/// Values of one part: small enough that a thread that was held up leaves its share to the others.
const PART: usize = 1 << 14;

/// The rows' first value. Parts are disjoint.
struct Out(*mut f32);

// SAFETY: every part of the loop takes its own rows.
unsafe impl Sync for Out {}

impl Out {
    /// Where value `n` is.
    fn at(&self, n: usize) -> *mut f32 {
        self.0.wrapping_add(n)
    }
}

/// Calls `part` for the values of parts of whole rows of `n` values, with the first row of each.
fn parts(n: usize, row: usize, part: impl Fn(usize, Range<usize>) + Sync) {
    if n < WORTH_THREADS || row == 0 || rayon::current_num_threads() == 1 {
        return part(0, 0..n);
    }
    let rows = (PART / row).max(1);
    let size = rows * row;
    team::for_each(n.div_ceil(size), |number| part(number * rows, number * size..n.min((number + 1) * size)));
}

/// Calls `f(first, part)` for parts of whole rows of `y`, `first` being the part's first row; together they are `y`.
pub fn over_rows(y: &mut [f32], row: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let out = Out(y.as_mut_ptr());
    parts(y.len(), row, |first, own| {
        // SAFETY: the part lies inside `y`, which is borrowed until the loop is over; no other part has its values.
        f(first, unsafe { std::slice::from_raw_parts_mut(out.at(own.start), own.len()) });
    });
}

/// `n` new values, of which `f` is given parts of whole rows, all zero, as in [`over_rows`]. Zeros are written by the
/// thread that overwrites them, while they are in its cache.
pub fn new_rows(n: usize, row: usize, f: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let mut y: Vec<f32> = Vec::with_capacity(n);
    let out = Out(y.as_mut_ptr());
    parts(n, row, |first, own| {
        // SAFETY: the part lies inside the room of `y`; no other part has its values, which are zeros before they are
        // borrowed.
        f(first, unsafe {
            out.at(own.start).write_bytes(0, own.len());
            std::slice::from_raw_parts_mut(out.at(own.start), own.len())
        });
    });
    // SAFETY: the parts together are all `n` values.
    unsafe { y.set_len(n) };
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_written_once_with_its_number() {
        for (rows, row) in [(0, 3), (5, 7), (3000, 33), (2, 40_000), (100_000, 1)] {
            let mut y = vec![0.0; rows * row];
            over_rows(&mut y, row, |first, y| {
                for (r, y) in y.chunks_mut(row).enumerate() {
                    y.iter_mut().for_each(|y| *y += (first + r + 1) as f32);
                }
            });
            let new = new_rows(rows * row, row, |first, y| {
                for (r, y) in y.chunks_mut(row).enumerate() {
                    y.iter_mut().for_each(|y| *y += (first + r + 1) as f32);
                }
            });
            for y in [y, new] {
                assert!(
                    y.chunks(row).enumerate().all(|(r, y)| y.iter().all(|y| *y == (r + 1) as f32)),
                    "{rows} x {row}"
                );
            }
        }
    }
}
