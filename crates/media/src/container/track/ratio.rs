//! Fractions of 32-bit numbers: sample aspect ratios and frame rates.

/// `a / b` in lowest terms, shifted down to 32 bits each; (1, 1) when either is zero.
pub(in super::super) fn reduced_ratio(a: u64, b: u64) -> (u32, u32) {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    let (mut a, mut b) = (a / x.max(1), b / x.max(1));
    while a.max(b) > u64::from(u32::MAX) {
        (a, b) = (a >> 1, b >> 1);
    }
    if a == 0 || b == 0 { (1, 1) } else { (a as u32, b as u32) }
}
