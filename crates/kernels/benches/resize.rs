//! Resize of an image at every instruction set of this CPU, beside the plain reference, and its patches; items are
//! values of the result. Every result is compared with the reference first.
//! `cargo bench -p zoetrope-kernels --bench resize [-- NAME]`; with `ZOETROPE_ISA` at that instruction set only.

use std::fmt::{Display, Formatter, Result};
use std::process::Command;

use divan::Bencher;
use divan::counter::ItemsCount;
use rayon::prelude::*;
use zoetrope_kernels::image::patchify::patchify;
use zoetrope_kernels::image::resize::{Filter, Order, reference, resize, resize_rows};
use zoetrope_kernels::isa::{Isa, isa};

/// Sizes are (width, height).
#[derive(Clone, Copy)]
struct Case {
    from: (u32, u32),
    to: (u32, u32),
    order: Order,
}

impl Case {
    const fn new(from: (u32, u32), to: (u32, u32), order: Order) -> Case {
        Case { from, to, order }
    }

    fn source(&self) -> Vec<u8> {
        (0..3 * self.from.0 * self.from.1).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    fn values(&self) -> ItemsCount {
        ItemsCount::new(3 * self.to.0 * self.to.1)
    }

    fn fast(&self, src: &[u8]) -> Vec<u8> {
        let ((w, h), (ow, oh)) = (self.from, self.to);
        resize(src, w, h, ow, oh, Filter::Bicubic, self.order).unwrap_or_default()
    }

    fn slow(&self, src: &[u8]) -> Vec<u8> {
        let usizes = |size: (u32, u32)| (size.0 as usize, size.1 as usize);
        reference::resize(src, usizes(self.from), usizes(self.to), Filter::Bicubic, self.order)
    }

    /// Patches written as the rows come.
    fn in_one_pass(&self, src: &[u8], out: &mut [f32]) {
        let across = self.to.0 as usize / PATCH;
        let write = |rows: &[u8], out: &mut [f32]| patchify(rows, across, PATCH, MERGE, &TABLES, out);
        let done = resize_rows(src, self.from, out, self.to, Filter::Bicubic, self.order, MERGE * PATCH, write);
        assert!(done.is_ok(), "{done:?}");
    }

    /// Patches of the whole resized image.
    fn in_two_passes(&self, src: &[u8], out: &mut [f32]) {
        patchify(&self.fast(src), self.to.0 as usize / PATCH, PATCH, MERGE, &TABLES, out);
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (from, to) = (self.from, self.to);
        write!(f, "{}x{} to {}x{} {:?}", from.0, from.1, to.0, to.1, self.order)
    }
}

const CASES: [Case; 6] = [
    Case::new((1280, 720), (448, 448), Order::Pillow13),
    Case::new((1280, 720), (448, 448), Order::Torchvision),
    Case::new((640, 480), (644, 476), Order::Pillow13),
    Case::new((640, 480), (644, 476), Order::Torchvision),
    Case::new((1920, 1080), (1120, 630), Order::Pillow13),
    Case::new((1920, 1080), (1120, 630), Order::Torchvision),
];
/// Pixels of a patch's side.
const PATCH: usize = 14;
/// Patches of a block's side.
const MERGE: usize = 2;
/// Gray levels mapped to -1 to 1.
const TABLES: [[f32; 256]; 3] = {
    let (mut table, mut level) = ([0.0; 256], 0);
    while level < 256 {
        table[level] = level as f32 / 127.5 - 1.0;
        level += 1;
    }
    [table; 3]
};
/// Frames of 720p as an encoder gets them.
const FRAME: Case = Case::new((1280, 720), (448, 448), Order::Torchvision);
/// Frames of one clip.
const FRAMES: [usize; 2] = [1, 16];

fn main() {
    // A process has one instruction set, so each gets a process of its own.
    let given = |name: &str| std::env::args().any(|arg| arg == name);
    if std::env::var_os("ZOETROPE_ISA").is_some() || !given("--bench") || given("--list") {
        println!("isa {:?}, {} threads", isa(), rayon::current_num_threads());
        // The reference does not depend on the instruction set.
        let all = divan::Divan::from_args();
        return if isa() == Isa::Portable { all.main() } else { all.skip_regex("plain_reference").main() };
    }
    for at in Isa::available() {
        let mut one = Command::new(std::env::current_exe().unwrap_or_default());
        one.args(std::env::args().skip(1)).env("ZOETROPE_ISA", format!("{at:?}").to_lowercase());
        assert!(one.status().is_ok_and(|status| status.success()), "the benchmarks at {at:?}");
    }
}

#[divan::bench(args = CASES)]
fn image(bencher: Bencher, case: &Case) {
    let src = case.source();
    assert!(case.fast(&src) == case.slow(&src), "{case}: fast and reference differ");
    bencher.counter(case.values()).bench_local(|| case.fast(&src));
}

#[divan::bench(args = CASES, sample_count = 2, sample_size = 1)]
fn plain_reference(bencher: Bencher, case: &Case) {
    let src = case.source();
    bencher.counter(case.values()).bench_local(|| case.slow(&src));
}

/// Times `work`, which writes the patches of one frame, for `frames` frames on all threads.
fn patches(bencher: Bencher, frames: usize, work: impl Fn(&[u8], &mut [f32]) + Sync) {
    let src = FRAME.source();
    let mut want = vec![f32::NAN; 3 * (FRAME.to.0 * FRAME.to.1) as usize];
    patchify(&FRAME.slow(&src), FRAME.to.0 as usize / PATCH, PATCH, MERGE, &TABLES, &mut want);
    let all = || {
        let mut out = vec![0.0; frames * want.len()];
        out.par_chunks_mut(want.len()).for_each(|out| work(&src, out));
        out
    };
    assert!(all().chunks(want.len()).all(|out| out == want), "patches of {frames} frames");
    bencher.counter(ItemsCount::new(frames * want.len())).bench_local(all);
}

/// Rows of patches written as the resize hands them on.
#[divan::bench(args = FRAMES)]
fn patches_in_one_pass(bencher: Bencher, frames: usize) {
    patches(bencher, frames, |src, out| FRAME.in_one_pass(src, out));
}

/// Patches from a whole resized image.
#[divan::bench(args = FRAMES)]
fn patches_of_an_image(bencher: Bencher, frames: usize) {
    patches(bencher, frames, |src, out| FRAME.in_two_passes(src, out));
}
