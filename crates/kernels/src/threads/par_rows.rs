//! Parallel loops over the rows of an f32 result.

use std::ops::Range;

use super::disjoint::DisjointOut;
use super::thread_pool;

/// Values of a result below which the loop stays on one thread (about ten microseconds of work).
const MIN_PARALLEL_VALUES: usize = 1 << 15;
/// Values of one job, at most: jobs are small, so that others take over the share of a thread that was held up.
const JOB_VALUES: usize = 1 << 14;

/// Cuts `n` values into jobs of whole rows of `row` values and calls `job(first row, range of values)` for each.
fn split(n: usize, row: usize, job: impl Fn(usize, Range<usize>) + Sync) {
    if n < MIN_PARALLEL_VALUES || row == 0 || rayon::current_num_threads() == 1 {
        return job(0, 0..n);
    }
    let rows = (JOB_VALUES / row).max(1);
    let size = rows * row;
    thread_pool::for_each(n.div_ceil(size), |number| job(number * rows, number * size..n.min((number + 1) * size)));
}

/// Cuts `y` into blocks of whole rows of `row` values and calls `f(first row, block)` for each, on all threads of the
/// current pool.
pub fn par_rows(y: &mut [f32], row: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let out = DisjointOut::new(y.as_mut_ptr());
    split(y.len(), row, |first, own| {
        // SAFETY: the range lies inside `y`, which is borrowed until the loop ends; no other job has its values.
        f(first, unsafe { std::slice::from_raw_parts_mut(out.at(own.start), own.len()) });
    });
}

/// A new vector of `n` values, computed in blocks of whole rows as by [`par_rows`]. Each block is zero before `f` gets
/// it; the thread that computes a block also clears it, so that the zeros are in its cache.
pub fn par_new_rows(n: usize, row: usize, f: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let mut y: Vec<f32> = Vec::with_capacity(n);
    let out = DisjointOut::new(y.as_mut_ptr());
    split(n, row, |first, own| {
        // SAFETY: the range lies inside the capacity of `y`; no other job has its values, which are zeroed before they
        // are borrowed.
        f(first, unsafe {
            out.at(own.start).write_bytes(0, own.len());
            std::slice::from_raw_parts_mut(out.at(own.start), own.len())
        });
    });
    // SAFETY: the jobs together have written all `n` values.
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
            par_rows(&mut y, row, |first, y| {
                for (r, y) in y.chunks_mut(row).enumerate() {
                    y.iter_mut().for_each(|y| *y += (first + r + 1) as f32);
                }
            });
            let new = par_new_rows(rows * row, row, |first, y| {
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
