//! Milliseconds of a resize, fast against reference, answers compared first: `cargo bench -p zoetrope-kernels`.

use std::hint::black_box;
use std::time::Instant;

use zoetrope_kernels::resize::{Filter, Order, reference, resize};

/// Best of some repetitions, in milliseconds: the least disturbed by whatever else the machine does.
fn best(repetitions: usize, mut work: impl FnMut() -> Vec<u8>) -> f64 {
    let times = (0..repetitions).map(|_| {
        let start = Instant::now();
        black_box(work());
        start.elapsed().as_secs_f64() * 1e3
    });
    times.fold(f64::INFINITY, f64::min)
}

fn main() {
    println!("level {:?}, {} threads", zoetrope_kernels::level::level(), rayon::current_num_threads());
    for (from, to) in [((1280, 720), (448, 448)), ((640, 480), (644, 476)), ((1920, 1080), (1120, 630))] {
        let src: Vec<u8> = (0..from.0 * from.1 * 3).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let usizes = |size: (u32, u32)| (size.0 as usize, size.1 as usize);
        for order in [Order::Pillow13, Order::Torchvision] {
            let fast = || resize(&src, from.0, from.1, to.0, to.1, Filter::Bicubic, order).unwrap_or_default();
            let slow = || reference::resize(&src, usizes(from), usizes(to), Filter::Bicubic, order);
            assert!(fast() == slow(), "{from:?} to {to:?} {order:?}: fast and reference differ");
            println!(
                "{from:?} to {to:?} bicubic {order:?}: {:.2} ms, reference {:.1} ms",
                best(30, fast),
                best(2, slow)
            );
        }
    }
}
