//! Projector: of each unit a few query tokens that hear the instruction, and its features averaged over squares of
//! patches and over frames.
//!
//! Legend: U units, R feature rows, E encoder width, Q queries, H heads, M averaged tokens of a unit, V visual tokens,
//! D language width.

use candle_core::{Result, Tensor};
use zoetrope_models::contract::features::Features;
use zoetrope_models::error::ModelResult;
use zoetrope_models::layers::{Bias, LayerNorm, Linear, Mlp, PreNorm};
use zoetrope_models::ops::{self, AttentionOptions};
use zoetrope_models::weights::{ParameterRole, WeightType, Weights};

use super::config::Config;

/// Width of a query with its instruction: two heads.
const HEADS: usize = 2;

/// From features to visual tokens.
pub(super) struct Projector {
    /// `[Q, E]`.
    queries: Tensor,
    instruction: Linear,
    norm: LayerNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    query_mlp: Mlp,
    content: Linear,
    compute: WeightType,
    grid: usize,
}

impl Projector {
    /// Reads the tensors below `projector`.
    pub(super) fn load(w: &Weights, c: &Config) -> ModelResult<Self> {
        let (e, d) = (c.vision.hidden, c.language.hidden);
        let linear = |name: &str, input: usize, output: usize| Linear::load(&w.sub(name), input, output, Bias::Zero);
        Ok(Projector {
            queries: w.get(&[c.queries, e], "queries", ParameterRole::Embedding)?,
            instruction: linear("instruction", d, e)?,
            norm: LayerNorm::load(&w.sub("norm"), e, c.vision.eps)?,
            q: linear("q", e, e)?,
            k: linear("k", e, e)?,
            v: linear("v", e, e)?,
            query_mlp: Mlp::gelu_tanh(linear("fc1", e, d)?, linear("fc2", d, d)?),
            content: linear("content", e, d)?,
            compute: w.attention_compute(),
            grid: c.vision.grid,
        })
    }

    /// Visual tokens `[V, D]` of some units; `merge x merge` patches become one token. `instruction_d` is `[1, D]`.
    pub(super) fn forward(&self, features: &Features, merge: usize, instruction_d: Option<&Tensor>) -> Result<Tensor> {
        let units = features.per_unit.len();
        let queries_vd = self.query_mlp.forward(PreNorm::None, &self.attend(features, instruction_d)?, None)?;
        let content_vd = self.content.forward(&self.average(features, merge)?)?;
        let (q, m) = (self.queries.dim(0)?, content_vd.dim(0)? / units);
        let all = Tensor::cat(&[&queries_vd, &content_vd], 0)?;
        let of_unit = |unit: usize| (unit * q..(unit + 1) * q).chain(units * q + unit * m..units * q + (unit + 1) * m);
        let order: Vec<u32> = (0..units).flat_map(of_unit).map(|row| row as u32).collect();
        all.index_select(&Tensor::from_vec(order, units * (q + m), all.device())?, 0)
    }

    /// What the queries find in each unit: `[U * Q, E]`.
    fn attend(&self, features: &Features, instruction_d: Option<&Tensor>) -> Result<Tensor> {
        let (units, (n, e)) = (features.per_unit.len(), self.queries.dims2()?);
        let queries = match instruction_d {
            Some(instruction_d) => self.queries.broadcast_add(&self.instruction.forward(instruction_d)?)?,
            None => self.queries.clone(),
        };
        let repeated = Tensor::cat(&vec![&queries; units], 0)?;
        let (q, c) = (self.q.forward(&repeated)?, e / HEADS);
        let [k, v] = Linear::forward_fused(PreNorm::Layer(&self.norm), [&self.k, &self.v], &features.rows)?;
        let split = |x: &Tensor| x.reshape((x.dim(0)?, HEADS, c));
        let lens: Vec<(usize, usize)> = features.per_unit.iter().map(|&rows| (n, rows)).collect();
        let options = AttentionOptions { compute: self.compute, causal: false, scale: (c as f64).powf(-0.5) };
        let found = ops::attention(options, &split(&q)?, &split(&k)?, &split(&v)?, &lens)?;
        ops::add(&repeated, &found.reshape((units * n, e))?)
    }

    /// Means over the frames of a unit and over squares of `merge x merge` patches: `[U * M, E]`.
    fn average(&self, features: &Features, merge: usize) -> Result<Tensor> {
        let side = self.grid / merge;
        let frames = features.per_unit.first().map_or(0, |rows| rows / (self.grid * self.grid));
        let mut sum: Option<Tensor> = None;
        for part in 0..frames * merge * merge {
            let (frame, row, col) = (part / (merge * merge), part / merge % merge, part % merge);
            let mut rows = Vec::new();
            for unit in 0..features.per_unit.len() {
                let first = (unit * frames + frame) * self.grid * self.grid;
                let place = |square: usize| (square / side * merge + row) * self.grid + square % side * merge + col;
                rows.extend((0..side * side).map(|square| (first + place(square)) as u32));
            }
            let n = rows.len();
            let own = features.rows.index_select(&Tensor::from_vec(rows, n, features.rows.device())?, 0)?;
            sum = Some(match sum {
                Some(sum) => (sum + own)?,
                None => own,
            });
        }
        match sum {
            Some(sum) => sum / (frames * merge * merge) as f64,
            None => features.rows.narrow(0, 0, 0),
        }
    }
}
