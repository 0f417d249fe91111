//! Blocks of the KV cache that hold beginnings of prompts, found by the digest of what they were computed from
//! (automatic prefix caching, as in vLLM: arXiv 2309.06180, section 4.4).

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use zoetrope_models::contract::prompt::{Prompt, PromptToken};
use zoetrope_models::kv::BLOCK;

use super::job::CachedRow;

/// Digest of the rows of a block and of all rows before it: equal digests mean equal keys and values.
pub(crate) type PrefixKey = [u8; 32];

/// The digest of every full block of `rows`, under a `seed` that says of which model the blocks are.
pub(super) fn prefix_keys(seed: &PrefixKey, rows: &[CachedRow]) -> Vec<PrefixKey> {
    let mut before = *seed;
    let digest = |block: &[CachedRow]| {
        let mut digest = Sha256::new_with_prefix(before);
        block.iter().for_each(|row| row.digest_into(&mut digest));
        before = digest.finalize().into();
        before
    };
    rows.chunks_exact(BLOCK).map(digest).collect()
}

/// [`prefix_keys`] of a prompt of whose visual tokens only the keys are known, placement by placement.
pub(crate) fn prompt_keys(seed: &PrefixKey, prompt: &Prompt, keys: &[u128]) -> Vec<PrefixKey> {
    let key = |placement: u32| keys.get(placement as usize).copied().unwrap_or_default();
    let rows = prompt.tokens.iter().zip(&prompt.positions);
    let rows: Vec<CachedRow> = rows.map(|(token, position)| CachedRow::of(*token, *position, key)).collect();
    prefix_keys(seed, &rows)
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
}

/// Which block holds which beginning. Each block in here has this cache as one of its holders.
#[derive(Default)]
pub(super) struct PrefixCache {
    entries: HashMap<PrefixKey, CachedBlock>,
    clock: u64,
}

impl PrefixCache {
    /// Blocks that are held.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many of `keys`, from the first on, are here.
    pub(super) fn known(&self, keys: &[PrefixKey]) -> usize {
        keys.iter().take_while(|key| self.entries.contains_key(*key)).count()
    }

    /// The blocks of as many of `keys`, from the first on, as are here; they count as used now.
    pub(super) fn take(&mut self, keys: &[PrefixKey]) -> Vec<u32> {
        self.clock += 1;
        let mut blocks = Vec::new();
        for key in keys {
            let Some(entry) = self.entries.get_mut(key) else { break };
            entry.used = self.clock;
            blocks.push(entry.block);
        }
        blocks
    }

    /// Notes that `block` holds `key`; `false` when another block does already.
    pub(super) fn insert(&mut self, key: PrefixKey, depth: usize, block: u32) -> bool {
        if self.entries.contains_key(&key) {
            return false;
        }
        self.entries.insert(key, CachedBlock { block, depth, used: self.clock });
        true
    }

    /// Counts `keys` as used now: a prompt's earlier blocks are needed to find its later ones.
    pub(super) fn touch(&mut self, keys: &[PrefixKey]) {
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
        keys.iter().filter_map(|key| self.entries.remove(key)).map(|entry| entry.block).collect()
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
    fn a_key_says_all_rows_up_to_its_block() {
        let seed = [7; 32];
        let long = prefix_keys(&seed, &rows(0..3 * BLOCK as u32 + 5));
        assert_eq!(long.len(), 3, "only full blocks have a key");
        assert_eq!(prefix_keys(&seed, &rows(0..2 * BLOCK as u32)), long[..2]);
        let other = |changed: u32| {
            let ids = (0..3 * BLOCK as u32).map(|id| if id == changed { 9999 } else { id });
            prefix_keys(&seed, &rows(ids)).iter().zip(&long).take_while(|(a, b)| a == b).count()
        };
        assert_eq!([other(0), other(BLOCK as u32), other(3 * BLOCK as u32 - 1)], [0, 1, 2]);
        assert_ne!(prefix_keys(&[8; 32], &rows(0..BLOCK as u32)), long[..1], "of another model");
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

    #[test]
    fn the_longest_unused_goes_first_and_the_end_of_a_prompt_before_its_beginning() {
        let key = |n: u8| [n; 32];
        let mut cache = PrefixCache::default();
        for n in 0..3 {
            assert!(cache.insert(key(n), usize::from(n), u32::from(n)));
        }
        assert!(cache.insert(key(9), 0, 9));
        cache.touch(&[key(9)]);
        assert!(!cache.insert(key(9), 0, 10), "another block has it");
        assert_eq!(cache.take(&[key(0), key(1), key(2), key(5)]), [0, 1, 2]);
        assert_eq!(cache.evict(2, |_| true), [9, 2]);
        assert_eq!(cache.evict(9, |block| block != 1), [0]);
        assert_eq!((cache.len(), cache.known(&[key(0), key(1)]), cache.known(&[key(1)])), (1, 0, 1));
    }
}
