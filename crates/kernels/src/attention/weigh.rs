//! Scores to weights: the streaming softmax (FlashAttention, arXiv 2205.14135) of one query a lane, with keys below
//! each other, so that maxima and sums run down the lanes.

#[cfg(target_arch = "x86_64")]
mod avx512;

use crate::activation::exp;
use crate::level::{Level, per_level};
use crate::packed::{Kind, LANES, bytes_of, layout};

/// How far scores may lie above the number they are taken relative to: weights up to `exp(8)`.
const SLACK: f32 = 8.0;

/// What the softmax knows so far, one a lane.
pub(super) struct State {
    max: [f32; LANES],
    pub(super) sum: [f32; LANES],
    /// What earlier sums must be multiplied with.
    pub(super) factor: [f32; LANES],
}

impl State {
    pub(super) fn new() -> Self {
        State { max: [f32::NEG_INFINITY; LANES], sum: [0.0; LANES], factor: [0.0; LANES] }
    }

    /// Takes note of new largest scores; returns what scores are taken relative to.
    #[inline(always)]
    fn raise<const FMA: bool>(&mut self, max: &[f32; LANES]) -> [f32; LANES] {
        let lanes = max.iter().zip(&mut self.max).zip(&mut self.factor).zip(&mut self.sum);
        for (((max, before), factor), sum) in lanes {
            // Weights may be taken relative to any number that keeps them in range. A maximum that rises by little is
            // left where it was, so that earlier sums need no factor.
            let max = if *max <= *before + SLACK { *before } else { *max };
            *factor = if *before == f32::NEG_INFINITY { 0.0 } else { exp::<FMA>(*before - max) };
            *sum *= *factor;
            *before = max;
        }
        // A lane that has seen no key yet: any finite number keeps its weights at zero.
        self.max.map(|max| if max == f32::NEG_INFINITY { 0.0 } else { max })
    }
}

/// Makes `scores` `[keys, LANES]` weights `exp(score - max)`, of which lane `l` has only its first `room[l]`, and
/// returns them as a panel of `kind`, f32 or bf16; `pairs` has room for one.
pub(super) fn weights<'a>(
    level: Level,
    kind: Kind,
    scores: &'a mut [f32],
    room: &[u32; LANES],
    state: &mut State,
    pairs: &'a mut [u32],
) -> &'a [u8] {
    let keys = scores.len() / LANES;
    if kind != Kind::Bf16 {
        weigh_at(level, scores, room, state);
        return bytes_of(scores);
    }
    let pairs = &mut pairs[..keys.div_ceil(2) * LANES];
    #[cfg(target_arch = "x86_64")]
    if level.min(crate::level::level_of_cpu()) == Level::Avx512Vnni {
        // SAFETY: the level was detected on this CPU.
        unsafe { avx512::weigh(scores.as_chunks().0, room, state, pairs.as_chunks_mut().0) };
        return bytes_of(pairs);
    }
    weigh_at(level, scores, room, state);
    pair_at(level, scores, pairs);
    bytes_of(pairs)
}

per_level! {
    /// Scores `[keys, LANES]` to `exp(score - max)`; lane `l` sees only its first `room[l]` keys.
    fn weigh / weigh_at(scores: &mut [f32], room: &[u32; LANES], state: &mut State) {
        let rows = scores.as_chunks_mut::<LANES>().0;
        let hidden = room.iter().any(|room| (*room as usize) < rows.len());
        if hidden {
            for (key, row) in rows.iter_mut().enumerate() {
                for (score, room) in row.iter_mut().zip(room) {
                    *score = if (key as u32) < *room { *score } else { f32::NEG_INFINITY };
                }
            }
        }
        let mut max = state.max;
        for row in rows.iter() {
            for (max, score) in max.iter_mut().zip(row) {
                *max = if *score > *max { *score } else { *max };
            }
        }
        let floor = state.raise::<FMA>(&max);
        let mut sum = state.sum;
        for row in rows.iter_mut() {
            let lanes = row.iter_mut().zip(&floor).zip(&mut sum);
            if hidden {
                lanes.for_each(|((score, floor), sum)| {
                    *score = if *score == f32::NEG_INFINITY { 0.0 } else { exp::<FMA>(*score - floor) };
                    *sum += *score;
                });
            } else {
                lanes.for_each(|((score, floor), sum)| {
                    *score = exp::<FMA>(*score - floor);
                    *sum += *score;
                });
            }
        }
        state.sum = sum;
    }
}

per_level! {
    /// Multiplies every row of `sums` with the lanes' factors.
    pub(super) fn scale / scale_at(sums: &mut [f32], factor: &[f32; LANES]) {
        for row in sums.chunks_exact_mut(LANES) {
            row.iter_mut().zip(factor).for_each(|(sum, factor)| *sum *= factor);
        }
    }
}

per_level! {
    /// Two rows of `weights` at a time as pairs of bf16; a last odd row is paired with zeros.
    fn pair / pair_at(weights: &[f32], pairs: &mut [u32]) {
        let rows = weights.as_chunks::<LANES>().0;
        for (rows, pairs) in rows.chunks(2).zip(pairs.as_chunks_mut::<LANES>().0) {
            let first = &rows[0];
            let second = rows.get(1).unwrap_or(&[0.0; LANES]);
            for lane in 0..LANES {
                // A NaN that `exp` gives keeps its mark through the rounding.
                pairs[lane] = (layout::rounded(first[lane]) >> 16) | (layout::rounded(second[lane]) & 0xffff_0000);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights `[keys, LANES]` of a panel.
    fn of_panel(kind: Kind, panel: &[u8], keys: usize) -> Vec<f32> {
        let word = |at: usize| u32::from_le_bytes([panel[at], panel[at + 1], panel[at + 2], panel[at + 3]]);
        let value = |n: usize| {
            let (key, lane) = (n / LANES, n % LANES);
            if kind == Kind::F32 {
                return f32::from_bits(word(4 * n));
            }
            let pair = word(4 * (key / 2 * LANES + lane));
            f32::from_bits(if key % 2 == 0 { pair << 16 } else { pair & 0xffff_0000 })
        };
        (0..keys * LANES).map(value).collect()
    }

    /// How far a weight may be off in relation to itself: `exp`, then the rounding to bf16.
    fn allowed(kind: Kind, score: f32) -> f64 {
        // The score times log2(e), and the largest one's, are rounded before they are subtracted.
        let exponent = f64::from(score.abs() + 40.0) * f64::from(f32::EPSILON);
        4e-7 + exponent + if kind == Kind::Bf16 { 2.7e-6 + 1.0 / 256.0 } else { 0.0 }
    }

    #[test]
    fn weights_and_sums_are_those_of_the_definition_chunk_after_chunk() {
        let both = Level::available().into_iter().flat_map(|level| [(level, Kind::F32), (level, Kind::Bf16)]);
        for (level, kind) in both {
            let (mut state, mut sums, mut earlier) = (State::new(), [0.0f64; LANES], [0.0f32; LANES]);
            for (chunk, keys) in [1, 2, 7, 192, 5, 64, 33].into_iter().enumerate() {
                // Maxima rise by little and by much; some lanes see nothing yet, some a part.
                let score = |n: usize| ((n * 29 % 83) as f32 - 40.0) * 0.4 + (chunk * (n % LANES)) as f32 * 0.1;
                let mut scores: Vec<f32> = (0..keys * LANES).map(score).collect();
                let room = std::array::from_fn(|lane| if lane % 3 == 0 { keys } else { lane * chunk / 2 % 40 } as u32);
                let mut pairs = vec![9; keys.div_ceil(2) * LANES];
                let panel = weights(level, kind, &mut scores, &room, &mut state, &mut pairs).to_vec();
                for lane in 0..LANES {
                    let max = if state.max[lane] == f32::NEG_INFINITY { 0.0 } else { state.max[lane] };
                    let factor = f64::from(earlier[lane] - max).exp();
                    assert!(sums[lane] == 0.0 || (f64::from(state.factor[lane]) - factor).abs() <= 4e-6 * factor);
                    sums[lane] *= factor;
                    earlier[lane] = max;
                    for (key, got) in of_panel(kind, &panel, keys).chunks(LANES).map(|row| row[lane]).enumerate() {
                        let score = score(key * LANES + lane);
                        let want = if (key as u32) < room[lane] { f64::from(score - max).exp() } else { 0.0 };
                        let most = allowed(kind, score) * want;
                        assert!((f64::from(got) - want).abs() <= most, "{level:?} {kind:?}, {keys} keys: {got} {want}");
                        assert!(want <= f64::from(SLACK).exp(), "{score} above {max}");
                        sums[lane] += want;
                    }
                    let off = (f64::from(state.sum[lane]) - sums[lane]).abs();
                    assert!(off <= 2e-5 * sums[lane], "{level:?} {kind:?} lane {lane}: {off} of {}", sums[lane]);
                }
            }
        }
    }

    #[test]
    fn scores_that_are_not_finite_keep_to_their_lane() {
        let both = Level::available().into_iter().flat_map(|level| [(level, Kind::F32), (level, Kind::Bf16)]);
        for (level, kind) in both {
            let mut scores = vec![1.0; 4 * LANES];
            (scores[3], scores[LANES + 4], scores[2 * LANES + 5]) = (f32::NEG_INFINITY, f32::NAN, -1e30);
            let (mut state, mut pairs) = (State::new(), vec![9; 2 * LANES]);
            let panel = weights(level, kind, &mut scores, &[4; LANES], &mut state, &mut pairs).to_vec();
            for (n, weight) in of_panel(kind, &panel, 4).into_iter().enumerate() {
                match (n / LANES, n % LANES) {
                    (0, 3) | (2, 5) => assert!((0.0..1e-37).contains(&weight), "{level:?} {kind:?}: {weight}"),
                    (1, 4) => assert!(weight.is_nan(), "{level:?} {kind:?}: {weight}"),
                    _ => assert_eq!(weight, 1.0, "{level:?} {kind:?} at {n}"),
                }
            }
            let wrong: Vec<usize> = (0..LANES).filter(|lane| !state.sum[*lane].is_finite()).collect();
            assert_eq!(wrong, [4], "{level:?} {kind:?}");
        }
    }
}
