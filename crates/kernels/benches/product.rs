//! Products with packed weights beside what the instructions give on this machine, answers compared first with f64:
//! `cargo bench -p zoetrope-kernels --bench product [-- KIND]`.

use std::hint::black_box;
use std::time::Instant;

use zoetrope_kernels::linear::linear;
use zoetrope_kernels::packed::{Kind, Packed};
use zoetrope_kernels::peak;

/// Median of some repetitions, in seconds.
fn median(repetitions: usize, mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..repetitions)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[repetitions / 2]
}

fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..n).map(|_| next() + next() + next()).collect()
}

/// Relative error of the result, as a share of its spread, over some rows and columns.
fn error(y: &[f32], x: &[f32], w: &[f32], rows: usize, cols: usize) -> f64 {
    let (mut off, mut all) = (0.0, 0.0);
    for t in (0..x.len() / cols).step_by(61) {
        for row in (0..rows).step_by(37) {
            let exact: f64 = (0..cols).map(|k| f64::from(x[t * cols + k]) * f64::from(w[row * cols + k])).sum();
            off += (f64::from(y[t * rows + row]) - exact).powi(2);
            all += exact.powi(2);
        }
    }
    (off / all).sqrt()
}

fn main() {
    let threads = rayon::current_num_threads();
    println!("level {:?}, {threads} threads", zoetrope_kernels::level::level());
    let memory = peak::bytes_a_second(threads, 256 << 20) / 1e9;
    println!("memory reads {memory:.1} GB/s");
    for (t, cols, rows) in
        [(1024, 1152, 4304), (1024, 4304, 1152), (1024, 1536, 8960), (1, 1536, 8960), (1, 8960, 1536)]
    {
        let (w, x) = (noise(rows * cols, 1), noise(t * cols, 2));
        let operations = 2.0 * (t * rows * cols) as f64 / 1e9;
        let mut y = vec![0.0; t * rows];
        let plain = median(5, || linear(&x, &w, None, t, cols, black_box(&mut y)));
        println!("{t} x {cols} x {rows}: gemm f32 {:.0} GFLOP/s", operations / plain);
        let only = std::env::args().nth(1).filter(|name| !name.starts_with('-'));
        let wanted = |kind: Kind| only.as_ref().is_none_or(|name| format!("{kind:?}").eq_ignore_ascii_case(name));
        let kinds = [(Kind::F32, 1e-5), (Kind::Bf16, 5e-3), (Kind::Int8, 0.02), (Kind::Int4, 0.15)];
        for (kind, most) in kinds.into_iter().filter(|(kind, _)| wanted(*kind)) {
            // Several copies, so that a single row of x finds the weights in memory and not in a cache.
            let bytes = kind.bytes(rows, cols);
            let copies: Vec<Packed> =
                (0..if t == 1 { (512 << 20) / bytes } else { 1 }).map(|_| Packed::pack(kind, &w, rows, cols)).collect();
            copies[0].multiply(&x, t, None, &mut y);
            let off = error(&y, &x, &w, rows, cols);
            assert!(off < most, "{kind:?}: relative error {off}");
            let all = median(7, || copies.iter().for_each(|w| w.multiply(&x, t, None, black_box(&mut y))));
            let seconds = all / copies.len() as f64;
            let speed = operations / seconds;
            let top = peak::operations_a_second(kind, threads).unwrap_or(f64::NAN) / 1e9;
            let read = bytes as f64 / seconds / 1e9;
            println!(
                "  {kind:?}: {:.2} ms, {speed:.0} G/s of {top:.0} ({:.0} %), reads {read:.1} GB/s ({:.0} %), error {off:.1e}",
                seconds * 1e3,
                100.0 * speed / top,
                100.0 * read / memory
            );
        }
    }
}
