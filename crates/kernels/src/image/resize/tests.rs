//! The fast resize against the reference, at every instruction set. Goldens are in `tests/resize_goldens.rs`.

use super::size::Size;
use super::*;
use crate::isa::Isa;

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

fn check(isa: Isa, from: (usize, usize), to: (usize, usize)) {
    let src = noise(from.0, from.1);
    let (size, out) = (Size { width: from.0, height: from.1 }, Size { width: to.0, height: to.1 });
    for filter in FILTERS {
        for order in ORDERS {
            let slow = reference::resize(&src, from, to, filter, order);
            for band in [1, 7, 16, 28] {
                let mut fast = vec![u16::MAX; to.0 * to.1 * 3];
                let write = |rows: &[u8], part: &mut [u16]| {
                    assert!(rows.len() == part.len() && (1..=band * 3 * to.0).contains(&rows.len()));
                    part.iter_mut().zip(rows).for_each(|(value, byte)| *value = u16::from(*byte));
                };
                fast::resize(isa, &src, size, &mut fast, out, (filter, order), band, write);
                let same = fast.iter().zip(&slow).all(|(fast, slow)| *fast == u16::from(*slow));
                assert!(same, "{from:?} to {to:?} in bands of {band}, {filter:?}, {order:?}, {isa:?}");
            }
        }
    }
}

#[test]
fn fast_equals_the_reference_at_every_isa() {
    for isa in Isa::available() {
        // Widths and heights around a block and a run, so that each remainder path runs.
        for side in 1..=20 {
            check(isa, (side, 21 - side), (9, side + 3));
            check(isa, (23, side), (side, 5));
        }
        check(isa, (33, 47), (48, 31));
        check(isa, (130, 90), (100, 70));
        check(isa, (90, 64), (90, 31));
        check(isa, (64, 90), (31, 90));
        check(isa, (50, 40), (50, 40));
    }
}

#[test]
fn a_band_is_at_least_a_row_and_at_most_the_image() {
    let src = noise(40, 30);
    let want = resize(&src, 40, 30, 20, 21, Filter::Bicubic, Order::Pillow13).unwrap();
    for (band, rows) in [(0, 1), (1, 1), (usize::MAX, 21)] {
        let mut dst = vec![0; want.len()];
        let write = |from: &[u8], to: &mut [u8]| {
            assert_eq!(from.len(), rows * 60);
            to.copy_from_slice(from);
        };
        resize_rows(&src, (40, 30), &mut dst, (20, 21), Filter::Bicubic, Order::Pillow13, band, write).unwrap();
        assert!(dst == want, "band {band}");
    }
}

#[test]
fn a_flat_image_stays_flat() {
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
    assert!(!both(66, 46), "vertical first: the height shrinks, the width does not");
    assert!(!both(62, 43), "vertical first: 5 > 2 * 2");
    assert!(both(62, 44), "horizontal first: 4 is not more than 2 * 2");
    assert!(both(66, 50), "horizontal first: the height grows");
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let go = |src: &[u8], w, h, ow, oh| resize(src, w, h, ow, oh, Filter::Bicubic, Order::Pillow13).unwrap_err();
    assert!(matches!(go(&[], 0, 4, 2, 2), ResizeError::Empty { width: 0, .. }));
    assert!(matches!(go(&[0; 12], 2, 2, 0, 2), ResizeError::Empty { out_width: 0, .. }));
    let short = go(&[0; 11], 2, 2, 2, 2);
    assert_eq!(short.to_string(), "the source buffer has 11 bytes, a 2x2 RGB image has 12");
    assert!(matches!(go(&[0; 12], 2, 2, u32::MAX, u32::MAX), ResizeError::TooLarge { .. }));
    let (mut dst, never) = ([0.0; 11], |_: &[u8], _: &mut [f32]| panic!("nothing to write"));
    let (filter, order) = (Filter::Bilinear, Order::Torchvision);
    let error = resize_rows(&[0; 12], (2, 2), &mut dst, (2, 2), filter, order, 1, never).unwrap_err();
    assert_eq!(error.to_string(), "the target buffer has 11 bytes, a 2x2 RGB image has 12");
}
