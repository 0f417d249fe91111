//! Activation functions and their derivatives, element by element, f32.

use crate::level::{fma, per_level};

/// `exp(x)` by range reduction and a degree-6 polynomial; relative error below 3e-7 where the result is normal,
/// 0 is never returned below -87.3 (the smallest normal is), which the softmax and sigmoid users do not notice.
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

#[inline(always)]
fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

#[inline(always)]
fn tanh<const FMA: bool>(x: f32) -> f32 {
    1.0 - 2.0 / (exp::<FMA>(2.0 * x) + 1.0)
}

#[inline(always)]
pub(crate) fn gelu<const FMA: bool>(x: f32) -> f32 {
    const LINEAR: f32 = -2.0 * SQRT_2_OVER_PI;
    // 1 + tanh(u) = 2 / (1 + exp(-2 u))
    x / (1.0 + exp::<FMA>(x * fma::<FMA>(LINEAR * CUBIC * x, x, LINEAR)))
}

/// The error function within 3e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26, and roundings.
#[inline(always)]
fn erf<const FMA: bool>(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / fma::<FMA>(0.327_591_1, size, 1.0);
    let mut p = 1.061_405_4;
    for factor in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
        p = fma::<FMA>(p, t, factor);
    }
    (1.0 - p * t * exp::<FMA>(-size * size)).copysign(x)
}

#[inline(always)]
pub(crate) fn gelu_exact<const FMA: bool>(x: f32) -> f32 {
    0.5 * x * (1.0 + erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2))
}

per_level! {
    /// `y = 0.5 x (1 + erf(x / sqrt(2)))`.
    pub fn gelu_erf / gelu_erf_at(x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = gelu_exact::<FMA>(x);
        }
    }
}

per_level! {
    /// `y = 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))` (`gelu_pytorch_tanh`).
    pub fn gelu_tanh / gelu_tanh_at(x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = gelu::<FMA>(x);
        }
    }
}

per_level! {
    /// `dx = dy * gelu_tanh'(x)`.
    pub fn gelu_tanh_backward / gelu_tanh_backward_at(x: &[f32], dy: &[f32], dx: &mut [f32]) {
        for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
            let t = tanh::<FMA>(SQRT_2_OVER_PI * (x + CUBIC * x * x * x));
            let inner = SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x);
            *dx = dy * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner);
        }
    }
}

per_level! {
    /// `sum = x + y`.
    pub fn add / add_at(x: &[f32], y: &[f32], sum: &mut [f32]) {
        for ((sum, x), y) in sum.iter_mut().zip(x).zip(y) {
            *sum = x + y;
        }
    }
}

per_level! {
    /// `y = silu(gate) * up` (SwiGLU without its products).
    pub fn swiglu / swiglu_at(gate: &[f32], up: &[f32], y: &mut [f32]) {
        for ((y, &g), &u) in y.iter_mut().zip(gate).zip(up) {
            *y = g * sigmoid::<FMA>(g) * u;
        }
    }
}

per_level! {
    /// Gradients of [`swiglu`] to both inputs.
    pub fn swiglu_backward / swiglu_backward_at(
        gate: &[f32], up: &[f32], dy: &[f32], dgate: &mut [f32], dup: &mut [f32],
    ) {
        let inputs = gate.iter().zip(up).zip(dy);
        for ((dg, du), ((&g, &u), &dy)) in dgate.iter_mut().zip(dup.iter_mut()).zip(inputs) {
            let s = sigmoid::<FMA>(g);
            *dg = dy * u * s * (1.0 + g * (1.0 - s));
            *du = dy * g * s;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    fn inputs(n: usize) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.37).sin() * 6.0 + (i as f32 - 10.0) * 0.1).collect()
    }

    #[test]
    fn exp_is_close_to_std_over_its_range() {
        for i in -870..880 {
            let x = i as f32 * 0.1;
            let want = f64::from(x).exp();
            let got = f64::from(exp::<false>(x));
            assert!((got / want - 1.0).abs() < 5e-7, "exp({x}) = {got}, want {want}");
        }
    }

    #[test]
    fn gelu_matches_f64_at_every_level_and_length() {
        for level in Level::available() {
            for n in 0..40 {
                let x = inputs(n);
                let mut y = vec![0.0; n];
                gelu_tanh_at(level, &x, &mut y);
                for (&x, &y) in x.iter().zip(&y) {
                    let x = f64::from(x);
                    let want = 0.5 * x * (1.0 + (0.7978845608028654 * (x + 0.044715 * x.powi(3))).tanh());
                    // tanh is computed as 1 - 2/(e+1): absolute error of a few f32 roundings, scaled by |x|.
                    assert!(
                        (f64::from(y) - want).abs() < 4e-7 * (1.0 + x.abs()),
                        "{level:?} gelu({x}) = {y}, want {want}"
                    );
                }
            }
        }
    }

    /// Values of the error function from its series, in f64.
    #[test]
    fn exact_gelu_matches_f64_at_every_level() {
        let erf = |x: f64| {
            let (mut term, mut sum) = (x, x);
            for n in 1..200 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            if x.abs() > 5.0 { x.signum() } else { sum * std::f64::consts::FRAC_2_SQRT_PI }
        };
        for level in Level::available() {
            let x = inputs(200);
            let mut y = vec![0.0; x.len()];
            gelu_erf_at(level, &x, &mut y);
            for (&x, &y) in x.iter().zip(&y) {
                let x = f64::from(x);
                let want = 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2));
                assert!((f64::from(y) - want).abs() < 3e-7 * (1.0 + x.abs()), "{level:?} gelu({x}) = {y}, want {want}");
            }
        }
    }

    #[test]
    fn derivatives_match_finite_differences() {
        let (x, up) = (inputs(33), inputs(33).iter().map(|v| v * 0.5 + 0.2).collect::<Vec<_>>());
        let dy: Vec<f32> = inputs(33).iter().map(|v| v * 0.1 + 1.0).collect();
        let (mut dx, mut dg, mut du) = (vec![0.0; 33], vec![0.0; 33], vec![0.0; 33]);
        for level in Level::available() {
            gelu_tanh_backward_at(level, &x, &dy, &mut dx);
            swiglu_backward_at(level, &x, &up, &dy, &mut dg, &mut du);
            for i in 0..33 {
                let (v, u, h) = (f64::from(x[i]), f64::from(up[i]), 1e-4);
                let gelu = |x: f64| 0.5 * x * (1.0 + (0.7978845608028654 * (x + 0.044715 * x.powi(3))).tanh());
                let silu = |x: f64| x / (1.0 + (-x).exp());
                let slope = |f: &dyn Fn(f64) -> f64| (f(v + h) - f(v - h)) / (2.0 * h) * f64::from(dy[i]);
                assert!((f64::from(dx[i]) - slope(&gelu)).abs() < 1e-5, "gelu' at {v}");
                assert!((f64::from(dg[i]) - slope(&silu) * u).abs() < 1e-5, "swiglu' gate at {v}");
                assert!((f64::from(du[i]) - silu(v) * f64::from(dy[i])).abs() < 1e-5, "swiglu' up at {v}");
            }
        }
    }
}
