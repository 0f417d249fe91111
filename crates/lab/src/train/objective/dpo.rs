//! Direct preference optimization (DPO, arXiv 2305.18290, equation 7) of one pair, in plain numbers: the sigmoid loss
//! of TRL's DPOTrainer, its label smoothing (conservative DPO) and the nats of the chosen answer (RPO, arXiv
//! 2404.19733).

/// What the loss depends on besides the answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::train) struct Dpo {
    /// How much a nat between the model and its reference counts.
    pub(in crate::train) beta: f64,
    /// Probability that the rejected answer is the better one, from 0 to below 0.5.
    pub(in crate::train) label_smoothing: f64,
    /// Weight of the mean nats of a token of the chosen answer.
    pub(in crate::train) rpo_alpha: f64,
}

/// Log-probabilities of the answers of a pair in nats: sums over their tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::train) struct PairLogProbs {
    pub(in crate::train) chosen: f64,
    pub(in crate::train) rejected: f64,
}

/// The loss of a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PairLoss {
    pub(super) loss: f64,
    /// Its derivatives by the log-probabilities that the model gives.
    pub(super) slopes: PairLogProbs,
    /// `beta` times what each answer has gained over the reference.
    pub(super) rewards: PairLogProbs,
}

impl Dpo {
    /// The loss of a pair whose chosen answer has so many tokens.
    pub(super) fn loss(&self, model: PairLogProbs, reference: PairLogProbs, chosen_tokens: usize) -> PairLoss {
        let reward = |model: f64, reference: f64| self.beta * (model - reference);
        let rewards = PairLogProbs {
            chosen: reward(model.chosen, reference.chosen),
            rejected: reward(model.rejected, reference.rejected),
        };
        let (x, smoothing) = (rewards.chosen - rewards.rejected, self.label_smoothing);
        let nats = self.rpo_alpha / chosen_tokens.max(1) as f64;
        let sigmoid = (1.0 - smoothing) * softplus(-x) + smoothing * softplus(x);
        // d/dx of `(1 - s) softplus(-x) + s softplus(x)`.
        let slope = smoothing - 1.0 / (1.0 + x.exp());
        let slopes = PairLogProbs { chosen: self.beta * slope - nats, rejected: -self.beta * slope };
        PairLoss { loss: sigmoid - nats * model.chosen, slopes, rewards }
    }
}

/// `log(1 + exp(x))`, which is `-logsigmoid(-x)`.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
