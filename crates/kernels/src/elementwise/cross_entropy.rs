//! Cross entropy of logits with classes, and its gradient, row by row, f32.
//!
//! Shapes: `logits` is `[rows, classes]`; `targets`, `nats` and `dy` are `[rows]`. Sums run in eight lanes so that they
//! vectorize.

use super::exp::exp;
use crate::isa::per_isa;

const LANES: usize = 8;

/// The largest value of `x`.
#[inline(always)]
fn max_of(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    lanes.into_iter().fold(rest, f32::max)
}

/// The sum of `exp(x - max)`.
#[inline(always)]
fn sum_of_exp<const FMA: bool>(x: &[f32], max: f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|value| exp::<FMA>(value - max)).sum();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += exp::<FMA>(value - max);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

per_isa! {
    /// Writes `ln(sum over c of exp(logits[c])) - logits[target]` of each row to `nats`.
    ///
    /// # Panics
    /// When a target is not below `classes`.
    pub fn cross_entropy / cross_entropy_at(logits: &[f32], targets: &[u32], nats: &mut [f32]) {
        let classes = logits.len() / targets.len().max(1);
        for ((row, &target), nats) in logits.chunks_exact(classes.max(1)).zip(targets).zip(nats.iter_mut()) {
            let max = max_of(row);
            *nats = sum_of_exp::<FMA>(row, max).ln() - (row[target as usize] - max);
        }
    }
}

per_isa! {
    /// Gradient of [`cross_entropy`]: writes `dy (softmax(logits) - [c is the target])` of each row to `dlogits`.
    ///
    /// # Panics
    /// When a target is not below `classes`.
    pub fn cross_entropy_backward / cross_entropy_backward_at(
        logits: &[f32], targets: &[u32], dy: &[f32], dlogits: &mut [f32],
    ) {
        let classes = (logits.len() / targets.len().max(1)).max(1);
        let rows = logits.chunks_exact(classes).zip(dlogits.chunks_exact_mut(classes));
        for ((row, dlogits), (&target, &dy)) in rows.zip(targets.iter().zip(dy)) {
            let max = max_of(row);
            let scale = dy / sum_of_exp::<FMA>(row, max);
            for (out, &value) in dlogits.iter_mut().zip(row) {
                *out = scale * exp::<FMA>(value - max);
            }
            dlogits[target as usize] -= dy;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    #[test]
    fn values_and_gradients_match_f64_at_every_isa_and_width() {
        for isa in Isa::available() {
            for classes in [1, 3, 8, 21, 1000] {
                let logits: Vec<f32> = (0..3 * classes).map(|i| (i as f32 * 0.73).sin() * 9.0).collect();
                let (targets, dy) = ([0, classes as u32 / 2, classes as u32 - 1], [1.0, -0.5, 2.0]);
                let (mut nats, mut dlogits) = ([f32::NAN; 3], vec![f32::NAN; 3 * classes]);
                cross_entropy_at(isa, &logits, &targets, &mut nats);
                cross_entropy_backward_at(isa, &logits, &targets, &dy, &mut dlogits);
                for r in 0..3 {
                    let row = &logits[r * classes..][..classes];
                    let norm = row.iter().map(|value| f64::from(*value).exp()).sum::<f64>().ln();
                    let want = norm - f64::from(row[targets[r] as usize]);
                    // `exp` is right to 3e-7, a logit of at most 9 less the largest to 1e-6.
                    assert!((f64::from(nats[r]) - want).abs() < 3e-6, "{isa:?} {classes}: {} {want}", nats[r]);
                    for (c, value) in row.iter().enumerate() {
                        let hit = if c == targets[r] as usize { 1.0 } else { 0.0 };
                        let want = f64::from(dy[r]) * ((f64::from(*value) - norm).exp() - hit);
                        assert!((f64::from(dlogits[r * classes + c]) - want).abs() < 4e-6, "{isa:?} {classes} {c}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_rows_are_no_work() {
        cross_entropy(&[], &[], &mut []);
        cross_entropy_backward(&[], &[], &[], &mut []);
    }
}
