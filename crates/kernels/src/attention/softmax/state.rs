//! State of the online softmax between chunks of keys.

use crate::elementwise::exp::exp;
use crate::gemm::layout::NR;

/// How far a score may lie above the maximum in use before sums are rescaled: unnormalized probabilities reach at most
/// `exp(8)`.
pub(super) const RESCALE_THRESHOLD: f32 = 8.0;

/// Maximum and sum of each lane over the chunks so far.
pub(crate) struct OnlineSoftmax {
    pub(super) max: [f32; NR],
    pub(crate) sum: [f32; NR],
    /// What sums of earlier chunks must be multiplied with.
    pub(crate) factor: [f32; NR],
}

impl OnlineSoftmax {
    pub(crate) fn new() -> Self {
        OnlineSoftmax { max: [f32::NEG_INFINITY; NR], sum: [0.0; NR], factor: [0.0; NR] }
    }

    /// Takes the maxima of the scores so far and returns the offsets to subtract from scores.
    #[inline(always)]
    pub(super) fn update_max<const FMA: bool>(&mut self, max: &[f32; NR]) -> [f32; NR] {
        let lanes = max.iter().zip(&mut self.max).zip(&mut self.factor).zip(&mut self.sum);
        for (((max, before), factor), sum) in lanes {
            // Any offset that keeps the exponentials in range is right. A maximum that rises by little is left as it
            // was, so that earlier sums need no factor.
            let max = if *max <= *before + RESCALE_THRESHOLD { *before } else { *max };
            *factor = if *before == f32::NEG_INFINITY { 0.0 } else { exp::<FMA>(*before - max) };
            *sum *= *factor;
            *before = max;
        }
        // A lane that has seen no key yet: any finite offset keeps its probabilities at zero.
        self.max.map(|max| if max == f32::NEG_INFINITY { 0.0 } else { max })
    }
}
