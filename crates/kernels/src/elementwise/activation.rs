//! Activation functions and their derivatives, element by element, f32: GELU (tanh and erf), SiLU in SwiGLU.

use super::exp::exp;
use crate::isa::{fma, per_isa};

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

/// GELU of one value in the tanh form.
#[inline(always)]
pub(crate) fn gelu_tanh_scalar<const FMA: bool>(x: f32) -> f32 {
    const LINEAR: f32 = -2.0 * SQRT_2_OVER_PI;
    // 1 + tanh(u) = 2 / (1 + exp(-2 u))
    x / (1.0 + exp::<FMA>(x * fma::<FMA>(LINEAR * CUBIC * x, x, LINEAR)))
}

/// The error function, absolute error below 3e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26).
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

/// GELU of one value with the error function.
#[inline(always)]
pub(crate) fn gelu_erf_scalar<const FMA: bool>(x: f32) -> f32 {
    0.5 * x * (1.0 + erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2))
}

per_isa! {
    /// GELU with the error function: `y = 0.5 x (1 + erf(x / sqrt(2)))` (arXiv 1606.08415).
    pub fn gelu_erf / gelu_erf_at(x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = gelu_erf_scalar::<FMA>(x);
        }
    }
}

per_isa! {
    /// GELU in the tanh form (`gelu_pytorch_tanh`): `y = 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
    pub fn gelu_tanh / gelu_tanh_at(x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = gelu_tanh_scalar::<FMA>(x);
        }
    }
}

per_isa! {
    /// Gradient of [`gelu_tanh`]: `dx = dy * gelu_tanh'(x)`.
    pub fn gelu_tanh_backward / gelu_tanh_backward_at(x: &[f32], dy: &[f32], dx: &mut [f32]) {
        for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
            let t = tanh::<FMA>(SQRT_2_OVER_PI * (x + CUBIC * x * x * x));
            let inner = SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x);
            *dx = dy * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner);
        }
    }
}

per_isa! {
    /// `y = silu(gate) * up`: SwiGLU (arXiv 2002.05202) without its matrix products.
    pub fn swiglu / swiglu_at(gate: &[f32], up: &[f32], y: &mut [f32]) {
        for ((y, &g), &u) in y.iter_mut().zip(gate).zip(up) {
            *y = g * sigmoid::<FMA>(g) * u;
        }
    }
}

per_isa! {
    /// Gradients of [`swiglu`] to both inputs, written to `dgate` and `dup`.
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
    use crate::isa::Isa;

    fn inputs(n: usize) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.37).sin() * 6.0 + (i as f32 - 10.0) * 0.1).collect()
    }

    #[test]
    fn gelu_tanh_matches_f64_at_every_isa_and_length() {
        for isa in Isa::available() {
            for n in 0..40 {
                let x = inputs(n);
                let mut y = vec![0.0; n];
                gelu_tanh_at(isa, &x, &mut y);
                for (&x, &y) in x.iter().zip(&y) {
                    let x = f64::from(x);
                    let want = 0.5 * x * (1.0 + (0.7978845608028654 * (x + 0.044715 * x.powi(3))).tanh());
                    // tanh is computed as 1 - 2/(e+1): absolute error of a few f32 roundings, scaled by |x|.
                    assert!(
                        (f64::from(y) - want).abs() < 4e-7 * (1.0 + x.abs()),
                        "{isa:?} gelu({x}) = {y}, want {want}"
                    );
                }
            }
        }
    }

    /// The expected values come from the series of the error function, in f64.
    #[test]
    fn gelu_erf_matches_f64_at_every_isa() {
        let erf = |x: f64| {
            let (mut term, mut sum) = (x, x);
            for n in 1..200 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            if x.abs() > 5.0 { x.signum() } else { sum * std::f64::consts::FRAC_2_SQRT_PI }
        };
        for isa in Isa::available() {
            let x = inputs(200);
            let mut y = vec![0.0; x.len()];
            gelu_erf_at(isa, &x, &mut y);
            for (&x, &y) in x.iter().zip(&y) {
                let x = f64::from(x);
                let want = 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2));
                assert!((f64::from(y) - want).abs() < 3e-7 * (1.0 + x.abs()), "{isa:?} gelu({x}) = {y}, want {want}");
            }
        }
    }

    #[test]
    fn derivatives_match_finite_differences() {
        let (x, up) = (inputs(33), inputs(33).iter().map(|v| v * 0.5 + 0.2).collect::<Vec<_>>());
        let dy: Vec<f32> = inputs(33).iter().map(|v| v * 0.1 + 1.0).collect();
        let (mut dx, mut dg, mut du) = (vec![0.0; 33], vec![0.0; 33], vec![0.0; 33]);
        for isa in Isa::available() {
            gelu_tanh_backward_at(isa, &x, &dy, &mut dx);
            swiglu_backward_at(isa, &x, &up, &dy, &mut dg, &mut du);
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
