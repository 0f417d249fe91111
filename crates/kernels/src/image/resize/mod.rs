//! Antialiased resize of 8-bit RGB images, bit for bit as Pillow and torchvision do it.
//!
//! Both make two passes, one for each axis, and round to 8 bits after each. They differ in the order of the passes and
//! in the fractional bits of a weight. Vision encoders were trained with one or the other, so the order is an argument.
//!
//! Output `i` of an axis with `n` inputs and `m` outputs, where `s = n / m`, `f = max(s, 1)`, `c = (i + 0.5) s` and `r`
//! is the support radius of the filter: the inputs are `trunc(c - r f + 0.5) .. trunc(c + r f + 0.5)`. Their weights
//! are `filter((x - c + 0.5) / f)`, divided by their sum, then rounded to integers, halves away from zero.
//!
//! Files: `options.rs` has filters and orders, `size.rs` the checks, `weights.rs` the weight tables, `fast.rs` the
//! passes, `reference.rs` the definition in plain code. Deliberately absent: alpha, 16-bit images, crops, nearest
//! neighbor.

mod fast;
mod options;
pub mod reference;
mod size;
#[cfg(test)]
mod tests;
mod weights;

pub use options::{Filter, Order};
pub use size::ResizeError;

use crate::isa::isa;
use size::{Size, wrong_length};

/// Resizes the `width` x `height` RGB image `src` (three bytes a pixel, rows top to bottom, no padding).
///
/// Callers that read sizes from files check them against their own limits first: the result takes
/// `3 out_width out_height` bytes, and the image between the passes at most `3 max(w, ow) max(h, oh)`.
///
/// # Errors
/// [`ResizeError`] when a side is zero or `src` has another length than `3 width height`.
pub fn resize(
    src: &[u8],
    width: u32,
    height: u32,
    out_width: u32,
    out_height: u32,
    filter: Filter,
    order: Order,
) -> Result<Vec<u8>, ResizeError> {
    let (_, bytes) = Size::checked(out_width, out_height)?;
    if src.len() != Size::checked(width, height)?.1 {
        return Err(wrong_length("source", src.len(), width, height));
    }
    let mut dst = vec![0; bytes];
    let copy = |rows: &[u8], dst: &mut [u8]| dst.copy_from_slice(rows);
    resize_rows(src, (width, height), &mut dst, (out_width, out_height), filter, order, BAND, copy)?;
    Ok(dst)
}

/// Rows that [`resize`] copies at once.
const BAND: usize = 16;

/// Resizes like [`resize`], but hands the result to `write` in bands of `band` whole rows while they are in the cache:
/// the last band may be lower, and zero counts as one. Each band comes with its part of `dst`, one value for every byte
/// of the band. Sizes are (width, height). Bands come in any order, from several threads; the whole result is never
/// held as bytes.
///
/// # Errors
/// [`ResizeError`] when a side is zero, or the length of `src` or `dst` is not three times the area of its image.
#[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
pub fn resize_rows<T: Send>(
    src: &[u8],
    size: (u32, u32),
    dst: &mut [T],
    out_size: (u32, u32),
    filter: Filter,
    order: Order,
    band: usize,
    write: impl Fn(&[u8], &mut [T]) + Sync,
) -> Result<(), ResizeError> {
    let (from, src_bytes) = Size::checked(size.0, size.1)?;
    let (to, dst_bytes) = Size::checked(out_size.0, out_size.1)?;
    if src_bytes == 0 || dst_bytes == 0 {
        return Err(ResizeError::Empty {
            width: size.0,
            height: size.1,
            out_width: out_size.0,
            out_height: out_size.1,
        });
    }
    if src.len() != src_bytes {
        return Err(wrong_length("source", src.len(), size.0, size.1));
    }
    if dst.len() != dst_bytes {
        return Err(wrong_length("target", dst.len(), out_size.0, out_size.1));
    }
    fast::resize(isa(), src, from, dst, to, (filter, order), band.max(1), write);
    Ok(())
}
