//! Matrix products with packed weights, beside those of the `gemm` crate in f32; items are multiplications and
//! additions. Every result is compared with f64 first. The roofline of the machine is printed at the top.
//! `cargo bench -p zoetrope-kernels --bench gemm [-- NAME]`, where NAME is part of a row's path, such as `int8`.

use std::fmt::{Display, Formatter, Result};

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use zoetrope_kernels::dense::linear;
use zoetrope_kernels::gemm::{PackedMatrix, WeightType, relative_error};
use zoetrope_kernels::isa::isa;
use zoetrope_kernels::roofline;

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

    fn check(&self, weight_type: WeightType, x: &[f32], w: &[f32], y: &[f32]) {
        if let Err(off) = relative_error(weight_type, x, w, self.cols, y) {
            panic!("{self} {weight_type:?}: relative error {off}");
        }
    }
}

impl Display for Shape {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} x {} x {}", self.t, self.cols, self.rows)
    }
}

/// Both products of an encoder's MLP, and those of a decoder's.
const PREFILL: [Shape; 4] = [
    Shape::new(1024, 1152, 4304),
    Shape::new(1024, 4304, 1152),
    Shape::new(1024, 1536, 8960),
    Shape::new(1024, 8960, 1536),
];
/// One generated token.
const DECODE: [Shape; 2] = [Shape::new(1, 1536, 8960), Shape::new(1, 8960, 1536)];
/// Several sequences that generate a token each, together.
const DECODE_SEVERAL: [Shape; 4] =
    [Shape::new(8, 1536, 8960), Shape::new(8, 8960, 1536), Shape::new(16, 1536, 8960), Shape::new(16, 8960, 1536)];
/// Bytes of weights that are read in turn, so that they come from memory and not from a cache.
const WEIGHT_BYTES: usize = 512 << 20;

fn main() {
    let run = |name: &str| std::env::args().any(|arg| arg == name);
    if run("--bench") && !run("--list") {
        print_roofline();
    }
    divan::main();
}

fn print_roofline() {
    let threads = rayon::current_num_threads();
    println!("isa {:?}, {threads} threads; peak on registers alone, and memory bandwidth:", isa());
    for weight_type in WeightType::ALL {
        if let Some(top) = roofline::peak_ops_per_second(weight_type, threads) {
            println!("  {:<4} {:.1} Gitem/s", weight_type.name(), top / 1e9);
        }
    }
    println!("  read {:.1} GB/s", roofline::read_bytes_per_second(threads, WEIGHT_BYTES / 2) / 1e9);
}

/// Sums of three uniform values.
fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..n).map(|_| next() + next() + next()).collect()
}

mod prefill {
    use super::*;

    fn packed(bencher: Bencher, weight_type: WeightType, shape: &Shape) {
        let ((x, w), mut y) = (shape.values(), vec![0.0; shape.t * shape.rows]);
        let packed = PackedMatrix::pack(weight_type, &w, shape.rows, shape.cols);
        packed.matmul(&x, shape.t, None, &mut y);
        shape.check(weight_type, &x, &w, &y);
        bencher.counter(shape.operations()).bench_local(|| packed.matmul(&x, shape.t, None, divan::black_box(&mut y)));
    }

    #[divan::bench(args = PREFILL, sample_count = 15, sample_size = 1)]
    fn f32(bencher: Bencher, shape: &Shape) {
        packed(bencher, WeightType::F32, shape);
    }

    #[divan::bench(args = PREFILL, sample_count = 15, sample_size = 1)]
    fn bf16(bencher: Bencher, shape: &Shape) {
        packed(bencher, WeightType::Bf16, shape);
    }

    #[divan::bench(args = PREFILL, sample_count = 15, sample_size = 1)]
    fn int8(bencher: Bencher, shape: &Shape) {
        packed(bencher, WeightType::Int8, shape);
    }

    #[divan::bench(args = PREFILL, sample_count = 15, sample_size = 1)]
    fn int4(bencher: Bencher, shape: &Shape) {
        packed(bencher, WeightType::Int4, shape);
    }

    #[divan::bench(args = PREFILL, sample_count = 15, sample_size = 1)]
    fn gemm_crate_f32(bencher: Bencher, shape: &Shape) {
        let ((x, w), mut y) = (shape.values(), vec![0.0; shape.t * shape.rows]);
        linear(&x, &w, None, shape.t, shape.cols, &mut y);
        shape.check(WeightType::F32, &x, &w, &y);
        let work = || linear(&x, &w, None, shape.t, shape.cols, divan::black_box(&mut y));
        bencher.counter(shape.operations()).bench_local(work);
    }
}

mod decode {
    use super::*;

    /// Weights come from memory.
    pub(super) fn packed(bencher: Bencher, weight_type: WeightType, shape: &Shape) {
        let ((x, w), mut y) = (shape.values(), vec![0.0; shape.t * shape.rows]);
        let bytes = weight_type.bytes(shape.rows, shape.cols);
        let copies: Vec<PackedMatrix> =
            (0..WEIGHT_BYTES / bytes).map(|_| PackedMatrix::pack(weight_type, &w, shape.rows, shape.cols)).collect();
        copies[0].matmul(&x, shape.t, None, &mut y);
        shape.check(weight_type, &x, &w, &y);
        let mut next = copies.iter().cycle();
        let work = || next.next().map(|copy| copy.matmul(&x, shape.t, None, divan::black_box(&mut y)));
        bencher.counter(shape.operations()).counter(BytesCount::new(bytes)).bench_local(work);
    }

    #[divan::bench(args = DECODE, sample_size = 1)]
    fn f32(bencher: Bencher, shape: &Shape) {
        packed(bencher, WeightType::F32, shape);
    }

    #[divan::bench(args = DECODE, sample_size = 1)]
    fn bf16(bencher: Bencher, shape: &Shape) {
        packed(bencher, WeightType::Bf16, shape);
    }

    #[divan::bench(args = DECODE, sample_size = 1)]
    fn int8(bencher: Bencher, shape: &Shape) {
        packed(bencher, WeightType::Int8, shape);
    }

    #[divan::bench(args = DECODE, sample_size = 1)]
    fn int4(bencher: Bencher, shape: &Shape) {
        packed(bencher, WeightType::Int4, shape);
    }

    #[divan::bench(args = DECODE, sample_size = 1)]
    fn gemm_crate_f32(bencher: Bencher, shape: &Shape) {
        let ((x, w), mut y) = (shape.values(), vec![0.0; shape.rows]);
        let copies: Vec<Vec<f32>> = (0..WEIGHT_BYTES / size_of_val(&w[..])).map(|_| w.clone()).collect();
        linear(&x, &w, None, 1, shape.cols, &mut y);
        shape.check(WeightType::F32, &x, &w, &y);
        let mut next = copies.iter().cycle();
        let work = || next.next().map(|copy| linear(&x, copy, None, 1, shape.cols, divan::black_box(&mut y)));
        bencher.counter(shape.operations()).counter(BytesCount::of_slice(&w)).bench_local(work);
    }
}

mod decode_several_rows {
    use super::decode::packed;
    use super::*;

    #[divan::bench(args = DECODE_SEVERAL, sample_size = 1)]
    fn f32(bencher: Bencher, shape: &Shape) {
        packed(bencher, WeightType::F32, shape);
    }

    #[divan::bench(args = DECODE_SEVERAL, sample_size = 1)]
    fn bf16(bencher: Bencher, shape: &Shape) {
        packed(bencher, WeightType::Bf16, shape);
    }

    #[divan::bench(args = DECODE_SEVERAL, sample_size = 1)]
    fn int8(bencher: Bencher, shape: &Shape) {
        packed(bencher, WeightType::Int8, shape);
    }

    #[divan::bench(args = DECODE_SEVERAL, sample_size = 1)]
    fn int4(bencher: Bencher, shape: &Shape) {
        packed(bencher, WeightType::Int4, shape);
    }
}
