//! Projector, and what becomes of its rows: tiles put together, bars cut off, scaled, newlines set (LLaVA-OneVision
//! paper, section 3).
//!
//! Legend: N feature rows, V visual tokens, E encoder width, D language width; F frames, H rows and W columns.

use candle_core::{Device, Result, Tensor, bail};

use super::config::{Config, Newline};
use super::geometry::TokenGrid;
use crate::error::ModelResult;
use crate::layers::{Bias, Linear, Mlp, PreNorm};
use crate::ops;
use crate::weights::{ParameterGroup, ParameterRole, Weights};

/// Two layers with exact GELU, and the embedding that ends a row of visual tokens.
pub(super) struct Projector {
    mlp: Mlp,
    /// `[D]`.
    newline: Tensor,
}

impl Projector {
    /// Reads `multi_modal_projector` and `image_newline` below `model`.
    pub(super) fn load(weights: &Weights, c: &Config) -> ModelResult<Self> {
        let w = weights.group(ParameterGroup::Projector).sub("model");
        let (vision, language) = (c.vision.hidden, c.language.hidden);
        let bias = Bias::when(c.projector_bias);
        let first = Linear::load(&w.sub("multi_modal_projector.linear_1"), vision, language, bias)?;
        let second = Linear::load(&w.sub("multi_modal_projector.linear_2"), language, language, bias)?;
        let newline = w.get(&[language], "image_newline", ParameterRole::Embedding)?;
        Ok(Projector { mlp: Mlp::gelu_erf(first, second), newline })
    }

    /// `[N, E]` to `[N, D]`.
    fn forward(&self, x_ne: &Tensor) -> Result<Tensor> {
        self.mlp.forward(PreNorm::None, x_ne, None)
    }

    /// A picture in one view: its rows, then a newline.
    pub(super) fn one_view(&self, x_ne: &Tensor) -> Result<Tensor> {
        self.ended(&self.forward(x_ne)?)
    }

    /// A picture in a base view and `tiles` (columns, rows): the base, then the rows of all tiles put together, each
    /// with a newline at its end. `side` is that of a view.
    pub(super) fn tiles(&self, x_ne: &Tensor, side: usize, tiles: (usize, usize), grid: &TokenGrid) -> Result<Tensor> {
        let x_nd = self.forward(x_ne)?;
        let (n, d) = x_nd.dims2()?;
        let base = side * side;
        if n != base * (1 + tiles.0 * tiles.1) {
            bail!("{n} features of a base view and {} x {} tiles of {base}", tiles.0, tiles.1)
        }
        let (rows, cols) = grid.cropped;
        // Row y and column x of all tiles together lie in tile (y / side, x / side).
        let row = |y: usize, x: usize| {
            let tile = y / side * tiles.0 + x / side;
            (base * (1 + tile) + y % side * side + x % side) as u32
        };
        let (top, left) = grid.first;
        let order = (top..top + rows).flat_map(|y| (left..left + cols).map(move |x| row(y, x)));
        let order = Tensor::from_iter(order, x_nd.device())?;
        let x_hwd = x_nd.index_select(&order, 0)?.reshape((1, rows, cols, d))?;
        let x_hwd = scaled(&x_hwd, grid.scaled)?;
        Tensor::cat(&[x_nd.narrow(0, 0, base)?, self.with_newlines(&x_hwd)?], 0)
    }

    /// Frames of a video of `side` x `side` features each, pooled to `pooled` x `pooled` tokens; `ends` says whether
    /// the last of them is the video's last.
    pub(super) fn frames(
        &self,
        x_ne: &Tensor,
        side: usize,
        pooled: usize,
        newline: Newline,
        ends: bool,
    ) -> Result<Tensor> {
        let x_nd = self.forward(x_ne)?;
        let (n, d) = x_nd.dims2()?;
        let frames = n / (side * side);
        let x_fhwd = scaled(&x_nd.reshape((frames, side, side, d))?, (pooled, pooled))?;
        match newline {
            Newline::Row => self.with_newlines(&x_fhwd),
            Newline::Frame => self.with_newlines(&x_fhwd.reshape((frames, 1, pooled * pooled, d))?),
            Newline::End if ends => self.ended(&x_fhwd.reshape(((), d))?),
            Newline::End | Newline::Nowhere => x_fhwd.reshape(((), d)),
        }
    }

    /// Rows `[V, D]` and a newline.
    fn ended(&self, x_vd: &Tensor) -> Result<Tensor> {
        Tensor::cat(&[x_vd, &self.newline.to_dtype(x_vd.dtype())?.unsqueeze(0)?], 0)
    }

    /// `[F, H, W, D]` with one more column of newlines, as rows `[V, D]`.
    fn with_newlines(&self, x_fhwd: &Tensor) -> Result<Tensor> {
        let (f, h, _, d) = x_fhwd.dims4()?;
        let column = self.newline.to_dtype(x_fhwd.dtype())?.reshape((1, 1, 1, d))?.repeat((f, h, 1, 1))?;
        Tensor::cat(&[x_fhwd, &column], 2)?.reshape(((), d))
    }
}

/// Bilinear resize of `[F, H, W, D]` to rows and columns `to`: half-pixel centers, no antialiasing.
fn scaled(x_fhwd: &Tensor, to: (usize, usize)) -> Result<Tensor> {
    let (_, h, w, _) = x_fhwd.dims4()?;
    if (h, w) == to {
        return Ok(x_fhwd.clone());
    }
    along(&along(x_fhwd, 1, to.0)?, 2, to.1)
}

/// One axis of a bilinear resize: each of `n` lines is a sum of two.
fn along(x: &Tensor, axis: usize, n: usize) -> Result<Tensor> {
    let lines = Lines::new(x.dim(axis)?, n);
    let mut shape = [1; 4];
    shape[axis] = n;
    let part = |at: Vec<u32>, weights: Vec<f32>| -> Result<Tensor> {
        let weights = Tensor::from_vec(weights, &shape, &Device::Cpu)?.to_dtype(x.dtype())?.to_device(x.device())?;
        x.index_select(&Tensor::from_vec(at, n, x.device())?, axis)?.broadcast_mul(&weights)
    };
    let rest = lines.weights.iter().map(|weight| 1.0 - weight).collect();
    ops::add(&part(lines.first, rest)?, &part(lines.second, lines.weights)?)
}

/// The lines that each new line lies between, and the weight of the second.
struct Lines {
    first: Vec<u32>,
    second: Vec<u32>,
    weights: Vec<f32>,
}

impl Lines {
    /// `n` lines of `from`.
    fn new(from: usize, n: usize) -> Self {
        let scale = from as f32 / n as f32;
        let (mut first, mut second, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..n {
            let at = ((i as f32 + 0.5) * scale - 0.5).max(0.0);
            let line = (at as usize).min(from - 1);
            first.push(line as u32);
            second.push((line + 1).min(from - 1) as u32);
            weights.push(at - line as f32);
        }
        Lines { first, second, weights }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;

    #[test]
    fn bilinear_pooling_of_27_to_14_has_the_published_source_pairs() {
        let lines = Lines::new(27, 14);
        let row = |i: usize| (lines.first[i], lines.second[i], (f64::from(lines.weights[i]) * 1e6).round() / 1e6);
        let want = [(0, 0, 1, 0.464286), (1, 2, 3, 0.392857), (2, 4, 5, 0.321429), (13, 25, 26, 0.535714)];
        for (i, first, second, weight) in want {
            let (a, b, w) = row(i);
            assert!((a, b) == (first, second) && (w - weight).abs() < 2e-6, "{i}: {:?}", row(i));
        }
    }

    #[test]
    fn a_resize_to_the_same_size_is_the_same_and_a_larger_one_repeats_the_edges() {
        let x = Tensor::arange(0f32, 12.0, &Device::Cpu).unwrap().reshape((1, 3, 4, 1)).unwrap();
        let values = |x: &Tensor| x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(&scaled(&x, (3, 4)).unwrap()), values(&x));
        assert_eq!(values(&along(&x, 1, 6).unwrap())[..4], [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(scaled(&x, (2, 2)).unwrap().dims(), [1, 2, 2, 1]);
    }
}
