//! Which rows of which sequences the next forward pass computes.
//!
//! A sequence's answer must not depend on what else runs. So prompts are cut at multiples of [`BLOCK`] positions only,
//! and never so that fewer than [`MIN_TAIL`] rows are left: attention has another kernel, with another order of sums,
//! for fewer.

use std::ops::Range;

use zoetrope_models::kv::BLOCK;

/// Fewest rows of a prompt's last part; also what reuse leaves to compute.
pub(super) const MIN_TAIL: usize = 8;

/// How far a sequence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SequenceState {
    /// Rows that the KV cache holds.
    pub(super) stored: usize,
    /// Rows that there are: the prompt and what was generated.
    pub(super) total: usize,
    /// Rows of the prompt.
    pub(super) prompt: usize,
}

/// Sequence numbers and their rows for a pass of about `budget` rows: first the new token of every sequence that
/// generates, then prompts in order.
pub(super) fn schedule(states: &[SequenceState], budget: usize) -> Vec<(usize, Range<usize>)> {
    let generates = |state: &SequenceState| state.stored >= state.prompt;
    let pending = |state: &SequenceState| state.stored < state.total;
    let tokens = states.iter().enumerate().filter(|(_, state)| generates(state) && pending(state));
    let mut runs: Vec<_> = tokens.map(|(number, state)| (number, state.stored..state.total)).collect();
    let mut rows: usize = runs.iter().map(|(_, rows)| rows.len()).sum();
    for (number, state) in states.iter().enumerate().filter(|(_, state)| !generates(state)) {
        if rows >= budget {
            break;
        }
        let end = chunk_end(state.stored, state.total, budget - rows);
        rows += end - state.stored;
        runs.push((number, state.stored..end));
    }
    runs
}

/// Where a prompt of `total` rows is cut when about `budget` rows from `from` on are computed.
fn chunk_end(from: usize, total: usize, budget: usize) -> usize {
    let next = (from / BLOCK + 1) * BLOCK;
    let end = ((from + budget) / BLOCK * BLOCK).max(next);
    if total.saturating_sub(end) < MIN_TAIL { total } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(stored: usize, prompt: usize) -> SequenceState {
        SequenceState { stored, total: prompt, prompt }
    }

    /// One that has read its prompt of 10 rows and has a token to compute.
    const WRITING: SequenceState = SequenceState { stored: 12, total: 13, prompt: 10 };

    #[test]
    fn tokens_come_first_and_prompts_fill_the_budget() {
        let states = [state(0, 1000), WRITING, state(256, 300), WRITING];
        assert_eq!(schedule(&states, 512), [(1, 12..13), (3, 12..13), (0, 0..256), (2, 256..300)]);
        assert_eq!(schedule(&states, 2), [(1, 12..13), (3, 12..13)]);
        assert_eq!(schedule(&states[..1], 512), [(0, 0..512)]);
        assert_eq!(schedule(&[state(5, 5)], 512), []);
    }

    #[test]
    fn prompts_are_cut_at_blocks_and_leave_no_short_tail() {
        for (from, total, budget, want) in [
            (0, 512, 512, 512),
            (0, 519, 512, 519),
            (0, 520, 512, 512),
            (0, 3, 512, 3),
            (0, 1000, 100, 256),
            (100, 1000, 512, 512),
            (255, 1000, 1, 256),
            (0, 263, 1, 263),
        ] {
            assert_eq!(chunk_end(from, total, budget), want, "{from} of {total}, budget {budget}");
        }
    }
}
