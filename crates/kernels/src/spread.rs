//! Rows of a result over the threads of the current pool.

use crate::team;

/// Values of a result below which it stays on one thread (about ten microseconds of work).
const WORTH_THREADS: usize = 1 << 15;
/// Values of one part: small enough that a thread that was held up leaves its share to the others.
const PART: usize = 1 << 14;

/// The rows' first value. Parts are disjoint.
struct Out(*mut f32);

// SAFETY: every part of the loop takes its own rows.
unsafe impl Sync for Out {}

/// Calls `f(first, part)` for parts of whole rows of `y`, `first` being the part's first row; together they are `y`.
pub fn over_rows(y: &mut [f32], row: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    if y.len() < WORTH_THREADS || row == 0 || rayon::current_num_threads() == 1 {
        return f(0, y);
    }
    let (rows, n) = ((PART / row).max(1), y.len());
    let (size, out) = (rows * row, Out(y.as_mut_ptr()));
    team::for_each(n.div_ceil(size), |part| {
        let out = &out;
        // SAFETY: the part begins below `n` and ends at `n` at the latest; no other part has its values, and `y` is
        // borrowed until the loop is over.
        let y = unsafe { std::slice::from_raw_parts_mut(out.0.add(part * size), size.min(n - part * size)) };
        f(part * rows, y);
    });
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
            assert!(y.chunks(row).enumerate().all(|(r, y)| y.iter().all(|y| *y == (r + 1) as f32)), "{rows} x {row}");
        }
    }
}
