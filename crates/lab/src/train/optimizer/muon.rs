//! Muon (K. Jordan and others, "Muon: An optimizer for hidden layers in neural networks", 2024): the momentum matrix is
//! made nearly orthogonal, so that every direction of a layer learns equally fast. Small encoders trained from scratch
//! need a third of AdamW's samples with it (docs/LOG.md).

use candle_core::{Device, Result, Tensor};

/// Decay rate of the momentum.
const MOMENTUM: f32 = 0.95;
/// Newton-Schulz iterations.
const STEPS: usize = 5;
/// Coefficients of the quintic that each iteration applies; singular values end between about 0.7 and 1.2.
const QUINTIC: (f64, f64, f64) = (3.4445, -4.7750, 2.0315);

/// One update of the matrix `values` `[rows, columns]` with `gradient * scale`; `sizes` is (rows, columns).
pub(super) fn update(
    values: &mut [f32],
    gradient: &[f32],
    scale: f32,
    momentum: &mut [f32],
    sizes: (usize, usize),
    lr: f32,
) -> Result<()> {
    let mut nesterov = Vec::with_capacity(values.len());
    for (&gradient, momentum) in gradient.iter().zip(momentum.iter_mut()) {
        let g = gradient * scale;
        *momentum = MOMENTUM * *momentum + g;
        nesterov.push(g + MOMENTUM * *momentum);
    }
    let update = orthogonal(&Tensor::from_vec(nesterov, sizes, &Device::Cpu)?)?.flatten_all()?.to_vec1::<f32>()?;
    // Tall matrices get a larger step, so that their outputs change as much.
    let lr = lr * (sizes.0 as f32 / sizes.1 as f32).max(1.0).sqrt();
    values.iter_mut().zip(update).for_each(|(value, update)| *value -= lr * update);
    Ok(())
}

/// A matrix with the singular vectors of `m` and singular values near 1; a zero matrix stays zero.
fn orthogonal(m: &Tensor) -> Result<Tensor> {
    let (rows, cols) = m.dims2()?;
    let wide = if rows > cols { m.t()?.contiguous()? } else { m.clone() };
    let norm = f64::from(wide.sqr()?.sum_all()?.to_scalar::<f32>()?).sqrt();
    let mut x = (wide / (norm + 1e-7))?;
    let (a, b, c) = QUINTIC;
    for _ in 0..STEPS {
        let square = x.matmul(&x.t()?)?;
        let factor = ((&square * b)? + (square.matmul(&square)? * c)?)?;
        x = ((&x * a)? + factor.matmul(&x)?)?;
    }
    if rows > cols { x.t()?.contiguous() } else { Ok(x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singular_values_come_near_one() {
        for (rows, cols) in [(6, 6), (4, 9), (9, 4)] {
            let values: Vec<f32> = (0..rows * cols).map(|i| (i as f32 * 1.7).sin() * (1.0 + i as f32)).collect();
            let x = orthogonal(&Tensor::from_vec(values, (rows, cols), &Device::Cpu).unwrap()).unwrap();
            let x = if rows > cols { x.t().unwrap().contiguous().unwrap() } else { x };
            // The trace of the Gram matrix is the sum of the squared singular values.
            let gram = x.matmul(&x.t().unwrap()).unwrap().to_vec2::<f32>().unwrap();
            let mean = (0..gram.len()).map(|k| gram[k][k]).sum::<f32>() / gram.len() as f32;
            assert!((0.45..1.5).contains(&mean), "{rows} x {cols}: {mean}");
        }
    }

    #[test]
    fn a_step_goes_down_and_does_not_depend_on_the_size_of_the_gradient() {
        let step = |factor: f32| {
            let gradient: Vec<f32> = (0..6).map(|i| (i as f32 - 2.2) * factor).collect();
            let (mut values, mut momentum) = (vec![0.0; 6], vec![0.0; 6]);
            update(&mut values, &gradient, 1.0, &mut momentum, (2, 3), 0.1).unwrap();
            let slope: f32 = values.iter().zip(&gradient).map(|(v, g)| v * g / factor).sum();
            (values, slope)
        };
        let ((small, down), (large, _)) = (step(1.0), step(1000.0));
        assert!(down < 0.0);
        assert!(small.iter().zip(&large).all(|(a, b)| (a - b).abs() < 1e-4), "{small:?} {large:?}");
    }
}
