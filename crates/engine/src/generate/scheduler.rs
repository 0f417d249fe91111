//! Which rows of which sequences the next forward pass computes.
//!
//! A sequence's answer must not depend on what else runs. So prompts are cut at multiples of [`BLOCK`] positions only,
//! and never so that fewer than [`MIN_TAIL`] rows are left: attention has another kernel, with another order of sums,
//! for fewer.

use std::ops::Range;

use zoetrope_models::kv::BLOCK;

/// Fewest rows of a prompt's last part; also what reuse leaves to compute.
pub(crate) const MIN_TAIL: usize = 8;

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

/// Steps in a row that may pass over long prompts while short ones come.
const MOST_PASSED_OVER: usize = 2;

/// Sequence numbers and their rows for a pass of about `budget` rows: first the new token of every sequence that
/// generates, then prompts in order. While there are prompts of which at most a block is left, longer ones are passed
/// over, so that a short question does not wait for the reading of a film; `passed_over` counts the steps in a row in
/// which that happened, and keeps it from going on for ever.
pub(super) fn schedule(states: &[SequenceState], budget: usize, passed_over: &mut usize) -> Vec<(usize, Range<usize>)> {
    let generates = |state: &SequenceState| state.stored >= state.prompt;
    let pending = |state: &SequenceState| state.stored < state.total;
    let tokens = states.iter().enumerate().filter(|(_, state)| generates(state) && pending(state));
    let mut runs: Vec<_> = tokens.map(|(number, state)| (number, state.stored..state.total)).collect();
    let mut rows: usize = runs.iter().map(|(_, rows)| rows.len()).sum();
    let prompts = || states.iter().enumerate().filter(|(_, state)| !generates(state));
    let is_short = |state: &SequenceState| state.total - state.stored <= BLOCK;
    let (has_short, has_long) = (prompts().any(|(_, s)| is_short(s)), prompts().any(|(_, s)| !is_short(s)));
    let passes_over = has_short && has_long && *passed_over < MOST_PASSED_OVER;
    *passed_over = if passes_over { *passed_over + 1 } else { 0 };
    for (number, state) in prompts().filter(|(_, state)| !passes_over || is_short(state)) {
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

    fn fresh(states: &[SequenceState], budget: usize) -> Vec<(usize, Range<usize>)> {
        schedule(states, budget, &mut 0)
    }

    #[test]
    fn tokens_come_first_and_prompts_fill_the_budget() {
        let states = [state(0, 1000), WRITING, state(256, 600), WRITING];
        assert_eq!(fresh(&states, 512), [(1, 12..13), (3, 12..13), (0, 0..256), (2, 256..512)]);
        assert_eq!(fresh(&states, 2), [(1, 12..13), (3, 12..13)]);
        assert_eq!(fresh(&states[..1], 512), [(0, 0..512)]);
        assert_eq!(fresh(&[state(5, 5)], 512), []);
    }

    #[test]
    fn a_short_question_passes_long_prompts_which_get_their_turn() {
        let states = [state(0, 1000), WRITING, state(0, 20)];
        let mut passed_over = 0;
        let turns: Vec<_> = (0..4).map(|_| schedule(&states, 512, &mut passed_over)).collect();
        let short_only = vec![(1, 12..13), (2, 0..20)];
        let both = vec![(1, 12..13), (0, 0..256), (2, 0..20)];
        assert_eq!(turns, [short_only.clone(), short_only.clone(), both, short_only]);
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
