//! Resized images against checksums made by Pillow 12, Pillow 13 and torch (see `reference/make_resize_goldens.py`).
#![cfg(test)]

use std::path::Path;

use zoetrope_kernels::image::resize::{Filter, Order, reference, resize};

struct Case {
    filter: Filter,
    size: (u32, u32),
    out: (u32, u32),
    seed: u64,
    crc: u32,
}

fn cases(name: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/resize").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |i: usize| words[i].parse::<u32>().unwrap();
            let filter = match words[0] {
                "bilinear" => Filter::Bilinear,
                "bicubic" => Filter::Bicubic,
                "lanczos" => Filter::Lanczos,
                other => panic!("{name}: unknown filter {other}"),
            };
            let crc = u32::from_str_radix(words[6], 16).unwrap();
            let (size, out) = ((number(1), number(2)), (number(3), number(4)));
            Case { filter, size, out, seed: number(5).into(), crc }
        })
        .collect()
}

/// The image of a seed, as `reference/make_resize_goldens.py` makes it.
fn image(size: (u32, u32), seed: u64) -> Vec<u8> {
    let mut state = seed;
    let bytes = (0..size.0 as usize * size.1 as usize * 3).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let byte = (state >> 56) as u8;
        if seed % 2 == 1 { (byte >> 7) * 255 } else { byte }
    });
    bytes.collect()
}

/// CRC-32 as in zlib, one bit at a time.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

fn check(name: &str, order: Order) {
    let cases = cases(name);
    assert!(cases.len() >= 3 * 60, "{name} has only {} cases", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .filter(|case| {
            let src = image(case.size, case.seed);
            let out = resize(&src, case.size.0, case.size.1, case.out.0, case.out.1, case.filter, order).unwrap();
            crc32(&out) != case.crc
        })
        .map(|case| format!("{:?} {:?} to {:?}", case.filter, case.size, case.out))
        .collect();
    assert!(wrong.is_empty(), "{name}: {} of {} differ: {wrong:?}", wrong.len(), cases.len());
}

#[test]
fn pillow_12() {
    check("pillow-12.txt", Order::HorizontalFirst);
}

#[test]
fn pillow_13() {
    check("pillow-13.txt", Order::Pillow13);
}

#[test]
fn torchvision() {
    check("torchvision.txt", Order::Torchvision);
}

/// The reference matches Pillow by itself, not only the fast resize.
#[test]
fn reference_is_pillow_too() {
    for case in cases("pillow-13.txt").iter().filter(|case| case.size.0 * case.size.1 < 5000) {
        let src = image(case.size, case.seed);
        let usizes = |size: (u32, u32)| (size.0 as usize, size.1 as usize);
        let out = reference::resize(&src, usizes(case.size), usizes(case.out), case.filter, Order::Pillow13);
        assert_eq!(crc32(&out), case.crc, "{:?} {:?} to {:?}", case.filter, case.size, case.out);
    }
}
