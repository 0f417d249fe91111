//! Threads in the place of processes, for tests. Sums are in the order of ranks.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::collectives::Collectives;
use crate::error::LabError;

/// One of several threads that train together.
pub(in crate::train) struct InMemory {
    rank: usize,
    shared: Arc<Shared>,
}

struct Shared {
    size: usize,
    round: Mutex<Round>,
    changed: Condvar,
}

/// What the threads give to each other in one operation.
#[derive(Default)]
struct Round {
    given: Vec<Option<Arc<Vec<u8>>>>,
    /// Threads that have seen what all have given.
    seen: usize,
    /// Who has failed, and why.
    failed: Option<String>,
}

impl InMemory {
    /// `size` of them, by rank.
    pub(in crate::train) fn all(size: usize) -> Vec<Self> {
        let round = Mutex::new(Round { given: vec![None; size], ..Round::default() });
        let shared = Arc::new(Shared { size, round, changed: Condvar::new() });
        (0..size).map(|rank| InMemory { rank, shared: shared.clone() }).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Round> {
        self.shared.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while `busy`; an error when a thread has failed.
    fn wait<'r>(
        &self,
        mut round: MutexGuard<'r, Round>,
        busy: impl Fn(&Round) -> bool,
    ) -> Result<MutexGuard<'r, Round>, LabError> {
        while busy(&round) {
            if let Some(why) = &round.failed {
                return Err(LabError::Caller(why.clone()));
            }
            round = self.shared.changed.wait(round).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(round)
    }

    fn exchange(&self, own: Vec<u8>) -> Result<Vec<Arc<Vec<u8>>>, LabError> {
        // The others may not have seen what this one gave before.
        let mut round = self.wait(self.lock(), |round| round.given[self.rank].is_some())?;
        round.given[self.rank] = Some(Arc::new(own));
        self.shared.changed.notify_all();
        let mut round = self.wait(round, |round| round.given.iter().any(Option::is_none))?;
        let all = round.given.iter().flatten().cloned().collect();
        round.seen += 1;
        if round.seen == self.shared.size {
            round.seen = 0;
            round.given.fill(None);
            self.shared.changed.notify_all();
        }
        Ok(all)
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn values(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(4).map(|value| f32::from_le_bytes([value[0], value[1], value[2], value[3]]))
}

impl Collectives for InMemory {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.shared.size
    }

    fn sum_to(&self, root: usize, sums: &mut [f32]) -> Result<(), LabError> {
        let all = self.exchange(bytes(sums))?;
        assert!(all.iter().all(|other| other.len() == 4 * sums.len()), "not the operation of the other threads");
        if self.rank == root {
            sums.iter_mut().zip(values(&all[0])).for_each(|(sum, value)| *sum = value);
            for other in &all[1..] {
                sums.iter_mut().zip(values(other)).for_each(|(sum, value)| *sum += value);
            }
        }
        Ok(())
    }

    fn broadcast(&self, root: usize, own: &mut [f32]) -> Result<(), LabError> {
        let all = self.exchange(bytes(own))?;
        assert_eq!(all[root].len(), 4 * own.len(), "not the operation of the other threads");
        own.iter_mut().zip(values(&all[root])).for_each(|(own, value)| *own = value);
        Ok(())
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, LabError> {
        Ok(self.exchange(own.to_vec())?.into_iter().map(|bytes| bytes.to_vec()).collect())
    }

    fn fail(&self, why: &str) {
        self.lock().failed.get_or_insert_with(|| format!("process {} has failed: {why}", self.rank));
        self.shared.changed.notify_all();
    }
}

impl Drop for InMemory {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail("it panicked");
        }
    }
}
