//! What the processes of a run do together.

use crate::error::LabError;

/// Collective operations: every process of a run calls the same ones in the same order, each with values of the same
/// length but for [`Collectives::gather`].
pub trait Collectives: Send + Sync {
    /// Number of this process, from 0.
    fn rank(&self) -> usize;

    /// How many processes there are.
    fn size(&self) -> usize;

    /// Adds up `values` of all processes. The sum stands in those of process `root` afterwards; those of the others are
    /// of no use any more.
    ///
    /// # Errors
    /// When another process has failed.
    fn sum_to(&self, root: usize, values: &mut [f32]) -> Result<(), LabError>;

    /// Gives all processes the `values` of process `root`.
    ///
    /// # Errors
    /// When another process has failed.
    fn broadcast(&self, root: usize, values: &mut [f32]) -> Result<(), LabError>;

    /// The bytes that each process gives, by rank.
    ///
    /// # Errors
    /// When another process has failed.
    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, LabError>;

    /// Tells the others that this process cannot go on, and why: none of them waits for it any more. It must end then.
    fn fail(&self, why: &str);

    /// Whether this is the process that writes.
    fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Whether there is no other process.
    fn is_alone(&self) -> bool {
        self.size() == 1
    }

    /// Waits until all processes are here.
    ///
    /// # Errors
    /// When another process has failed.
    fn barrier(&self) -> Result<(), LabError> {
        self.gather(&[]).map(drop)
    }

    /// Whether any process says so.
    ///
    /// # Errors
    /// When another process has failed.
    fn any(&self, flag: bool) -> Result<bool, LabError> {
        Ok(self.gather(&[u8::from(flag)])?.iter().any(|other| other == &[1]))
    }
}

/// A process that trains by itself.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Collectives for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn sum_to(&self, _: usize, _: &mut [f32]) -> Result<(), LabError> {
        Ok(())
    }

    fn broadcast(&self, _: usize, _: &mut [f32]) -> Result<(), LabError> {
        Ok(())
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, LabError> {
        Ok(vec![own.to_vec()])
    }

    fn fail(&self, _: &str) {}
}
