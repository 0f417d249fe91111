//! Prompts and answers of any tokens, in chunks and steps as in an answer.

use candle_core::{Device, Tensor};
use zoetrope_engine::CHUNK_ROWS;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::position::Position;
use zoetrope_models::kv::{BLOCK, KvCache, KvContext, SequenceRun};

use super::speed::{Speed, Workload, median};
use crate::error::LabError;

/// Sequences in a KV cache of their own, with room for prompt and answer each.
struct Sequences<'m> {
    model: &'m dyn VideoLanguageModel,
    cache: KvCache,
    blocks: Vec<Vec<u32>>,
}

impl<'m> Sequences<'m> {
    fn new(model: &'m dyn VideoLanguageModel, number: usize, rows: usize) -> Result<Self, LabError> {
        let (weights, each) = (model.weights(), rows.div_ceil(BLOCK));
        let (kv, blocks) = (model.processor().info().kv, number * each);
        let cache = KvCache::new(kv, blocks, weights.kv_dtype(), weights.device())?;
        let blocks = (0..number).map(|n| ((n * each) as u32..((n + 1) * each) as u32).collect()).collect();
        Ok(Sequences { model, cache, blocks })
    }

    /// Reads a prompt of `n` tokens as sequence `number`, in chunks.
    fn prefill(&mut self, number: usize, n: usize) -> Result<(), LabError> {
        let vocabulary = self.model.processor().info().vocabulary;
        for past in (0..n).step_by(CHUNK_ROWS) {
            let new = CHUNK_ROWS.min(n - past);
            let ids: Vec<u32> = (past..past + new).map(|i| ((i + 31 * number) * 7919 % vocabulary) as u32).collect();
            let rows = if past + new == n { vec![new - 1] } else { Vec::new() };
            let runs = [SequenceRun { past, new, blocks: &self.blocks[number] }];
            forward(self.model, &mut self.cache, &ids, &runs, &rows)?;
        }
        Ok(())
    }

    /// Gives sequence `to` what sequence `from` has read, in blocks of its own.
    fn copy(&mut self, from: usize, to: usize) -> Result<(), LabError> {
        for (&from, &to) in self.blocks[from].iter().zip(&self.blocks[to]) {
            self.cache.copy_block(from, to)?;
        }
        Ok(())
    }

    /// Generates one token in each of some sequences that hold `past` positions.
    fn decode(&mut self, numbers: std::ops::Range<usize>, past: usize) -> Result<(), LabError> {
        let runs: Vec<_> =
            self.blocks[numbers.clone()].iter().map(|blocks| SequenceRun { past, new: 1, blocks }).collect();
        let ids: Vec<u32> = numbers.map(|number| number as u32).collect();
        let rows: Vec<usize> = (0..ids.len()).collect();
        forward(self.model, &mut self.cache, &ids, &runs, &rows)
    }
}

fn forward(
    model: &dyn VideoLanguageModel,
    cache: &mut KvCache,
    ids: &[u32],
    runs: &[SequenceRun<'_>],
    rows: &[usize],
) -> Result<(), LabError> {
    let ids_of = |run: &SequenceRun<'_>| (run.past..run.past + run.new).map(|id| Position::text(id as u32));
    let positions: Vec<Position> = runs.iter().flat_map(ids_of).collect();
    let logits: Tensor =
        model.forward(&model.embed_tokens(ids)?, &positions, &mut KvContext::Paged { cache, runs }, rows)?;
    if !rows.is_empty() {
        // One value is read so that nothing is left undone.
        logits.to_device(&Device::Cpu)?.flatten_all()?.get(0)?.to_scalar::<f32>()?;
    }
    Ok(())
}

/// A prompt and an answer; two lines.
pub fn prefill_and_decode(model: &dyn VideoLanguageModel, workload: &Workload) -> Result<[Speed; 2], LabError> {
    let Workload { prompt, answer, repeats, .. } = *workload;
    let mut sequences = Sequences::new(model, 1, prompt + answer)?;
    let prefill = median(repeats, || sequences.prefill(0, prompt))?;
    let decode = median(repeats, || (0..answer).try_for_each(|n| sequences.decode(0..1, prompt + n)))?;
    let (prefill, decode) = (prompt as f64 / prefill, answer as f64 / decode);
    let (summary, info) = (model.weights().summary(), model.processor().info());
    // The head is multiplied for one token of a prompt only.
    let (body, head) = (summary.decoder_parameters as f64, (info.vocabulary * info.hidden) as f64);
    let bytes = summary.bytes_per_token as f64;
    Ok([line("prefill", prefill, body, 0.0), line("decode", decode, body + head, bytes)])
}

/// `workload.sequences` answers, first one after the other, then together; two lines. Every sequence has read the
/// prompt.
pub fn decode_together(model: &dyn VideoLanguageModel, workload: &Workload) -> Result<[Speed; 2], LabError> {
    let Workload { prompt, answer, repeats, sequences: number, .. } = *workload;
    let mut sequences = Sequences::new(model, number, prompt + answer)?;
    sequences.prefill(0, prompt)?;
    (1..number).try_for_each(|n| sequences.copy(0, n))?;
    let apart = median(repeats, || {
        (0..number).try_for_each(|n| (0..answer).try_for_each(|step| sequences.decode(n..n + 1, prompt + step)))
    })?;
    let together = median(repeats, || (0..answer).try_for_each(|step| sequences.decode(0..number, prompt + step)))?;
    let (summary, info) = (model.weights().summary(), model.processor().info());
    let values = (summary.decoder_parameters + info.vocabulary * info.hidden) as f64;
    let rate = |seconds: f64| (number * answer) as f64 / seconds;
    let bytes = summary.bytes_per_token as f64;
    Ok([
        line(&format!("decode {number} in turn"), rate(apart), values, bytes),
        line(&format!("decode {number} at once"), rate(together), values, 0.0),
    ])
}

fn line(work: &str, rate: f64, values: f64, bytes: f64) -> Speed {
    Speed {
        work: work.to_string(),
        unit: "tokens/s",
        rate,
        giga_operations: 2.0 * values * rate / 1e9,
        giga_bytes: bytes * rate / 1e9,
    }
}
