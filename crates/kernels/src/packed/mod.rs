//! Products `y = x W^T + b` with weights packed once for the kernel that reads them: f32, bf16, int8 and 4-bit.
//!
//! Shapes: `x` is `[t, cols]` f32, `W` is `[rows, cols]`, `b` is `[rows]`, `y` is `[t, rows]`.
//!
//! - **f32**: as it is.
//! - **bf16**: weights and `x` rounded to bf16, products exact, sums in f32.
//! - **int8**: a bf16 scale for each 128 values of a row of `W` (largest value to 127); `x` gets one for as many, so
//!   that one large value coarsens only its neighbours; sums of 128 products exact in 32 bits.
//! - **int4**: a bf16 scale for each 32 values of a row of `W`, values `-8..=7`; `x` as for int8.
//!
//! The bytes are the same at every level and on every machine, so that a converted file is mapped and used.

mod compare;
pub(crate) mod layout;
mod product;
mod quantise;
#[cfg(test)]
mod reference;
pub(crate) mod rows;
#[cfg(test)]
mod tests;
pub(crate) mod tile;

use std::mem::MaybeUninit;
use std::ops::{Deref, Range};
use std::sync::Arc;

use rayon::prelude::*;

use crate::gemm::{Matrix, Over, product};
use crate::level::{Level, level};
use crate::map::Mapped;
pub use compare::relative_error;
pub use rows::Before;
use rows::Rows;

/// Rows of `W` that lie side by side in a panel.
pub(crate) const LANES: usize = 32;
/// Bytes of one step of a panel: 32 bits for each lane.
const STEP_BYTES: usize = 4 * LANES;
/// Most rows of `x` that a tile multiplies at once: with two registers of lanes, their sums as whole numbers and as f32
/// fit the 32 registers of AVX-512.
const TILE_ROWS: usize = 6;
/// Values of a row of `x` that share a scale in int8 and 4-bit.
const CHUNK: usize = 128;
/// Values of a row of `W` that share a scale in int8.
const GROUP8: usize = 128;
/// The same in 4-bit.
const GROUP: usize = 32;
/// Bytes of the scales of one group of a panel.
const SCALES_BYTES: usize = 2 * LANES;
/// Bytes of one group of a 4-bit panel: nibbles, then scales.
const GROUP_BYTES: usize = LANES * GROUP / 2 + SCALES_BYTES;

/// How the values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 32-bit floats.
    F32,
    /// 16-bit floats with eight bits of exponent.
    Bf16,
    /// 8-bit integers with a scale a row.
    Int8,
    /// 4-bit integers with a scale for 32 values.
    Int4,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 4] = [Kind::F32, Kind::Bf16, Kind::Int8, Kind::Int4];

    /// The word used in options, files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::F32 => "f32",
            Kind::Bf16 => "bf16",
            Kind::Int8 => "int8",
            Kind::Int4 => "int4",
        }
    }

    /// Values along `cols` in the 32 bits of one lane of one step.
    fn per_step(self) -> usize {
        match self {
            Kind::F32 => 1,
            Kind::Bf16 => 2,
            Kind::Int8 | Kind::Int4 => 4,
        }
    }

    /// Values along `cols` that are added up as whole numbers before the scales are applied; whole-number kinds only.
    pub(crate) fn span(self) -> usize {
        CHUNK.min(if self == Kind::Int4 { GROUP } else { GROUP8 })
    }

    /// Whether `x` and `W` are multiplied as whole numbers.
    pub(crate) fn whole(self) -> bool {
        matches!(self, Kind::Int8 | Kind::Int4)
    }

    /// Steps of a row of `cols` values.
    pub(crate) fn steps(self, cols: usize) -> usize {
        match self {
            Kind::Int4 => cols.div_ceil(GROUP) * GROUP / 4,
            _ => cols.div_ceil(self.per_step()),
        }
    }

    /// Bytes of `steps` steps of a panel (4-bit: whole groups).
    pub(crate) fn panel_bytes(self, steps: usize) -> usize {
        match self {
            Kind::Int8 => steps * STEP_BYTES + (steps * 4).div_ceil(GROUP8) * SCALES_BYTES,
            Kind::Int4 => steps * 4 / GROUP * GROUP_BYTES,
            _ => steps * STEP_BYTES,
        }
    }

    /// Bytes of a packed `[rows, cols]`.
    pub fn bytes(self, rows: usize, cols: usize) -> usize {
        rows.div_ceil(LANES) * self.panel_bytes(self.steps(cols))
    }
}

/// The bytes of plain numbers.
pub(crate) fn bytes_of<T: Number>(values: &[T]) -> &[u8] {
    // SAFETY: numbers have no padding, and every byte pattern is a byte.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// What [`bytes_of`] takes.
pub(crate) trait Number: Copy {}
impl Number for f32 {}
impl Number for u32 {}

/// What stands between the two products of a perceptron.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// GELU in the tanh form of one product.
    GeluTanh,
    /// GELU with the error function of one product.
    GeluErf,
    /// `silu(gate) * up` of two products.
    SwiGlu,
}

/// A matrix and what is added to its product, one value a row.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// `W`.
    pub weight: &'a Packed,
    /// `b`.
    pub bias: Option<&'a [f32]>,
}

/// Panics unless the matrices are of one kind and width, and the biases as long as their rows.
fn check(all: &[Affine<'_>]) -> (Kind, usize) {
    let (kind, cols) = (all[0].weight.kind, all[0].weight.cols);
    for affine in all {
        assert!(affine.weight.kind == kind && affine.weight.cols == cols, "matrices of one product");
        assert!(affine.bias.is_none_or(|bias| bias.len() == affine.weight.rows), "bias size");
    }
    (kind, cols)
}

/// `before(x) W^T + b` of every matrix, plus `add` (as long as the result) where it is given: `[t, rows]` of each after
/// the other, in new memory every value of which is written once. The rows are brought into order once.
///
/// Panics when there is no matrix, when they differ in kind or columns, and when slices do not have the sizes that `t`
/// says.
pub fn products(all: &[Affine<'_>], x: &[f32], t: usize, before: Before<'_>, add: Option<&[f32]>) -> Vec<f32> {
    let n = t * all.iter().map(|affine| affine.weight.rows).sum::<usize>();
    let mut y: Vec<f32> = Vec::with_capacity(n);
    write(level(), all, x, t, before, add, &mut y.spare_capacity_mut()[..n]);
    // SAFETY: `write` has written all `n` values.
    unsafe { y.set_len(n) };
    y
}

fn write(
    level: Level,
    all: &[Affine<'_>],
    x: &[f32],
    t: usize,
    before: Before<'_>,
    add: Option<&[f32]>,
    y: &mut [MaybeUninit<f32>],
) {
    let (kind, cols) = check(all);
    assert_eq!(x.len(), t * cols, "input size");
    let n: usize = all.iter().map(|affine| affine.weight.rows).sum();
    assert!(add.is_none_or(|add| add.len() == t * n), "size of what is added");
    let rows = Rows::pack(kind, x, t, cols, before, product::large(t * n * cols));
    product::values(level, all, &rows, t, add, y);
}

/// `between(before(x) W1^T + b1) W2^T + b2`, plus `add` where it is given, `[t, rows of W2]`; SwiGLU takes two first
/// matrices, gate and up, the others one. What lies between is kept as the second product reads it, at most 4 bytes a
/// value.
///
/// Panics as [`products`] does.
pub fn perceptron(
    first: &[Affine<'_>],
    between: Between,
    second: Affine<'_>,
    x: &[f32],
    t: usize,
    before: Before<'_>,
    add: Option<&[f32]>,
) -> Vec<f32> {
    let ((kind, cols), (next_kind, middle)) = (check(first), check(&[second]));
    assert_eq!(first.len(), if between == Between::SwiGlu { 2 } else { 1 }, "first matrices");
    assert!(first.iter().all(|affine| affine.weight.rows == middle), "rows of the first matrices");
    let n = t * second.weight.rows;
    assert!(x.len() == t * cols && add.is_none_or(|add| add.len() == n), "input size");
    let rows = Rows::pack(kind, x, t, cols, before, product::large(t * middle * cols));
    let next = product::next(level(), first, &rows, t, between, next_kind);
    drop(rows);
    let mut y: Vec<f32> = Vec::with_capacity(n);
    product::values(level(), &[second], &next, t, add, &mut y.spare_capacity_mut()[..n]);
    // SAFETY: `values` has written all `n` values.
    unsafe { y.set_len(n) };
    y
}

/// 64 bytes at an address that is a multiple of 64.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Where packed bytes lie.
#[derive(Clone)]
enum Storage {
    Owned(Arc<Vec<Line>>, usize),
    Mapped(Arc<Mapped>, Range<usize>),
}

impl Deref for Storage {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            // SAFETY: `Line` is 64 plain bytes without padding, and `len` bytes of them were asked for.
            Storage::Owned(lines, len) => unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), *len) },
            Storage::Mapped(map, range) => &map[range.clone()],
        }
    }
}

/// A packed matrix `[rows, cols]`; cheap to clone.
#[derive(Clone)]
pub struct Packed {
    kind: Kind,
    rows: usize,
    cols: usize,
    storage: Storage,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Packed({:?}, {} x {})", self.kind, self.rows, self.cols)
    }
}

impl Packed {
    /// Packs `w` `[rows, cols]`.
    ///
    /// Panics when `w` has another size: a defect of the caller.
    pub fn pack(kind: Kind, w: &[f32], rows: usize, cols: usize) -> Packed {
        Packed::from_rows(kind, rows, cols, |range, out| out.copy_from_slice(&w[range.start * cols..range.end * cols]))
    }

    /// Packs a matrix whose rows `range` are written by `read` to a slice of `range.len() * cols` values; asks for 32
    /// rows at a time, each once, so that the f32 values of the whole never lie in memory.
    pub fn from_rows(kind: Kind, rows: usize, cols: usize, read: impl Fn(Range<usize>, &mut [f32]) + Sync) -> Packed {
        assert!(cols > 0, "a matrix without columns");
        let len = kind.bytes(rows, cols);
        let mut lines = vec![Line([0; 64]); len.div_ceil(64)];
        // SAFETY: as in `Storage::deref`, borrowed mutably.
        let bytes = unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast::<u8>(), len) };
        bytes.par_chunks_mut(kind.panel_bytes(kind.steps(cols))).enumerate().for_each(|(panel, bytes)| {
            let range = panel * LANES..rows.min((panel + 1) * LANES);
            let mut values = vec![0.0; LANES * cols];
            read(range.clone(), &mut values[..range.len() * cols]);
            layout::pack(kind, &values, cols, bytes);
        });
        Packed { kind, rows, cols, storage: Storage::Owned(Arc::new(lines), len) }
    }

    /// A matrix packed earlier, inside a mapped file at `range`; `None` when the range is not as long as `rows`, `cols`
    /// and `kind` ask for.
    pub fn mapped(kind: Kind, rows: usize, cols: usize, map: Arc<Mapped>, range: Range<usize>) -> Option<Packed> {
        let fits = cols > 0 && range.len() == kind.bytes(rows, cols) && map.get(range.clone()).is_some();
        fits.then_some(Packed { kind, rows, cols, storage: Storage::Mapped(map, range) })
    }

    /// How the values are stored.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Rows and columns.
    pub fn dims(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// The packed bytes, for writing to a file.
    pub fn bytes(&self) -> &[u8] {
        &self.storage
    }

    /// The values of rows `range` as the products use them, `[range.len(), cols]`.
    pub fn unpack(&self, range: Range<usize>) -> Vec<f32> {
        assert!(range.end <= self.rows, "rows of a packed matrix");
        layout::unpack(self, range)
    }

    /// `y = x W^T + b`.
    ///
    /// Panics when the slices do not have the sizes that `t` says.
    pub fn multiply(&self, x: &[f32], t: usize, b: Option<&[f32]>, y: &mut [f32]) {
        self.multiply_at(level(), x, t, b, y);
    }

    /// `dx = dy W`: the gradient of [`Packed::multiply`] to `x`, in f32 with the values that [`Packed::unpack`] gives.
    ///
    /// Panics when the slices do not have the sizes that `t` says.
    pub fn multiply_transposed(&self, dy: &[f32], t: usize, dx: &mut [f32]) {
        let (rows, cols) = (self.rows, self.cols);
        assert_eq!((dy.len(), dx.len()), (t * rows, t * cols), "gradient sizes");
        dx.fill(0.0);
        for first in (0..rows).step_by(8 * LANES) {
            let last = rows.min(first + 8 * LANES);
            let w = self.unpack(first..last);
            let dy = Matrix::rows_of(dy, first, t, last - first, rows);
            product(Over::Pool, dx, 0, cols, dy, Matrix::rows_of(&w, 0, last - first, cols, cols), true);
        }
    }

    pub(crate) fn multiply_at(&self, level: Level, x: &[f32], t: usize, b: Option<&[f32]>, y: &mut [f32]) {
        assert_eq!(y.len(), t * self.rows, "result size");
        write(level, &[Affine { weight: self, bias: b }], x, t, Before::Keep, None, product::written(y));
    }

    fn panel(&self, panel: usize) -> &[u8] {
        self.panels(panel..panel + 1, 0..self.kind.steps(self.cols)).0
    }

    /// From the first of `steps` of the first of `panels` to the last of the last, and the bytes from one panel to the
    /// next.
    fn panels(&self, panels: Range<usize>, steps: Range<usize>) -> (&[u8], usize) {
        let size = self.kind.panel_bytes(self.kind.steps(self.cols));
        let (first, last) = (self.kind.panel_bytes(steps.start), self.kind.panel_bytes(steps.end));
        (&self.storage[panels.start * size + first..(panels.end - 1) * size + last], size)
    }
}
