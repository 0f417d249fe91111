//! The exponential function in vectorizable arithmetic.

use crate::isa::fma;

/// `exp(x)` by range reduction and a degree-6 polynomial (Cephes), relative error below 3e-7. The argument is clamped
/// to -87.3 ..= 88.3: below, the result is the smallest normal number instead of 0, which softmax and sigmoid tolerate.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    // Adding 1.5 * 2^23 leaves the rounded integer in the low bits of the float.
    const MAGIC: f32 = 12_582_912.0;
    let x = x.clamp(-87.3, 88.3);
    let shifted = fma::<FMA>(x, std::f32::consts::LOG2_E, MAGIC);
    let n = shifted - MAGIC;
    let r = fma::<FMA>(n, 2.121_944_4e-4, fma::<FMA>(n, -0.693_359_4, x));
    let mut p = 1.987_569_1e-4f32;
    p = fma::<FMA>(p, r, 1.398_199_9e-3);
    p = fma::<FMA>(p, r, 8.333_452e-3);
    p = fma::<FMA>(p, r, 4.166_579_6e-2);
    p = fma::<FMA>(p, r, 0.166_666_65);
    p = fma::<FMA>(p, r, 0.5);
    p = fma::<FMA>(p * r, r, r) + 1.0;
    p * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_to_std_over_its_range() {
        for i in -870..880 {
            let x = i as f32 * 0.1;
            let want = f64::from(x).exp();
            let got = f64::from(exp::<false>(x));
            assert!((got / want - 1.0).abs() < 5e-7, "exp({x}) = {got}, want {want}");
        }
    }
}
