//! Blocks of the KV cache on disk: prompts that show films leave them there, and later prompts that begin alike read
//! them in place of computing.

use std::time::{Duration, Instant};

use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};

use super::engine::Engine;
use super::job::{JobEvent, JobOutput};
use super::sequence::Sequence;
use crate::error::EngineError;
use crate::store::ModelStore;

/// How long one step reads, about: others generate meanwhile.
const READ_TIME: Duration = Duration::from_millis(60);
/// Bytes that are read at once: their blocks lie in memory twice.
const READ_BYTES: usize = 64 << 20;
/// Blocks of a sequence that one step hands to the store.
const WRITTEN: usize = 8;

impl Engine {
    /// Keeps keys and values of prompts in `store`, and takes them from there, from now on.
    pub fn use_store(&mut self, store: Option<ModelStore>) {
        self.store = store;
    }

    /// Notes how many blocks `sequence`, which has just been admitted, may read from disk.
    pub(super) fn look_on_disk(&self, sequence: &mut Sequence) {
        let Some(store) = &self.store else { return };
        let first = sequence.computed_blocks();
        if let Some(keys) = sequence.sharable_blocks().get(first..) {
            let lasting = sequence.lasting.saturating_sub(first).min(keys.len());
            sequence.readable = first + store.known_blocks(&keys[..lasting]);
        }
    }

    /// Reads blocks of running sequences for as long as a step may.
    pub(super) fn read_blocks(&mut self, outputs: &mut Vec<JobOutput>) -> Result<(), EngineError> {
        let Some(store) = &self.store else { return Ok(()) };
        let begun = Instant::now();
        let at_once = (READ_BYTES / store.block_bytes().0.max(1)).clamp(1, rayon::current_num_threads().max(1));
        for sequence in self.running.iter_mut().filter(|sequence| sequence.is_reading()) {
            while sequence.is_reading() && begun.elapsed() < READ_TIME {
                let first = sequence.computed_blocks();
                let keys = &sequence.keys.blocks[first..sequence.readable.min(first + at_once)];
                let read: Vec<Option<Vec<u8>>> = keys.par_iter().map(|key| store.block(key)).collect();
                for (at, bytes) in (first..).zip(read) {
                    let Some(bytes) = bytes else {
                        // Gone, or damaged: the rest is computed.
                        sequence.readable = at;
                        break;
                    };
                    self.cache.import_block(sequence.blocks[at], &bytes)?;
                    sequence.reused_up_to(at + 1);
                }
            }
            let state = sequence.state();
            let event = JobEvent::Prefill { done: state.stored.min(state.prompt), total: state.prompt };
            outputs.push(JobOutput { job: sequence.id, event });
        }
        Ok(())
    }

    /// Hands blocks that running sequences have computed to the store, as long as it takes them.
    pub(super) fn write_blocks(&mut self) -> Result<(), EngineError> {
        let Some(store) = &self.store else { return Ok(()) };
        for sequence in &mut self.running {
            let end = sequence.computed_blocks().min(sequence.lasting);
            for at in (sequence.written..end).take(WRITTEN) {
                let key = sequence.keys.blocks[at];
                if !store.has_block(&key) {
                    if !store.takes_block() {
                        break;
                    }
                    let bytes = self.cache.export_block(sequence.blocks[at])?;
                    store.put_block(key, &sequence.visual_keys(), bytes);
                }
                sequence.written = at + 1;
            }
        }
        Ok(())
    }
}
