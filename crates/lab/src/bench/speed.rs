//! What is measured, and one line of the result.

use std::time::Instant;

use candle_core::{Device, Tensor};

use crate::error::LabError;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Frames of one clip.
    pub frames: usize,
    /// Width and height of the frames.
    pub size: (u32, u32),
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens of the answer.
    pub answer: usize,
    /// Sequences that generate together; with 1, that is not measured.
    pub sequences: usize,
    /// Repetitions; the median counts.
    pub repeats: usize,
}

/// One line of the table.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Speed {
    /// What was done.
    pub work: String,
    /// The unit of `rate`.
    pub unit: &'static str,
    /// Units per second.
    pub rate: f64,
    /// Floating-point or integer operations of matrix products per second, 1e9; a multiplication with its addition are
    /// two.
    pub giga_operations: f64,
    /// Bytes of weights read per second, 1e9; 0 where products bound the speed.
    pub giga_bytes: f64,
}

/// Seconds of the median of `repeats` runs.
pub(super) fn median(repeats: usize, mut work: impl FnMut() -> Result<(), LabError>) -> Result<f64, LabError> {
    let mut seconds = Vec::with_capacity(repeats);
    for _ in 0..repeats.max(1) {
        let clock = Instant::now();
        work()?;
        seconds.push(clock.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

/// Seconds of one run of `work` on an accelerator, where starting it takes a share that many runs hide.
pub(super) fn median_of_runs(
    device: &Device,
    repeats: usize,
    work: impl Fn() -> Result<Tensor, LabError>,
) -> Result<f64, LabError> {
    const RUNS: usize = 10;
    work()?;
    device.synchronize()?;
    let seconds = median(repeats, || {
        (0..RUNS).try_for_each(|_| work().map(drop))?;
        Ok(device.synchronize()?)
    })?;
    Ok(seconds / RUNS as f64)
}
