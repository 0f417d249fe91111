//! Rotary position embedding (RoPE, arXiv 2104.09864) in the half-split form: dimension `j` pairs with `j + d/2`. f32.

use crate::isa::per_isa;

per_isa! {
    /// Rotates every head of every token. `x` and `y` are `[t, heads, d]`, `cos` and `sin` are `[t, half]` with
    /// `half = d / 2`. `sign` is 1 for the rotation and -1 for its inverse, which is also its gradient.
    pub fn rope / rope_at(x: &[f32], cos: &[f32], sin: &[f32], heads: usize, half: usize, sign: f32, y: &mut [f32]) {
        let row = heads * 2 * half;
        let tokens = x.chunks_exact(row).zip(y.chunks_exact_mut(row));
        for ((x, y), (cos, sin)) in tokens.zip(cos.chunks_exact(half).zip(sin.chunks_exact(half))) {
            for (x, y) in x.chunks_exact(2 * half).zip(y.chunks_exact_mut(2 * half)) {
                let (x0, x1) = x.split_at(half);
                let (y0, y1) = y.split_at_mut(half);
                let angles = cos.iter().zip(sin);
                for (((y0, y1), (&x0, &x1)), (&c, &s)) in y0.iter_mut().zip(y1).zip(x0.iter().zip(x1)).zip(angles) {
                    let s = s * sign;
                    *y0 = x0 * c - x1 * s;
                    *y1 = x1 * c + x0 * s;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    #[test]
    fn rotates_pairs_and_back_at_every_isa() {
        for isa in Isa::available() {
            for half in 1..20 {
                let (t, heads) = (3, 2);
                let x: Vec<f32> = (0..t * heads * 2 * half).map(|i| (i as f32 * 0.31).cos()).collect();
                let angles: Vec<f32> = (0..t * half).map(|i| i as f32 * 0.17 - 1.0).collect();
                let (cos, sin): (Vec<_>, Vec<_>) = angles.iter().map(|a| (a.cos(), a.sin())).unzip();
                let (mut y, mut back) = (vec![0.0; x.len()], vec![0.0; x.len()]);
                rope_at(isa, &x, &cos, &sin, heads, half, 1.0, &mut y);
                for i in 0..x.len() {
                    let (token, j) = (i / (heads * 2 * half), i % (2 * half));
                    let a = f64::from(angles[token * half + j % half]);
                    let pair = if j < half { -f64::from(x[i + half]) } else { f64::from(x[i - half]) };
                    let want = f64::from(x[i]) * a.cos() + pair * a.sin();
                    assert!((f64::from(y[i]) - want).abs() < 1e-6, "{isa:?} half {half} at {i}");
                }
                rope_at(isa, &y, &cos, &sin, heads, half, -1.0, &mut back);
                assert!(x.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-6), "{isa:?} half {half}");
            }
        }
    }
}
