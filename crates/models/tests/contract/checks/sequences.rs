//! A sequence gives the same logits alone, in chunks, in a batch and without a cache.

use candle_core::{DType, Tensor};
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::model_info::ModelInfo;
use zoetrope_models::kv::{BLOCK, KvDtype};

use crate::compare::{Tolerance, root_mean_square, same, values};
use crate::device::{kernels, skipped};
use crate::formats::{WeightFormat, kv_dtypes, weight_formats};
use crate::schedule::{PagedSequences, Pass, TestSequence, Wanted, alone, sequences, varlen};
use crate::test_family::all;

/// Calls `check` for each family in each format of weights.
fn each_model(check: impl Fn(&str, &dyn VideoLanguageModel, &WeightFormat, &[TestSequence])) {
    for family in all() {
        for format in weight_formats() {
            let model = family.open_as(format.precision);
            let what = format!("{} as {:?}", family.name(), format.precision);
            check(&what, &*model, &format, &sequences(&*model));
        }
    }
    if !kernels() {
        skipped("packed weights and int8 keys and values");
    }
}

fn info(model: &dyn VideoLanguageModel) -> &ModelInfo {
    model.processor().info()
}

/// Fewest rows of a run from which on attention sums in one order (prefill).
const PREFILL: usize = 8;

#[test]
fn sequences_laid_end_to_end_do_not_see_each_other() {
    each_model(|what, model, format, sequences| {
        for wanted in [Wanted::All, Wanted::Last] {
            let together = varlen(model, sequences, wanted);
            for (sequence, ours) in sequences.iter().zip(&together) {
                let what = format!("{what}, {} in varlen, rows {wanted:?}", sequence.name);
                let want = varlen(model, std::slice::from_ref(sequence), wanted).remove(0);
                same(&what, ours, &want, format.same_kernels(info(model)));
                let paged = alone(model, sequence, DType::F32.into(), wanted);
                same(&format!("{what}, over a cache of f32"), &paged, &want, format.same_kernels(info(model)));
            }
        }
    });
}

/// int8 and bf16 keys and values are near those in f32.
#[test]
fn every_cache_is_near_the_sequence_without_one() {
    each_model(|what, model, format, sequences| {
        for dtype in kv_dtypes() {
            for sequence in sequences {
                let want = varlen(model, std::slice::from_ref(sequence), Wanted::All).remove(0);
                let what = format!("{what}, {} over a cache of {}", sequence.name, dtype.name());
                let ours = alone(model, sequence, dtype, Wanted::All);
                same(&what, &ours, &want, format.other_kv(info(model), dtype));
            }
        }
    });
}

/// Runs of at least [`PREFILL`] rows. The first of an int8 cache fixes the scales of channels, so it has a whole block.
fn chunked(dtype: KvDtype, len: usize) -> Vec<Vec<usize>> {
    let firsts: &[usize] = if dtype == KvDtype::Int8 { &[BLOCK, BLOCK + 9] } else { &[PREFILL, 40, BLOCK, BLOCK + 9] };
    let mut all = Vec::new();
    for &first in firsts.iter().filter(|first| **first + PREFILL <= len) {
        all.push(vec![first, len - first]);
        if first + 2 * PREFILL <= len {
            all.push(vec![first, PREFILL, len - first - PREFILL]);
        }
    }
    all.retain(|runs| runs.iter().all(|run| *run >= PREFILL));
    all
}

#[test]
fn chunks_of_a_prompt_are_the_whole_prompt() {
    each_model(|what, model, format, sequences| {
        for dtype in kv_dtypes() {
            for sequence in sequences {
                let want = alone(model, sequence, dtype, Wanted::All);
                for runs in chunked(dtype, sequence.len()) {
                    let what = format!("{what}, {} over {} in runs of {runs:?}", sequence.name, dtype.name());
                    let passes: Vec<Pass> = runs.iter().map(|run| vec![(0, *run)]).collect();
                    let mut paged = PagedSequences::new(model, std::slice::from_ref(sequence), dtype);
                    let ours = paged.forward_all(&passes, Wanted::All).remove(0);
                    same(&what, &ours, &want, format.same_kernels_over(info(model), dtype));
                }
            }
        }
    });
}

/// Runs of fewer than [`PREFILL`] rows are computed by the decode kernel, whose sums run in another order.
#[test]
fn tokens_one_by_one_are_near_the_whole_prompt() {
    each_model(|what, model, format, sequences| {
        for dtype in kv_dtypes() {
            for sequence in sequences {
                let (want, len) = (alone(model, sequence, dtype, Wanted::All), sequence.len());
                let tail = [1, 1, 5, 7];
                let runs: Vec<usize> = [len - tail.iter().sum::<usize>()].into_iter().chain(tail).collect();
                let what = format!("{what}, {} over {} in runs of {runs:?}", sequence.name, dtype.name());
                let passes: Vec<Pass> = runs.iter().map(|run| vec![(0, *run)]).collect();
                let mut paged = PagedSequences::new(model, std::slice::from_ref(sequence), dtype);
                let ours = paged.forward_all(&passes, Wanted::All).remove(0);
                let tolerance = match dtype {
                    // Another first run, other scales of channels.
                    KvDtype::Int8 => format.other_kv(info(model), dtype),
                    _ => format.other_order_over(info(model), dtype),
                };
                same(&what, &ours, &want, tolerance);
            }
        }
    });
}

/// Prompt chunks and single tokens of many sequences in each pass, as a server computes them: each sequence gets the
/// bits that it gets when it goes through the same runs alone.
#[test]
fn a_batch_gives_each_sequence_what_it_gets_alone() {
    each_model(|what, model, format, sequences| {
        let lens: Vec<usize> = sequences.iter().map(TestSequence::len).collect();
        // Sequence n joins in pass n with all but its last six rows, the long one in two chunks; then all decode.
        let joins = |n: usize| match lens[n] - 6 {
            rows if rows >= BLOCK + PREFILL => vec![BLOCK, rows - BLOCK],
            rows => vec![rows],
        };
        let runs: Vec<Vec<usize>> = (0..lens.len()).map(|n| [joins(n), vec![1, 2, 1, 1, 1]].concat()).collect();
        let passes: Vec<Pass> = (0..lens.len() + 8)
            .map(|pass| (0..lens.len()).filter_map(|n| Some((n, *runs[n].get(pass.checked_sub(n)?)?))).collect())
            .filter(|pass: &Pass| !pass.is_empty())
            .collect();
        for (dtype, wanted) in kv_dtypes().into_iter().flat_map(|dtype| [(dtype, Wanted::All), (dtype, Wanted::Last)]) {
            let together = PagedSequences::new(model, sequences, dtype).forward_all(&passes, wanted);
            for (n, (sequence, ours)) in sequences.iter().zip(&together).enumerate() {
                let what = format!("{what}, {} in a batch over {}, rows {wanted:?}", sequence.name, dtype.name());
                let passes: Vec<Pass> = runs[n].iter().map(|run| vec![(0, *run)]).collect();
                let mut paged = PagedSequences::new(model, std::slice::from_ref(sequence), dtype);
                let want = paged.forward_all(&passes, wanted).remove(0);
                same(&what, ours, &want, format.same_kernels_over(info(model), dtype));
            }
        }
    });
}

/// Positions count: without this, a decoder that ignores them would pass all other checks.
#[test]
fn logits_depend_on_positions_and_on_the_order_of_rows() {
    each_model(|what, model, format, sequences| {
        let sequence = &sequences[1];
        let want = varlen(model, std::slice::from_ref(sequence), Wanted::Last).remove(0);
        let mut other = sequence.clone();
        other.positions.iter_mut().skip(sequence.len() / 2).for_each(|position| position.id += 40);
        let ours = varlen(model, &[other], Wanted::Last).remove(0);
        let Tolerance::Relative(order) = format.other_order(info(model)) else { return };
        let size = |x: &Tensor| root_mean_square(&values(x));
        let apart = size(&(&ours - &want).unwrap()) / size(&want);
        assert!(apart > order.min(1e-3), "{what}: logits moved by {apart} only");
    });
}
