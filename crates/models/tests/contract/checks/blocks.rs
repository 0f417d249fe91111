//! Blocks that two sequences share, and blocks that were copied.

use candle_core::Tensor;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::kv::{BLOCK, KvCache, KvContext, SequenceRun};

use crate::compare::same;
use crate::device::device;
use crate::formats::{kv_dtypes, weight_formats};
use crate::schedule::{TestSequence, Wanted, alone, sequences};
use crate::test_family::all;

/// Logits of all rows of `sequence` from `past` on, over `blocks` that hold the rows before.
fn forward(
    model: &dyn VideoLanguageModel,
    cache: &mut KvCache,
    sequence: &TestSequence,
    past: usize,
    blocks: &[u32],
) -> Tensor {
    let new = sequence.rows(past..sequence.len());
    let runs = [SequenceRun { past, new: new.len(), blocks }];
    let mut context = KvContext::Paged { cache, runs: &runs };
    let rows: Vec<usize> = (0..new.len()).collect();
    model.forward(&new.x_td, &new.positions, &mut context, &rows).unwrap()
}

/// The first `rows` of `long`, then other rows of it, which stand for another question.
fn branch(long: &TestSequence, rows: usize, other: std::ops::Range<usize>) -> TestSequence {
    let (begin, rest) = (long.rows(0..rows), long.rows(other));
    let x_td = Tensor::cat(&[&begin.x_td, &rest.x_td], 0).unwrap();
    let mut positions = begin.positions;
    for _ in 0..rest.positions.len() {
        positions.push(positions.last().unwrap().next());
    }
    TestSequence { name: "branch", x_td, positions }
}

#[test]
fn sequences_that_share_a_prefix_and_a_copied_block_give_what_they_give_alone() {
    for family in all() {
        for format in weight_formats() {
            let model = family.open_as(format.precision);
            let long = sequences(&*model).into_iter().find(|sequence| sequence.len() > BLOCK + 40).unwrap();
            let (whole, part) = (BLOCK, BLOCK + 20);
            let (second, third) = (branch(&long, whole, 3..50), branch(&long, part, 30..70));
            for dtype in kv_dtypes() {
                let info = family.processor.info();
                let mut cache = KvCache::new(info.kv, 5, dtype, &device()).unwrap();
                let check = |name: &str, cache: &mut KvCache, sequence: &TestSequence, past: usize, blocks: &[u32]| {
                    let what = format!("{} as {:?} over {}: {name}", family.name(), format.precision, dtype.name());
                    let ours = forward(&*model, cache, sequence, past, blocks);
                    let want = alone(&*model, sequence, dtype, Wanted::All).narrow(0, past, sequence.len() - past);
                    same(&what, &ours, &want.unwrap(), format.same_kernels(info));
                };
                check("the first", &mut cache, &long, 0, &[3, 1]);
                check("one that shares a block", &mut cache, &second, whole, &[3, 4]);
                // The second block of the first sequence is not full: who goes on otherwise takes a copy of it.
                cache.copy_block(1, 0).unwrap();
                check("one that shares a block and a copy", &mut cache, &third, part, &[3, 0]);
                let rest = long.rows(0..long.len());
                check("the first again", &mut cache, &rest, part, &[3, 1]);
            }
        }
    }
}
