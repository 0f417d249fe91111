//! Filter and order of the passes.

use super::size::Size;

/// Interpolation filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Triangle, radius 1.
    Bilinear,
    /// Keys' cubic with a = -0.5, radius 2 (PIL's `BICUBIC`).
    Bicubic,
    /// Windowed sinc, radius 3.
    Lanczos,
}

/// Order of the passes and precision of the weights: the library to reproduce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Pillow up to 12.x: horizontal pass first, weights with 22 fractional bits.
    HorizontalFirst,
    /// Pillow 13: vertical pass first when the height shrinks, and by more than twice as much as the width (`h > oh`
    /// and `h - oh > 2 (w - ow)`, negative when the width grows); otherwise [`Order::HorizontalFirst`].
    Pillow13,
    /// torchvision and `torch.nn.functional.interpolate(antialias=True)` on uint8: horizontal pass first, weights with
    /// the most fractional bits (at most 22) that keep the largest weight of the axis below 2^15.
    Torchvision,
}

/// Whether the vertical pass goes first.
pub(super) fn vertical_first(from: Size, to: Size, order: Order) -> bool {
    let shrink = from.height as i64 - to.height as i64;
    let narrowing = from.width as i64 - to.width as i64;
    // Pillow does not document this rule; it fits all 1,440 images tried with 13.0.0, and goldens guard it.
    order == Order::Pillow13 && shrink > 0 && shrink > 2 * narrowing
}
