//! Operations value by value on all threads, at the size of the patches of a clip; bytes are those read and written.
//! Every result is compared with f64 first.
//! `cargo bench -p zoetrope-kernels --bench elementwise [-- NAME]`.

use divan::Bencher;
use divan::counter::BytesCount;
use zoetrope_kernels::elementwise::{activation, norm, rope};
use zoetrope_kernels::isa::isa;
use zoetrope_kernels::threads::par_rows;

/// Patches.
const ROWS: usize = 1008;
/// Width of an encoder.
const WIDTH: usize = 1152;
/// Heads of `WIDTH`.
const HEADS: usize = 16;
/// Hidden width of an MLP.
const HIDDEN: usize = 4304;

fn main() {
    println!("isa {:?}, {} threads", isa(), rayon::current_num_threads());
    divan::main();
}

fn wave(n: usize, phase: f32) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.7 + phase).sin() * 2.0 + 0.3).collect()
}

/// Times `work` over rows of `row` values, after its first rows and its last were compared with `exact(at)`.
fn bench(
    bencher: Bencher,
    row: usize,
    inputs: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
    exact: impl Fn(usize) -> f64,
) {
    let mut y = vec![0.0; ROWS * row];
    par_rows(&mut y, row, &work);
    for at in (0..2 * row).chain((ROWS - 1) * row..ROWS * row) {
        let (y, exact) = (f64::from(y[at]), exact(at));
        assert!((y - exact).abs() < 2e-5 * (1.0 + exact.abs()), "value {at} is {y}, not {exact}");
    }
    let bytes = BytesCount::of_many::<f32>((inputs + 1) * y.len());
    bencher.counter(bytes).bench_local(|| par_rows(divan::black_box(&mut y), row, &work));
}

#[divan::bench]
fn layer_norm_1152(bencher: Bencher) {
    let (x, w, b, eps) = (wave(ROWS * WIDTH, 0.0), wave(WIDTH, 1.0), wave(WIDTH, 2.0), 1e-6);
    let exact = |at: usize| {
        let row = x[at / WIDTH * WIDTH..][..WIDTH].iter().map(|x| f64::from(*x));
        let mean = row.clone().sum::<f64>() / WIDTH as f64;
        let variance = row.map(|x| (x - mean).powi(2)).sum::<f64>() / WIDTH as f64;
        let scale = f64::from(w[at % WIDTH]) / (variance + f64::from(eps)).sqrt();
        (f64::from(x[at]) - mean) * scale + f64::from(b[at % WIDTH])
    };
    let work = |first: usize, y: &mut [f32]| norm::layer_norm(&x[first * WIDTH..][..y.len()], &w, &b, eps, y);
    bench(bencher, WIDTH, 1, work, exact);
}

#[divan::bench]
fn rope_1152(bencher: Bencher) {
    let half = WIDTH / HEADS / 2;
    let (x, angles) = (wave(ROWS * WIDTH, 0.0), wave(ROWS * half, 1.0));
    let (cos, sin): (Vec<f32>, Vec<f32>) = angles.iter().map(|angle| (angle.cos(), angle.sin())).unzip();
    let exact = |at: usize| {
        let (j, value) = (at % (2 * half), |at: usize| f64::from(x[at]));
        let angle = f64::from(angles[at / WIDTH * half + j % half]);
        let pair = if j < half { -value(at + half) } else { value(at - half) };
        value(at) * angle.cos() + pair * angle.sin()
    };
    let work = |first: usize, y: &mut [f32]| {
        let (x, angles) = (&x[first * WIDTH..][..y.len()], first * half..(first + y.len() / WIDTH) * half);
        rope::rope(x, &cos[angles.clone()], &sin[angles], HEADS, half, 1.0, y);
    };
    bench(bencher, WIDTH, 1, work, exact);
}

#[divan::bench]
fn gelu_tanh_4304(bencher: Bencher) {
    let x = wave(ROWS * HIDDEN, 0.0);
    let exact = |at: usize| {
        let x = f64::from(x[at]);
        0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
    };
    let work = |first: usize, y: &mut [f32]| activation::gelu_tanh(&x[first * HIDDEN..][..y.len()], y);
    bench(bencher, HIDDEN, 1, work, exact);
}

#[divan::bench]
fn swiglu_4304(bencher: Bencher) {
    let (gate, up) = (wave(ROWS * HIDDEN, 0.0), wave(ROWS * HIDDEN, 1.0));
    let exact = |at: usize| {
        let gate = f64::from(gate[at]);
        gate / (1.0 + (-gate).exp()) * f64::from(up[at])
    };
    let work = |first: usize, y: &mut [f32]| {
        let part = first * HIDDEN..first * HIDDEN + y.len();
        activation::swiglu(&gate[part.clone()], &up[part], y);
    };
    bench(bencher, HIDDEN, 2, work, exact);
}
