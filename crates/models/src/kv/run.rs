//! Which positions of which sequences a pass computes.

pub use zoetrope_kernels::attention::BLOCK;

/// Consecutive new rows of one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceRun<'a> {
    /// Positions that the sequence's blocks hold already.
    pub past: usize,
    /// Rows that the pass computes and stores after them.
    pub new: usize,
    /// The sequence's blocks in order, with room for `past + new` positions.
    pub blocks: &'a [u32],
}
