//! Blocks of the KV cache that hold beginnings of prompts, found by the digest of what they were computed from
//! (automatic prefix caching, as in vLLM: arXiv 2309.06180, section 4.4).

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use zoetrope_models::contract::prompt::{Prompt, PromptToken};
use zoetrope_models::kv::BLOCK;

use super::job::CachedRow;

/// Rows between two digests of a prompt. A prompt that ends or differs within a block shares the rows up to the last
/// digest before that, by a copy of the block.
pub(super) const PART: usize = 32;
/// Parts of a block.
pub(super) const PARTS: usize = BLOCK / PART;

/// Digest of all rows up to one place of a prompt: equal digests mean equal keys and values.
pub(crate) type PrefixKey = [u8; 32];

/// The digests of a prompt.
#[derive(Default)]
pub(crate) struct PrefixKeys {
    /// After every [`PART`] rows.
    pub(super) parts: Vec<PrefixKey>,
    /// After every full block.
    pub(crate) blocks: Vec<PrefixKey>,
}

impl PrefixKeys {
    /// Of `rows`, under a `seed` that says of which model the blocks are.
    pub(super) fn new(seed: &PrefixKey, rows: &[CachedRow]) -> Self {
        let mut before = *seed;
        let digest = |part: &[CachedRow]| {
            let mut digest = Sha256::new_with_prefix(before);
            part.iter().for_each(|row| row.digest_into(&mut digest));
            before = digest.finalize().into();
            before
        };
        let parts: Vec<PrefixKey> = rows.chunks_exact(PART).map(digest).collect();
        let blocks = parts.chunks_exact(PARTS).map(|block| block[PARTS - 1]).collect();
        PrefixKeys { parts, blocks }
    }

    /// Of a prompt of whose visual tokens only the keys are known, placement by placement.
    pub(crate) fn of_prompt(seed: &PrefixKey, prompt: &Prompt, keys: &[u128]) -> Self {
        let key = |placement: u32| keys.get(placement as usize).copied().unwrap_or_default();
        let rows = prompt.tokens.iter().zip(&prompt.positions);
        let rows: Vec<CachedRow> = rows.map(|(token, position)| CachedRow::of(*token, *position, key)).collect();
        PrefixKeys::new(seed, &rows)
    }
}

/// How many full blocks of a prompt are worth keeping on disk: those up to the last one that shows media, as long as
/// all media before is known by its content (`is_lasting`, by placement).
pub(crate) fn lasting_blocks(tokens: &[PromptToken], is_lasting: impl Fn(u32) -> bool) -> usize {
    let is_unknown = |token: &PromptToken| match token {
        PromptToken::Text(_) => false,
        PromptToken::Visual { placement, .. } => !is_lasting(*placement),
    };
    let known = &tokens[..tokens.iter().position(is_unknown).unwrap_or(tokens.len())];
    let last = known.iter().rposition(|token| matches!(token, PromptToken::Visual { .. }));
    last.map_or(0, |last| (last / BLOCK + 1).min(known.len() / BLOCK))
}

struct CachedBlock {
    block: u32,
    /// Blocks before it in its prompt.
    depth: usize,
    /// When it was used last; larger is later.
    used: u64,
    /// The digests of its rows, the last of which is its key: fewer than [`PARTS`] where a prompt ends in it.
    parts: Vec<PrefixKey>,
}

/// Which block holds which beginning. Each block in here has this cache as one of its holders. Where a prompt ends, its
/// sequence goes on writing into the block, behind the rows that are known here.
#[derive(Default)]
pub(super) struct PrefixCache {
    /// By the last digest of a block.
    entries: HashMap<PrefixKey, CachedBlock>,
    /// From every digest to the key of a block that holds these rows.
    holders: HashMap<PrefixKey, PrefixKey>,
    clock: u64,
}

impl PrefixCache {
    /// Blocks that are held.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many of a prompt's `parts`, from the first on, are here.
    pub(super) fn known(&self, parts: &[PrefixKey]) -> usize {
        self.find(parts).1
    }

    /// Keys of the blocks that hold the most of `parts`, from the first on, and how many parts that is. All of these
    /// blocks are shared whole but the last, of which only the first rows may be this prompt's.
    fn find(&self, parts: &[PrefixKey]) -> (Vec<PrefixKey>, usize) {
        let full = parts.chunks_exact(PARTS).map(|block| block[PARTS - 1]);
        let mut keys: Vec<PrefixKey> = full.take_while(|key| self.entries.contains_key(key)).collect();
        let full = keys.len() * PARTS;
        let next = &parts[full..parts.len().min(full + PARTS)];
        let held = next.iter().rposition(|part| self.holders.contains_key(part));
        keys.extend(held.and_then(|at| self.holders.get(&next[at])));
        (keys, full + held.map_or(0, |at| at + 1))
    }

    /// The blocks that hold the most of `parts`, from the first on, and how many parts that is; they count as used now.
    pub(super) fn take(&mut self, parts: &[PrefixKey]) -> (Vec<u32>, usize) {
        let (keys, known) = self.find(parts);
        self.use_now(&keys);
        (keys.iter().filter_map(|key| self.entries.get(key)).map(|entry| entry.block).collect(), known)
    }

    /// Notes that `block`, before which there are `depth`, holds `parts`; `false` when another block does already.
    pub(super) fn insert(&mut self, parts: &[PrefixKey], depth: usize, block: u32) -> bool {
        let Some(key) = parts.last().filter(|key| !self.holders.contains_key(*key)) else { return false };
        self.holders.extend(parts.iter().map(|part| (*part, *key)));
        self.entries.insert(*key, CachedBlock { block, depth, used: self.clock, parts: parts.to_vec() });
        true
    }

    /// Counts what holds `parts` as used now: a prompt's earlier blocks are needed to find its later ones.
    pub(super) fn touch(&mut self, parts: &[PrefixKey]) {
        let keys = self.find(parts).0;
        self.use_now(&keys);
    }

    fn use_now(&mut self, keys: &[PrefixKey]) {
        self.clock += 1;
        for key in keys {
            if let Some(entry) = self.entries.get_mut(key) {
                entry.used = self.clock;
            }
        }
    }

    /// Forgets up to `blocks` blocks of those that `may_go`, the longest unused first and of one prompt the last first,
    /// since without an earlier block a later one is not found.
    pub(super) fn evict(&mut self, blocks: usize, may_go: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut order: Vec<_> = self.entries.iter().filter(|(_, entry)| may_go(entry.block)).collect();
        order.sort_unstable_by_key(|(_, entry)| (entry.used, std::cmp::Reverse(entry.depth)));
        let keys: Vec<PrefixKey> = order.into_iter().take(blocks).map(|(key, _)| *key).collect();
        keys.iter().filter_map(|key| self.forget(key)).collect()
    }

    fn forget(&mut self, key: &PrefixKey) -> Option<u32> {
        let CachedBlock { block, parts, .. } = self.entries.remove(key)?;
        for part in parts {
            if self.holders.get(&part) == Some(key) {
                self.holders.remove(&part);
            }
        }
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use zoetrope_models::contract::position::Position;

    use super::*;

    fn rows(ids: impl Iterator<Item = u32>) -> Vec<CachedRow> {
        let row = |(at, id): (usize, u32)| CachedRow::new(PromptToken::Text(id), Position::text(at as u32), &[]);
        ids.enumerate().map(row).collect()
    }

    #[test]
    fn a_key_says_all_rows_up_to_its_place() {
        let seed = [7; 32];
        let block = BLOCK as u32;
        let keys = |ids: Vec<u32>| PrefixKeys::new(&seed, &rows(ids.into_iter()));
        let long = keys((0..3 * block + 40).collect());
        assert_eq!((long.parts.len(), long.blocks.len()), (3 * PARTS + 1, 3), "only full parts and blocks have a key");
        assert_eq!(long.blocks[1], long.parts[2 * PARTS - 1]);
        assert_eq!(keys((0..2 * block).collect()).blocks, long.blocks[..2]);
        let common = |changed: u32| {
            let other = keys((0..3 * block).map(|id| if id == changed { 9999 } else { id }).collect());
            other.parts.iter().zip(&long.parts).take_while(|(a, b)| a == b).count()
        };
        assert_eq!([common(0), common(block + 33), common(3 * block - 1)], [0, PARTS + 1, 3 * PARTS - 1]);
        let other_model = PrefixKeys::new(&[8; 32], &rows(0..block));
        assert_ne!(other_model.parts[0], long.parts[0]);
    }

    #[test]
    fn blocks_up_to_the_last_one_that_shows_known_media_last() {
        let visual = |placement: u32| (0..300).map(move |row| PromptToken::Visual { placement, row });
        let text = |n: usize| std::iter::repeat_n(PromptToken::Text(1), n);
        let prompt: Vec<_> = text(100).chain(visual(0)).chain(text(400)).chain(visual(1)).chain(text(800)).collect();
        let lasting = |known: &[u32]| lasting_blocks(&prompt, |placement| known.contains(&placement));
        assert_eq!([lasting(&[0, 1]), lasting(&[0]), lasting(&[1])], [5, 2, 0]);
        assert_eq!(lasting_blocks(&prompt[..400], |_| true), 1, "the second block is not full");
        assert_eq!(lasting_blocks(&prompt[..60], |_| true), 0);
    }

    /// Keys of a prompt of `parts` parts that is `other` from part `differs` on.
    fn parts(parts: usize, differs: usize, other: u8) -> Vec<PrefixKey> {
        (0..parts).map(|at| [at as u8, if at < differs { 0 } else { other }].repeat(16).try_into().unwrap()).collect()
    }

    #[test]
    fn a_prompt_that_differs_within_a_block_shares_the_parts_before() {
        let mut cache = PrefixCache::default();
        let (first, half) = (parts(2 * PARTS, PARTS + 3, 1), parts(PARTS + 5, PARTS + 3, 2));
        assert!(cache.insert(&first[..PARTS], 0, 10));
        assert!(cache.insert(&first[PARTS..], 1, 11));
        assert_eq!(cache.take(&half), (vec![10, 11], PARTS + 3));
        assert_eq!(cache.take(&first), (vec![10, 11], 2 * PARTS));
        assert_eq!(cache.take(&half[..PARTS]), (vec![10], PARTS));
        // Where a prompt ends within a block, that block is found, too.
        assert!(cache.insert(&half[PARTS..], 1, 12));
        assert!(!cache.insert(&half[PARTS..PARTS + 4], 1, 13), "another block has these rows");
        assert_eq!(cache.take(&half), (vec![10, 12], PARTS + 5));
        assert_eq!(cache.evict(1, |block| block == 12), [12]);
        // The digests that both had went with the last one; those of the other alone are left.
        assert_eq!(cache.known(&half), PARTS);
        assert_eq!(cache.known(&first), 2 * PARTS);
    }

    #[test]
    fn the_longest_unused_goes_first_and_the_end_of_a_prompt_before_its_beginning() {
        let mut cache = PrefixCache::default();
        let (long, other) = (parts(4 * PARTS, 99, 0), parts(PARTS, 0, 9));
        for (at, block) in long.chunks(PARTS).take(3).enumerate() {
            assert!(cache.insert(block, at, at as u32));
        }
        assert!(cache.insert(&other, 0, 9));
        cache.touch(&other);
        assert!(!cache.insert(&other, 0, 10), "another block has it");
        assert_eq!(cache.take(&long), (vec![0, 1, 2], 3 * PARTS));
        assert_eq!(cache.evict(2, |_| true), [9, 2]);
        assert_eq!(cache.evict(9, |block| block != 1), [0]);
        assert_eq!((cache.len(), cache.known(&long), cache.holders.len()), (1, 0, PARTS));
    }
}
