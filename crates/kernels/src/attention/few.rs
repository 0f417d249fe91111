//! Few queries over many keys, as when an answer is written: keys and values are read once, where they are.

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod plain;

#[cfg(target_arch = "x86_64")]
use super::stored::{Stored, as_rows};
use super::{Inputs, Sequence};
use crate::activation::exp;
#[cfg(target_arch = "x86_64")]
use crate::level::level_of_cpu;
use crate::level::{Level, per_level};
#[cfg(target_arch = "x86_64")]
use crate::packed::Kind;
use crate::team;

/// Keys that one job takes at once; its scores stay in the first cache.
const SPAN: usize = 256;
/// Rows between the one that is read and the one that is asked for: a page and more, at whose end the machine's own
/// guesses stop.
const AHEAD: usize = 24;
/// Rows of values that are added up at once; divides [`SPAN`].
const KEYS: usize = 4;

/// Attention of `sequences` of a few queries each.
pub(super) fn few(inputs: &Inputs<'_>, sequences: &[Sequence], out: &mut [f32]) {
    let h = inputs.h;
    for sequence in sequences {
        let jobs = sequence.keys.div_ceil(SPAN) * h.kv_heads;
        let one = |job: usize| part(inputs, sequence, job % h.kv_heads, job / h.kv_heads * SPAN);
        let large = sequence.keys * h.heads * h.dim * sequence.queries >= 1 << 18;
        let parts: Vec<Part> = if large { team::map(jobs, one) } else { (0..jobs).map(one).collect() };
        for i in 0..sequence.queries {
            for head in 0..h.heads {
                let at = ((sequence.first_query + i) * h.heads + head) * h.dim;
                let group = h.heads / h.kv_heads;
                let of_head = parts.iter().skip(head / group).step_by(h.kv_heads);
                join(inputs.level, of_head, i * group + head % group, h.dim, &mut out[at..at + h.dim]);
            }
        }
    }
}

/// What one span of keys gives the queries of one key head: unnormalised.
struct Part {
    /// Largest score, one a query and head.
    max: Vec<f32>,
    /// Sum of `exp(score - max)`.
    sum: Vec<f32>,
    /// Sum of values times those, `[queries * group, dim]`.
    out: Vec<f32>,
}

/// `SPAN` keys from `first` on of one key head.
fn part(inputs: &Inputs<'_>, s: &Sequence, kv: usize, first: usize) -> Part {
    let (level, q, h) = (inputs.level, inputs.q, inputs.h);
    let group = h.heads / h.kv_heads;
    let rows = s.queries * group;
    let mut part = Part { max: vec![f32::NEG_INFINITY; rows], sum: vec![0.0; rows], out: vec![0.0; rows * h.dim] };
    let mut scores = vec![0.0; group * SPAN];
    for i in 0..s.queries {
        let keys = SPAN.min(s.seen(h.causal, i).saturating_sub(first));
        if keys == 0 {
            continue;
        }
        let start = (s.first_key + first) * h.kv_heads + kv;
        let span = Span { start, step: h.kv_heads, keys, dim: h.dim };
        let at = ((s.first_query + i) * h.heads + kv * group) * h.dim;
        let (q, own) = (&q[at..at + group * h.dim], i * group..(i + 1) * group);
        dots(inputs, q, span, &mut scores);
        for (row, scores) in own.clone().zip(scores.chunks_exact_mut(SPAN)) {
            let scores = &mut scores[..keys.next_multiple_of(KEYS)];
            weigh_at(level, &mut scores[..keys], h.scale, &mut part.max[row], &mut part.sum[row]);
            scores[keys..].fill(0.0);
        }
        let out = &mut part.out[own.start * h.dim..own.end * h.dim];
        gather(inputs, &scores, span, out);
    }
    part
}

/// Some rows of keys or values: row `start` and every `step`th after it, `keys` in all, of `dim` values.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    step: usize,
    keys: usize,
    dim: usize,
}

impl Span {
    fn row(self, j: usize) -> usize {
        self.start + j * self.step
    }

    /// Panics unless there are these rows among `stored` values, and room for scores and vectors of the same heads.
    fn check(self, stored: usize, scores: usize, vectors: usize) {
        assert!((1..=SPAN).contains(&self.keys) && self.dim > 0, "a span of keys");
        assert!((self.row(self.keys - 1) + 1) * self.dim <= stored, "rows of a span of keys");
        assert!(vectors.is_multiple_of(self.dim) && scores == vectors / self.dim * SPAN, "heads of a span of keys");
    }
}

/// Calls the fastest kernel called `$name` that the level has for what is stored; its sizes are checked before.
macro_rules! fastest {
    ($name:ident / $name_at:ident, $inputs:expr, $stored:expr, $from:expr, $span:expr, $to:expr) => {{
        #[cfg(target_arch = "x86_64")]
        match ($inputs.level.min(level_of_cpu()), $stored) {
            // SAFETY: the level was detected on this CPU, and the caller has checked the sizes.
            (Level::Avx512Vnni, Stored::Bf16(rows)) if $inputs.kind == Kind::Bf16 => unsafe {
                return bf16::$name($from, rows, $span, $to);
            },
            // SAFETY: as above.
            (Level::Avx512 | Level::Avx512Vnni, stored) => unsafe {
                return as_rows!(stored, rows => avx512::$name($from, rows, $span, $to));
            },
            _ => {}
        }
        plain::$name_at($inputs.level, $from, $stored, $span, $to);
    }};
}

/// `scores[g, j] = q[g] . k[j]` for all heads `g` of a group and the keys of `span`; rows of scores are [`SPAN`] long,
/// and what stands there beyond the keys means nothing. Every key is read once for all heads.
fn dots(inputs: &Inputs<'_>, q: &[f32], span: Span, scores: &mut [f32]) {
    span.check(inputs.k.len(span.dim), scores.len(), q.len());
    fastest!(dots / dots_at, inputs, inputs.k, q, span, scores);
}

/// `out[g] += sum of weights[g, j] * v[j]` over the keys of `span`; weights beyond them are zero up to a multiple of
/// [`KEYS`].
fn gather(inputs: &Inputs<'_>, weights: &[f32], span: Span, out: &mut [f32]) {
    span.check(inputs.v.len(span.dim), weights.len(), out.len());
    fastest!(gather / gather_at, inputs, inputs.v, weights, span, out);
}

per_level! {
    /// Scores to `exp(scale * score - max)`, with the largest scaled score and their sum.
    fn weigh / weigh_at(scores: &mut [f32], scale: f32, max: &mut f32, sum: &mut f32) {
        // Sums and maxima of lanes: of one after the other each waits for the one before.
        let (lanes, rest) = scores.as_chunks_mut::<16>();
        let mut most = [f32::NEG_INFINITY; 16];
        for lanes in lanes.iter() {
            most.iter_mut().zip(lanes).for_each(|(most, score)| *most = most.max(score * scale));
        }
        *max = most.into_iter().chain(rest.iter().map(|score| score * scale)).fold(f32::NEG_INFINITY, f32::max);
        let mut sums = [0.0; 16];
        for lanes in lanes {
            for (score, sum) in lanes.iter_mut().zip(&mut sums) {
                *score = exp::<FMA>(*score * scale - *max);
                *sum += *score;
            }
        }
        rest.iter_mut().for_each(|score| *score = exp::<FMA>(*score * scale - *max));
        *sum = sums.iter().sum::<f32>() + rest.iter().sum::<f32>();
    }
}

/// Softmax over all spans from what each gave.
fn join<'p>(level: Level, parts: impl Iterator<Item = &'p Part> + Clone, row: usize, dim: usize, out: &mut [f32]) {
    let max = parts.clone().fold(f32::NEG_INFINITY, |max, part| max.max(part.max[row]));
    let mut sum = 0.0;
    out.fill(0.0);
    for part in parts.filter(|part| part.sum[row] != 0.0) {
        let factor = (part.max[row] - max).exp();
        sum += part.sum[row] * factor;
        add_at(level, out, &part.out[row * dim..(row + 1) * dim], factor);
    }
    out.iter_mut().for_each(|out| *out /= sum);
}

per_level! {
    /// `out += values * factor`.
    fn add / add_at(out: &mut [f32], values: &[f32], factor: f32) {
        out.iter_mut().zip(values).for_each(|(out, value)| *out += value * factor);
    }
}
