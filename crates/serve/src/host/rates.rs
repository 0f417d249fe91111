//! How fast a model is on this machine, as its answers so far have shown.

use std::sync::{Mutex, PoisonError};

use zoetrope_engine::{RequestPlan, TurnReport};

/// The newest answer's share of what is known.
const NEWEST: f64 = 0.3;
/// Fewer tokens than this say nothing: fixed costs weigh more.
const FEWEST: usize = 32;

/// Seconds for a token, where they are known.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Decoding and encoding, for a visual token before pruning.
    visual: Option<f64>,
    /// Reading, for a token of the prompt.
    prompt: Option<f64>,
}

/// What the answers so far have shown.
#[derive(Default)]
pub(crate) struct Rates(Mutex<Known>);

impl Rates {
    /// Learns from an answer.
    pub(crate) fn learn(&self, report: &TurnReport) {
        let (times, tokens) = (&report.timings, &report.tokens);
        let fresh = report.media.iter().filter(|media| media.features.is_none());
        let visual = fresh.map(|media| media.tokens_before_pruning).sum();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing is encoded in no time: what took none came from memory.
        if times.decode + times.encode > 1e-3 {
            mix(&mut known.visual, times.decode + times.encode, visual);
        }
        mix(&mut known.prompt, times.prefill, tokens.prompt - tokens.reused.min(tokens.prompt));
    }

    /// Seconds until the first token of what is planned, when nothing else runs; `None` before the first answers.
    pub(crate) fn first_token(&self, plan: &RequestPlan) -> Option<f64> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = plan.media.iter().filter(|media| media.features.is_none());
        let visual: usize = fresh.map(|media| media.tokens_before_pruning).sum();
        let encoding = if visual == 0 { 0.0 } else { known.visual? * visual as f64 };
        Some(encoding + known.prompt? * plan.tokens.prompt as f64)
    }
}

fn mix(rate: &mut Option<f64>, seconds: f64, tokens: usize) {
    if tokens >= FEWEST {
        let new = seconds / tokens as f64;
        *rate = Some(rate.map_or(new, |old| old + NEWEST * (new - old)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_the_answers() {
        let mut rate = None;
        mix(&mut rate, 9.0, FEWEST - 1);
        assert_eq!(rate, None);
        mix(&mut rate, 2.0, 100);
        mix(&mut rate, 4.0, 100);
        assert!(rate.is_some_and(|rate| (rate - 0.026).abs() < 1e-9), "{rate:?}");
    }
}
