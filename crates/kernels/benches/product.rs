//! Products with packed weights and, beside them, the `gemm` crate's in f32; items are multiplications and additions.
//! Every answer is compared with f64 first; what instructions and memory allow is printed at the top.
//! `cargo bench -p zoetrope-kernels --bench product [-- NAME]`, where NAME is part of a row's path, such as `int8`.

use std::fmt::{Display, Formatter, Result};

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use zoetrope_kernels::linear::linear;
use zoetrope_kernels::packed::{Kind, Packed, relative_error};
use zoetrope_kernels::{level, peak};

/// `x [t, cols]` times `W [rows, cols]`.
struct Shape {
    t: usize,
    cols: usize,
    rows: usize,
}

impl Shape {
    const fn new(t: usize, cols: usize, rows: usize) -> Shape {
        Shape { t, cols, rows }
    }

    fn operations(&self) -> ItemsCount {
        ItemsCount::new(2 * self.t * self.cols * self.rows)
    }

    /// `x` and `W`.
    fn values(&self) -> (Vec<f32>, Vec<f32>) {
        (noise(self.t * self.cols, 2), noise(self.rows * self.cols, 1))
    }

    fn check(&self, kind: Kind, x: &[f32], w: &[f32], y: &[f32]) {
        if let Err(off) = relative_error(kind, x, w, self.cols, y) {
            panic!("{self} {kind:?}: relative error {off}");
        }
    }
}

impl Display for Shape {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} x {} x {}", self.t, self.cols, self.rows)
    }
}

/// Both products of an encoder's perceptron, and those of a decoder's.
const MANY: [Shape; 4] = [
    Shape::new(1024, 1152, 4304),
    Shape::new(1024, 4304, 1152),
    Shape::new(1024, 1536, 8960),
    Shape::new(1024, 8960, 1536),
];
/// A token that is being written.
const ONE: [Shape; 2] = [Shape::new(1, 1536, 8960), Shape::new(1, 8960, 1536)];
/// Bytes of weights that one row of `x` walks through, so that it finds them in memory and not in a cache.
const FAR: usize = 512 << 20;

fn main() {
    let run = |name: &str| std::env::args().any(|arg| arg == name);
    if run("--bench") && !run("--list") {
        ceilings();
    }
    divan::main();
}

fn ceilings() {
    let threads = rayon::current_num_threads();
    println!("level {:?}, {threads} threads; at most, on registers alone and from memory:", level::level());
    for kind in Kind::ALL {
        if let Some(top) = peak::operations_a_second(kind, threads) {
            println!("  {:<4} {:.1} Gitem/s", kind.name(), top / 1e9);
        }
    }
    println!("  read {:.1} GB/s", peak::bytes_a_second(threads, FAR / 2) / 1e9);
}

/// Sums of three even values.
fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..n).map(|_| next() + next() + next()).collect()
}

mod many_rows {
    use super::*;

    fn packed(bencher: Bencher, kind: Kind, shape: &Shape) {
        let ((x, w), mut y) = (shape.values(), vec![0.0; shape.t * shape.rows]);
        let packed = Packed::pack(kind, &w, shape.rows, shape.cols);
        packed.multiply(&x, shape.t, None, &mut y);
        shape.check(kind, &x, &w, &y);
        bencher
            .counter(shape.operations())
            .bench_local(|| packed.multiply(&x, shape.t, None, divan::black_box(&mut y)));
    }

    #[divan::bench(args = MANY, sample_count = 15, sample_size = 1)]
    fn f32(bencher: Bencher, shape: &Shape) {
        packed(bencher, Kind::F32, shape);
    }

    #[divan::bench(args = MANY, sample_count = 15, sample_size = 1)]
    fn bf16(bencher: Bencher, shape: &Shape) {
        packed(bencher, Kind::Bf16, shape);
    }

    #[divan::bench(args = MANY, sample_count = 15, sample_size = 1)]
    fn int8(bencher: Bencher, shape: &Shape) {
        packed(bencher, Kind::Int8, shape);
    }

    #[divan::bench(args = MANY, sample_count = 15, sample_size = 1)]
    fn int4(bencher: Bencher, shape: &Shape) {
        packed(bencher, Kind::Int4, shape);
    }

    #[divan::bench(args = MANY, sample_count = 15, sample_size = 1)]
    fn gemm_crate_f32(bencher: Bencher, shape: &Shape) {
        let ((x, w), mut y) = (shape.values(), vec![0.0; shape.t * shape.rows]);
        linear(&x, &w, None, shape.t, shape.cols, &mut y);
        shape.check(Kind::F32, &x, &w, &y);
        let work = || linear(&x, &w, None, shape.t, shape.cols, divan::black_box(&mut y));
        bencher.counter(shape.operations()).bench_local(work);
    }
}

mod one_row {
    use super::*;

    fn packed(bencher: Bencher, kind: Kind, shape: &Shape) {
        let ((x, w), mut y) = (shape.values(), vec![0.0; shape.rows]);
        let bytes = kind.bytes(shape.rows, shape.cols);
        let copies: Vec<Packed> = (0..FAR / bytes).map(|_| Packed::pack(kind, &w, shape.rows, shape.cols)).collect();
        copies[0].multiply(&x, 1, None, &mut y);
        shape.check(kind, &x, &w, &y);
        let mut next = copies.iter().cycle();
        let work = || next.next().map(|copy| copy.multiply(&x, 1, None, divan::black_box(&mut y)));
        bencher.counter(shape.operations()).counter(BytesCount::new(bytes)).bench_local(work);
    }

    #[divan::bench(args = ONE, sample_size = 1)]
    fn f32(bencher: Bencher, shape: &Shape) {
        packed(bencher, Kind::F32, shape);
    }

    #[divan::bench(args = ONE, sample_size = 1)]
    fn bf16(bencher: Bencher, shape: &Shape) {
        packed(bencher, Kind::Bf16, shape);
    }

    #[divan::bench(args = ONE, sample_size = 1)]
    fn int8(bencher: Bencher, shape: &Shape) {
        packed(bencher, Kind::Int8, shape);
    }

    #[divan::bench(args = ONE, sample_size = 1)]
    fn int4(bencher: Bencher, shape: &Shape) {
        packed(bencher, Kind::Int4, shape);
    }

    #[divan::bench(args = ONE, sample_size = 1)]
    fn gemm_crate_f32(bencher: Bencher, shape: &Shape) {
        let ((x, w), mut y) = (shape.values(), vec![0.0; shape.rows]);
        let copies: Vec<Vec<f32>> = (0..FAR / size_of_val(&w[..])).map(|_| w.clone()).collect();
        linear(&x, &w, None, 1, shape.cols, &mut y);
        shape.check(Kind::F32, &x, &w, &y);
        let mut next = copies.iter().cycle();
        let work = || next.next().map(|copy| linear(&x, copy, None, 1, shape.cols, divan::black_box(&mut y)));
        bencher.counter(shape.operations()).counter(BytesCount::of_slice(&w)).bench_local(work);
    }
}
