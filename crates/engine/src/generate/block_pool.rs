//! Which blocks of the KV cache are free, and how many sequences hold each of the others.

use crate::error::EngineError;

/// The blocks of one KV cache. A block may be shared: the server will find common prefixes by the hash of their tokens.
#[derive(Clone, Debug, Default)]
pub struct BlockPool {
    /// Holders of each block.
    holders: Vec<u32>,
    free: Vec<u32>,
}

impl BlockPool {
    /// All blocks, free or not.
    pub fn total(&self) -> usize {
        self.holders.len()
    }

    /// Blocks that nobody holds.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Makes it `total` blocks in all; never fewer.
    pub fn grow(&mut self, total: usize) {
        let old = self.holders.len();
        // The smallest numbers are taken first.
        let new = (old..total.max(old)).rev().map(|block| block as u32);
        self.free.splice(0..0, new);
        self.holders.resize(total.max(old), 0);
    }

    /// `n` free blocks with one holder each; `None`, and nothing taken, when there are fewer.
    pub fn allocate(&mut self, n: usize) -> Option<Vec<u32>> {
        let left = self.free.len().checked_sub(n)?;
        let mut blocks = self.free.split_off(left);
        blocks.reverse();
        blocks.iter().for_each(|&block| self.holders[block as usize] = 1);
        Some(blocks)
    }

    /// Another holder of each of `blocks`.
    pub fn share(&mut self, blocks: &[u32]) {
        blocks.iter().for_each(|&block| self.holders[block as usize] += 1);
    }

    /// Whether more than one holds `block`.
    pub fn is_shared(&self, block: u32) -> bool {
        self.holders[block as usize] > 1
    }

    /// One holder less of each of `blocks`; those that nobody holds are free again.
    ///
    /// # Errors
    /// [`EngineError::Bug`] for a block that nobody held.
    pub fn release(&mut self, blocks: &[u32]) -> Result<(), EngineError> {
        for &block in blocks.iter().rev() {
            match self.holders.get_mut(block as usize) {
                Some(0) | None => return Err(EngineError::Bug(format!("KV block {block} is released twice"))),
                Some(holders) => {
                    *holders -= 1;
                    if *holders == 0 {
                        self.free.push(block);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_held_shared_and_freed() {
        let mut pool = BlockPool::default();
        assert_eq!(pool.allocate(1), None);
        pool.grow(4);
        let first = pool.allocate(2).expect("two blocks");
        assert_eq!((first.clone(), pool.free()), (vec![0, 1], 2));
        assert_eq!(pool.allocate(3), None);
        pool.share(&first[..1]);
        assert!(pool.is_shared(0) && !pool.is_shared(1));
        pool.release(&first).expect("held");
        assert_eq!(pool.free(), 3);
        pool.release(&[0]).expect("held by another");
        pool.grow(6);
        assert_eq!((pool.total(), pool.free()), (6, 6));
        assert_eq!(pool.allocate(2).expect("blocks"), [0, 1]);
        assert!(pool.release(&[5]).is_err());
    }
}
