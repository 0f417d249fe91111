//! Fast against reference, at every level this CPU has; doors; goldens live in `tests/resize_goldens.rs`.

use super::*;
use crate::level::Level;

const FILTERS: [Filter; 3] = [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos];
const ORDERS: [Order; 3] = [Order::HorizontalFirst, Order::Pillow13, Order::Torchvision];

/// Black and white noise: overshoots clip, and a wrong order of passes shows.
fn noise(width: usize, height: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64 ^ (width * 7919 + height) as u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if state >> 63 == 1 { 255 } else { 0 }
    };
    (0..width * height * 3).map(|_| next()).collect()
}

fn check(level: Level, from: (usize, usize), to: (usize, usize)) {
    let src = noise(from.0, from.1);
    let (size, out) = (Size { width: from.0, height: from.1 }, Size { width: to.0, height: to.1 });
    for filter in FILTERS {
        for order in ORDERS {
            let mut fast = vec![7; to.0 * to.1 * 3];
            fast::resize(level, &src, size, &mut fast, out, filter, order);
            let slow = reference::resize(&src, from, to, filter, order);
            assert!(fast == slow, "{from:?} to {to:?}, {filter:?}, {order:?}, {level:?}");
        }
    }
}

#[test]
fn fast_is_the_reference_at_every_level() {
    for level in Level::available() {
        // Widths and heights around a block and a run, so that each remainder path runs.
        for side in 1..=20 {
            check(level, (side, 21 - side), (9, side + 3));
            check(level, (23, side), (side, 5));
        }
        check(level, (33, 47), (48, 31));
        check(level, (130, 90), (100, 70));
        check(level, (90, 64), (90, 31));
        check(level, (64, 90), (31, 90));
        check(level, (50, 40), (50, 40));
    }
}

#[test]
fn a_flat_picture_stays_flat() {
    for filter in FILTERS {
        for order in ORDERS {
            let out = resize(&[201; 37 * 23 * 3], 37, 23, 53, 11, filter, order).unwrap();
            assert!(out.iter().all(|&byte| byte == 201), "{filter:?} {order:?}");
        }
    }
}

#[test]
fn the_order_of_passes_shows_only_where_pillow_13_changed() {
    let src = noise(64, 48);
    let both = |w, h| {
        let old = resize(&src, 64, 48, w, h, Filter::Bicubic, Order::HorizontalFirst).unwrap();
        old == resize(&src, 64, 48, w, h, Filter::Bicubic, Order::Pillow13).unwrap()
    };
    assert!(!both(66, 46), "columns first: the height shrinks, the width does not");
    assert!(!both(62, 43), "columns first: 5 > 2 * 2");
    assert!(both(62, 44), "rows first: 4 is not more than 2 * 2");
    assert!(both(66, 50), "rows first: the height grows");
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let go = |src: &[u8], w, h, ow, oh| resize(src, w, h, ow, oh, Filter::Bicubic, Order::Pillow13).unwrap_err();
    assert!(matches!(go(&[], 0, 4, 2, 2), ResizeError::Empty { width: 0, .. }));
    assert!(matches!(go(&[0; 12], 2, 2, 0, 2), ResizeError::Empty { out_width: 0, .. }));
    let short = go(&[0; 11], 2, 2, 2, 2);
    assert_eq!(short.to_string(), "the source buffer has 11 bytes, a 2x2 RGB picture has 12");
    assert!(matches!(go(&[0; 12], 2, 2, u32::MAX, u32::MAX), ResizeError::TooLarge { .. }));
    let mut dst = [0; 11];
    let error = resize_into(&[0; 12], (2, 2), &mut dst, (2, 2), Filter::Bilinear, Order::Torchvision).unwrap_err();
    assert_eq!(error.to_string(), "the target buffer has 11 bytes, a 2x2 RGB picture has 12");
}
