//! Which waiting sequences run: as long as there is room for whole replies, and not before another sequence has read
//! the beginning that both share.

use zoetrope_models::kv::BLOCK;

use super::engine::Engine;
use super::job::{JobEvent, JobOutput};
use super::prefix_cache::{PART, PARTS};
use super::scheduler::MIN_TAIL;
use super::sequence::Sequence;
use crate::error::EngineError;

/// Parts of a prompt for which a sequence waits until another has computed them. For fewer, waiting for a step costs
/// more than computing them.
const WORTH_WAITING: usize = 2;

/// Whether a sequence can run.
enum Reserved {
    /// It runs: so many of its rows are in the KV cache already.
    Now(usize),
    /// It runs when others have ended and freed their blocks.
    Later,
}

impl Engine {
    /// Lets waiting sequences run, in order.
    pub(super) fn admit(&mut self, outputs: &mut Vec<JobOutput>) -> Result<(), EngineError> {
        let mut at = 0;
        while self.running.len() < self.options.max_sequences && at < self.waiting.len() {
            if self.is_being_read(&self.waiting[at]) {
                at += 1;
                continue;
            }
            let Some(mut sequence) = self.waiting.remove(at) else { return Ok(()) };
            if sequence.reply.finish_reason().is_some() {
                // A reply of no tokens.
                self.finish(sequence, outputs)?;
                continue;
            }
            match self.reserve(&mut sequence)? {
                Reserved::Now(reused) => {
                    let (job, total) = (sequence.id, sequence.state().prompt);
                    outputs.push(JobOutput { job, event: JobEvent::Prefill { done: reused, total } });
                    self.running.push(sequence);
                }
                Reserved::Later if self.running.is_empty() => {
                    let bytes = sequence.most_rows() * self.bytes_per_token();
                    let (number, limit) = (bytes as u64, self.options.cache_bytes as u64);
                    let error = EngineError::Limit { what: "bytes of keys and values", number, limit };
                    outputs.push(JobOutput { job: sequence.id, event: JobEvent::Failed(error) });
                }
                Reserved::Later => {
                    self.waiting.insert(at, sequence);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether a running sequence is about to compute the next rows that `sequence` could take over.
    fn is_being_read(&self, sequence: &Sequence) -> bool {
        if self.options.prefix_bytes == 0 {
            return false;
        }
        let parts = sequence.sharable();
        let known = self.prefixes.known(parts);
        // Equal digests there mean that all before are equal.
        let at = known + WORTH_WAITING - 1;
        let Some(next) = parts.get(at) else { return false };
        self.running.iter().any(|other| other.published <= known && other.keys.parts.get(at) == Some(next))
    }

    /// Blocks for prompt and whole reply, beginning with what was computed before: by an earlier turn, or by any
    /// sequence that began alike.
    fn reserve(&mut self, sequence: &mut Sequence) -> Result<Reserved, EngineError> {
        let wanted = sequence.most_rows().div_ceil(BLOCK);
        let continues = sequence.reuse.is_some();
        let (mut blocks, reused) = match continues {
            true => self.earlier_turn(sequence, wanted)?,
            false => self.shared_prefix(sequence),
        };
        // What others hold, too, is not written into.
        let shared: Vec<usize> = (reused / BLOCK..blocks.len()).filter(|&at| self.pool.is_shared(blocks[at])).collect();
        let missing = wanted - blocks.len() + shared.len();
        self.make_room(missing)?;
        let Some(mut new) = self.pool.allocate(missing) else {
            self.pool.release(&blocks)?;
            return Ok(Reserved::Later);
        };
        self.copy_on_write(&mut blocks, &shared, &mut new)?;
        blocks.extend(new);
        sequence.admit(blocks, reused);
        if !continues {
            self.look_on_disk(sequence);
        }
        Ok(Reserved::Now(reused))
    }

    /// The blocks of the conversation's earlier turn, at most `wanted`, and how many rows of them are this prompt's.
    fn earlier_turn(&mut self, sequence: &mut Sequence, wanted: usize) -> Result<(Vec<u32>, usize), EngineError> {
        let Some(earlier) = sequence.reuse.take() else { return Ok((Vec::new(), 0)) };
        let rows = sequence.prompt_rows();
        let common = earlier.rows.iter().zip(&rows).take_while(|(a, b)| a == b).count();
        let reused = common.min(rows.len().saturating_sub(MIN_TAIL));
        let mut blocks = earlier.blocks;
        let kept = if reused == 0 { 0 } else { wanted.min(blocks.len()) };
        self.pool.release(&blocks.split_off(kept))?;
        Ok((blocks, reused))
    }

    /// The blocks of the prompt's beginning that are in the cache, and how many rows of them are this prompt's.
    fn shared_prefix(&mut self, sequence: &Sequence) -> (Vec<u32>, usize) {
        let (blocks, parts) = self.prefixes.take(sequence.sharable());
        self.pool.share(&blocks);
        (blocks, parts * PART)
    }

    /// Lets others use what running sequences have computed of their prompts.
    pub(super) fn publish_prefixes(&mut self) {
        if self.options.prefix_bytes == 0 {
            return;
        }
        for sequence in &mut self.running {
            let computed = sequence.computed_parts();
            if sequence.published == computed {
                continue;
            }
            let parts = &sequence.keys.parts[..computed];
            for (at, parts) in parts.chunks(PARTS).enumerate().skip(sequence.published / PARTS) {
                // A prompt of less than a block is read again sooner than a block of memory is worth.
                if at == 0 && parts.len() < PARTS {
                    continue;
                }
                let block = sequence.blocks[at];
                if self.prefixes.insert(parts, at, block) {
                    self.pool.share(&[block]);
                }
            }
            self.prefixes.touch(parts);
            sequence.published = computed;
        }
    }

    /// Forgets what is kept beyond the limit, after a sequence has given its blocks back.
    pub(super) fn trim_prefixes(&mut self) {
        let most = self.options.prefix_bytes / (self.bytes_per_token() * BLOCK).max(1);
        if self.prefixes.len() > most {
            self.evict(self.prefixes.len() - most);
        }
    }

    /// Forgets up to `blocks` shared beginnings that no sequence uses.
    fn evict(&mut self, blocks: usize) {
        let pool = &self.pool;
        let gone = self.prefixes.evict(blocks, |block| !pool.is_shared(block));
        // Each of them has one holder.
        let released = self.pool.release(&gone);
        debug_assert!(released.is_ok(), "{released:?}");
    }

    /// Puts copies into `new` blocks in place of the blocks at `shared`, which other sequences hold, too.
    fn copy_on_write(&mut self, blocks: &mut [u32], shared: &[usize], new: &mut Vec<u32>) -> Result<(), EngineError> {
        for &at in shared {
            let Some(own) = new.pop() else { break };
            self.cache.copy_block(blocks[at], own)?;
            self.pool.release(&[std::mem::replace(&mut blocks[at], own)])?;
        }
        Ok(())
    }

    /// Frees `blocks` blocks: the KV cache grows as far as the limit allows, then shared beginnings go.
    fn make_room(&mut self, blocks: usize) -> Result<(), EngineError> {
        let total = self.pool.total();
        let missing = blocks.saturating_sub(self.pool.free());
        let most = self.options.cache_bytes.div_ceil((self.bytes_per_token() * BLOCK).max(1));
        if missing == 0 {
            return Ok(());
        }
        if total + missing > most {
            self.evict(missing - most.saturating_sub(total));
        }
        let missing = blocks.saturating_sub(self.pool.free());
        if missing == 0 || total + missing > most {
            return Ok(());
        }
        // Half as much again, so that a growing conversation is not copied at every turn.
        let larger = (total + missing).max(total + total / 2).min(most);
        self.cache.grow(larger)?;
        self.pool.grow(larger);
        Ok(())
    }
}
