//! Processes over MPI. An error inside MPI itself ends all processes, which is what MPI does by default.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::datatype::PartitionMut;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};

use super::collectives::Collectives;
use crate::error::LabError;

/// How long a process that fails leaves the word to the first one. When all fail alike, it alone says so.
const FIRST_SPEAKS: Duration = Duration::from_millis(500);

/// This process as one of those that MPI has started.
pub(super) struct MpiProcesses {
    universe: Universe,
    failed: AtomicBool,
}

impl MpiProcesses {
    /// Takes part. Must be called in the main thread, which must drop the result, too: MPI asks for that.
    ///
    /// # Errors
    /// [`LabError::Caller`] when the library does not let other threads than the main one call it.
    pub(super) fn join() -> Result<Self, LabError> {
        let refused = |what: &str| LabError::Caller(what.to_string());
        let joined = mpi::initialize_with_threading(Threading::Serialized);
        let (universe, threading) = joined.ok_or_else(|| refused("MPI was started twice in this process"))?;
        if threading < Threading::Serialized {
            return Err(refused("this MPI library lets the main thread alone call it (no MPI_THREAD_SERIALIZED)"));
        }
        Ok(MpiProcesses { universe, failed: AtomicBool::new(false) })
    }

    /// The machine, and the cores that this process may use on it. Processes that say the same share these cores.
    pub(super) fn place(&self) -> String {
        let machine = mpi::environment::processor_name().unwrap_or_default();
        // Systems without this file do not bind processes to cores.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let cores = status.lines().find(|line| line.starts_with("Cpus_allowed_list:")).unwrap_or_default();
        format!("{machine} {cores}")
    }

    fn world(&self) -> SimpleCommunicator {
        self.universe.world()
    }
}

impl Collectives for MpiProcesses {
    fn rank(&self) -> usize {
        self.world().rank() as usize
    }

    fn size(&self) -> usize {
        self.world().size() as usize
    }

    fn sum_to(&self, root: usize, values: &mut [f32]) -> Result<(), LabError> {
        let world = self.world();
        let at_root = world.process_at_rank(root as i32);
        if self.rank() == root {
            let own = values.to_vec();
            at_root.reduce_into_root(&own[..], values, SystemOperation::sum());
        } else {
            at_root.reduce_into(&*values, SystemOperation::sum());
        }
        Ok(())
    }

    fn broadcast(&self, root: usize, values: &mut [f32]) -> Result<(), LabError> {
        self.world().process_at_rank(root as i32).broadcast_into(values);
        Ok(())
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, LabError> {
        // MPI takes the address of an empty vector, 1, for MPI_IN_PLACE: a byte goes before what is sent.
        let sent = [&[0], own].concat();
        let world = self.world();
        let mut counts = vec![0i32; self.size()];
        // Too long for MPI's counts: -1, which every process sees.
        world.all_gather_into(&i32::try_from(sent.len()).unwrap_or(-1), &mut counts[..]);
        let total = counts.iter().try_fold(0i32, |sum, count| if *count < 0 { None } else { sum.checked_add(*count) });
        let Some(total) = total else {
            return Err(LabError::Caller("more than 2 GiB at once are not sent to other processes".to_string()));
        };
        let starts: Vec<i32> =
            counts.iter().scan(0, |next, count| Some(std::mem::replace(next, *next + count))).collect();
        let mut all = vec![0u8; total as usize];
        let mut parts = PartitionMut::new(&mut all[..], &counts[..], &starts[..]);
        world.all_gather_varcount_into(&sent[..], &mut parts);
        let part = |(start, count): (&i32, &i32)| all[*start as usize + 1..(start + count) as usize].to_vec();
        Ok(starts.iter().zip(&counts).map(part).collect())
    }

    fn fail(&self, _: &str) {
        if !self.failed.swap(true, Ordering::SeqCst) && self.rank() > 0 {
            std::thread::sleep(FIRST_SPEAKS);
        }
    }
}

impl Drop for MpiProcesses {
    /// Ends this process's part in MPI, or all processes when it has failed: the others would wait for it.
    fn drop(&mut self) {
        if self.failed.load(Ordering::SeqCst) || std::thread::panicking() {
            self.world().abort(1);
        }
    }
}
