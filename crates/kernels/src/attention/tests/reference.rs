//! The definition of attention, and test data.

use super::super::AttentionParams;

/// Attention by its definition, in f64.
pub(super) fn reference(q: &[f64], k: &[f64], v: &[f64], segments: &[(usize, usize)], p: &AttentionParams) -> Vec<f64> {
    let (mut out, mut q0, mut k0) = (vec![0.0; q.len()], 0, 0);
    for &(queries, keys) in segments {
        for i in 0..queries {
            for head in 0..p.heads {
                let kv = head / (p.heads / p.kv_heads);
                let q_at = ((q0 + i) * p.heads + head) * p.dim;
                let k_at = |j: usize| ((k0 + j) * p.kv_heads + kv) * p.dim;
                let visible = if p.causal { keys - queries + i + 1 } else { keys };
                let scores: Vec<f64> = (0..visible)
                    .map(|j| (0..p.dim).map(|c| q[q_at + c] * k[k_at(j) + c]).sum::<f64>() * f64::from(p.scale))
                    .collect();
                let max = scores.iter().cloned().fold(f64::MIN, f64::max);
                let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
                for c in 0..p.dim {
                    let weighted = |j: usize| (scores[j] - max).exp() / sum * v[k_at(j) + c];
                    out[q_at + c] = (0..visible).map(weighted).sum();
                }
            }
        }
        q0 += queries;
        k0 += keys;
    }
    out
}

/// Test data between -1.5 and 1.5.
pub(super) fn wave(n: usize, phase: f32) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.77 + phase).sin() * 1.5).collect()
}

pub(super) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}
