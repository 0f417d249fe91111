//! Sequences through the decoder in any cuts and company, over the blocks of a KV cache.

use candle_core::Tensor;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::position::Position;
use zoetrope_models::contract::prompt::GenerationPrompt;
use zoetrope_models::kv::{BLOCK, KvCache, KvContext, KvDtype, SequenceRun};

use crate::conversations::{Conversation, ask, conversations};
use crate::device::device;
use crate::media::video;
use crate::pipeline::{embed_conversation, with_settings};

/// A sequence that the decoder can take.
#[derive(Clone)]
pub(crate) struct TestSequence {
    pub(crate) name: &'static str,
    /// `[T, D]`.
    pub(crate) x_td: Tensor,
    /// `[T]`.
    pub(crate) positions: Vec<Position>,
}

impl TestSequence {
    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }

    /// The rows `range` as a sequence.
    pub(crate) fn rows(&self, range: std::ops::Range<usize>) -> TestSequence {
        let x_td = self.x_td.narrow(0, range.start, range.len()).unwrap();
        TestSequence { name: self.name, x_td, positions: self.positions[range].to_vec() }
    }
}

/// Prompts of different lengths, of which one is longer than a block.
pub(crate) fn sequences(model: &dyn VideoLanguageModel) -> Vec<TestSequence> {
    let words = "It is a long way to the end of this text, which has more tokens than a block of keys and values. ";
    let long =
        Conversation { name: "long", messages: vec![ask(&[0], &words.repeat(4))], media: vec![video(64, 48, 4)] };
    let sequence = |conversation: &Conversation| {
        let end = GenerationPrompt::Reply("");
        let embedded = embed_conversation(model, conversation, &with_settings(Default::default()), end);
        TestSequence { name: conversation.name, x_td: embedded.x_td, positions: embedded.prompt.positions }
    };
    conversations().iter().chain([&long]).map(sequence).collect()
}

/// New rows of some sequences in one pass: (sequence, how many).
pub(crate) type Pass = Vec<(usize, usize)>;

/// Which rows of a pass give logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wanted {
    /// All.
    All,
    /// The last new one of each sequence.
    Last,
}

/// One cache with the blocks of each sequence, which lie in no order.
pub(crate) struct PagedSequences<'a> {
    model: &'a dyn VideoLanguageModel,
    sequences: Vec<TestSequence>,
    cache: KvCache,
    blocks: Vec<Vec<u32>>,
    past: Vec<usize>,
}

impl<'a> PagedSequences<'a> {
    /// Room for all of `sequences`; nothing is computed yet.
    pub(crate) fn new(model: &'a dyn VideoLanguageModel, sequences: &[TestSequence], dtype: KvDtype) -> Self {
        let needed: Vec<usize> = sequences.iter().map(|sequence| sequence.len().div_ceil(BLOCK)).collect();
        let total: usize = needed.iter().sum();
        let cache = KvCache::new(model.processor().info().kv, total, dtype, &device()).unwrap();
        // The sequences take blocks in turns, from the last one down.
        let (mut blocks, mut next) = (vec![Vec::new(); sequences.len()], total as u32);
        while next > 0 {
            for (own, needed) in blocks.iter_mut().zip(&needed) {
                if own.len() < *needed {
                    next -= 1;
                    own.push(next);
                }
            }
        }
        let past = vec![0; sequences.len()];
        PagedSequences { model, sequences: sequences.to_vec(), cache, blocks, past }
    }

    /// Logits `[rows, W]` of each sequence of a pass.
    pub(crate) fn forward(&mut self, pass: &[(usize, usize)], wanted: Wanted) -> Vec<Tensor> {
        let new =
            |&(number, new): &(usize, usize)| self.sequences[number].rows(self.past[number]..self.past[number] + new);
        let new: Vec<TestSequence> = pass.iter().map(new).collect();
        let x: Vec<&Tensor> = new.iter().map(|sequence| &sequence.x_td).collect();
        let positions: Vec<Position> = new.iter().flat_map(|sequence| sequence.positions.clone()).collect();
        let run = |&(number, new): &(usize, usize)| SequenceRun {
            past: self.past[number],
            new,
            blocks: &self.blocks[number],
        };
        let runs: Vec<SequenceRun<'_>> = pass.iter().map(run).collect();
        let mut context = KvContext::Paged { cache: &mut self.cache, runs: &runs };
        let lens: Vec<usize> = new.iter().map(TestSequence::len).collect();
        let x_td = Tensor::cat(&x, 0).unwrap();
        let logits = logits(self.model, &x_td, &positions, &mut context, &lens, wanted);
        pass.iter().for_each(|&(number, new)| self.past[number] += new);
        logits
    }

    /// Logits `[T, W]` of each sequence over all passes, which give every row of every sequence once.
    pub(crate) fn forward_all(&mut self, passes: &[Pass], wanted: Wanted) -> Vec<Tensor> {
        let mut parts = vec![Vec::new(); self.sequences.len()];
        for pass in passes {
            let logits = self.forward(pass, wanted);
            pass.iter().zip(logits).for_each(|(&(number, _), logits)| parts[number].push(logits));
        }
        parts.iter().map(|parts| Tensor::cat(parts, 0).unwrap()).collect()
    }
}

/// Logits `[T, W]` of whole sequences laid end to end, without a cache.
pub(crate) fn varlen(model: &dyn VideoLanguageModel, sequences: &[TestSequence], wanted: Wanted) -> Vec<Tensor> {
    let x: Vec<&Tensor> = sequences.iter().map(|sequence| &sequence.x_td).collect();
    let positions: Vec<Position> = sequences.iter().flat_map(|sequence| sequence.positions.clone()).collect();
    let lens: Vec<usize> = sequences.iter().map(TestSequence::len).collect();
    let x_td = Tensor::cat(&x, 0).unwrap();
    logits(model, &x_td, &positions, &mut KvContext::Varlen(&lens), &lens, wanted)
}

/// Logits of each sequence alone, in one pass over blocks of its own.
pub(crate) fn alone(model: &dyn VideoLanguageModel, sequence: &TestSequence, dtype: KvDtype, wanted: Wanted) -> Tensor {
    let mut paged = PagedSequences::new(model, std::slice::from_ref(sequence), dtype);
    paged.forward(&[(0, sequence.len())], wanted).remove(0)
}

fn logits(
    model: &dyn VideoLanguageModel,
    x_td: &Tensor,
    positions: &[Position],
    context: &mut KvContext<'_>,
    lens: &[usize],
    wanted: Wanted,
) -> Vec<Tensor> {
    let per_sequence: Vec<usize> = lens.iter().map(|len| if wanted == Wanted::All { *len } else { 1 }).collect();
    let (mut rows, mut end) = (Vec::new(), 0);
    for (len, count) in lens.iter().zip(&per_sequence) {
        end += len;
        rows.extend(end - count..end);
    }
    let all = model.forward(x_td, positions, context, &rows).unwrap();
    let mut first = 0;
    let own = |count: &usize| {
        let own = all.narrow(0, first, *count).unwrap();
        first += count;
        own
    };
    per_sequence.iter().map(own).collect()
}
