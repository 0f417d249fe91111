//! The position table of the vision encoder, stretched to another number of patches where a checkpoint holds that of
//! another resolution.
//!
//! Legend: G patches on a side, S those of the stored table, E width.

use candle_core::{Device, Result, Tensor};

use crate::error::{ModelError, ModelResult};
use crate::weights::{ParameterRole, Weights};

/// Coefficient of the cubic kernel that PyTorch's bicubic interpolation has.
const A: f64 = -0.75;

/// Rows for the class token and for `G x G` patches.
pub(super) struct PositionTable {
    /// As stored, `[1, 1 + S * S, E]`.
    stored: Tensor,
    /// `[G * G, S * S]` weights, where S is not G.
    stretch: Option<Tensor>,
}

impl PositionTable {
    /// Reads `name` `[1, 1 + S * S, width]` for pictures of `grid x grid` patches.
    pub(super) fn load(w: &Weights, name: &str, grid: usize, width: usize) -> ModelResult<Self> {
        let rows = match w.stored_shape(name).as_deref() {
            Some([1, rows, _]) => *rows,
            _ => 1 + grid * grid,
        };
        let side = rows.saturating_sub(1).isqrt();
        if side == 0 || 1 + side * side != rows {
            let text = format!("{name} has {rows} rows, which are no class token and a square of patches");
            return Err(ModelError::Unsupported(text));
        }
        let stored = w.get(&[1, rows, width], name, ParameterRole::Embedding)?;
        let stretch = match side == grid {
            true => None,
            false => {
                let weights = Tensor::from_vec(bicubic(side, grid), (grid * grid, side * side), &Device::Cpu)?;
                Some(weights.to_device(w.device())?.to_dtype(w.dtype())?)
            }
        };
        Ok(PositionTable { stored, stretch })
    }

    /// `[1 + G * G, E]`.
    pub(super) fn rows(&self) -> Result<Tensor> {
        let stored = self.stored.squeeze(0)?;
        let Some(stretch) = &self.stretch else { return Ok(stored) };
        let patches = stored.narrow(0, 1, stored.dim(0)? - 1)?.contiguous()?;
        Tensor::cat(&[stored.narrow(0, 0, 1)?, stretch.matmul(&patches)?], 0)
    }
}

/// PyTorch's `interpolate(mode="bicubic", align_corners=False)` of a `from x from` picture to `to x to`, as a matrix.
fn bicubic(from: usize, to: usize) -> Vec<f32> {
    let axis: Vec<Vec<f64>> = (0..to).map(|at| axis_weights(from, to, at)).collect();
    let mut all = Vec::with_capacity(to * to * from * from);
    for (row, col) in (0..to * to).map(|at| (at / to, at % to)) {
        let weights = (0..from * from).map(|at| axis[row][at / from] * axis[col][at % from]);
        all.extend(weights.map(|weight| weight as f32));
    }
    all
}

/// What each of `from` values counts for value number `at` of `to`; those at the edges stand for what lies beyond.
fn axis_weights(from: usize, to: usize, at: usize) -> Vec<f64> {
    let source = (at as f64 + 0.5) * from as f64 / to as f64 - 0.5;
    let (first, t) = (source.floor(), source - source.floor());
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let mut weights = vec![0.0; from];
    for (tap, weight) in [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)].into_iter().enumerate() {
        let place = (first + tap as f64 - 1.0).clamp(0.0, (from - 1) as f64);
        weights[place as usize] += weight;
    }
    weights
}
