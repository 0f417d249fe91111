//! Pins the workers of a pool to cores other than the caller's. Schedulers leave two busy threads on one core for
//! seconds after another process has disturbed them. Active only on Linux, and only when there is one thread per
//! core.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The cores of a pool, and the one its caller was last seen on.
pub(super) struct PoolCores {
    /// Numbers of the cores this process may use; empty when workers are not pinned.
    cores: Arc<[usize]>,
    caller: AtomicUsize,
}

impl PoolCores {
    /// For as many threads as rayon's current pool has.
    pub(super) fn new() -> Self {
        let cores = system::allowed();
        let cores = if cores.len() == rayon::current_num_threads() { cores } else { Vec::new() };
        PoolCores { cores: cores.into(), caller: AtomicUsize::new(usize::MAX) }
    }

    /// Records the calling thread's core; the caller does this at the start of a loop and before each job.
    pub(super) fn record_caller(&self) {
        if !self.cores.is_empty() {
            self.caller.store(system::current().unwrap_or(usize::MAX), Ordering::Relaxed);
        }
    }

    /// The pin of worker `number`, which has not moved yet.
    pub(super) fn worker(&self, number: usize) -> WorkerPin<'_> {
        WorkerPin { pool: self, number, caller: usize::MAX }
    }
}

/// Keeps one worker off the caller's core; dropping it unpins the thread.
pub(super) struct WorkerPin<'a> {
    pool: &'a PoolCores,
    number: usize,
    /// The caller's core for which the present pin was chosen.
    caller: usize,
}

impl WorkerPin<'_> {
    /// Pins the thread to another core when the caller has moved; called between the jobs of a loop.
    pub(super) fn avoid_caller(&mut self) {
        let caller = self.pool.caller.load(Ordering::Relaxed);
        if caller == self.caller {
            return;
        }
        self.caller = caller;
        let cores = &self.pool.cores;
        if let Some(at) = cores.iter().position(|core| *core == caller) {
            system::allow(&[cores[(at + 1 + self.number) % cores.len()]]);
        }
    }
}

impl Drop for WorkerPin<'_> {
    fn drop(&mut self) {
        if self.caller != usize::MAX {
            system::allow(&self.pool.cores);
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::mem::{size_of, zeroed};

    /// Cores that the calling thread may use.
    pub(super) fn allowed() -> Vec<usize> {
        // SAFETY: the set is plain bits, of which the system writes as many as it is told there are.
        let (set, result) = unsafe {
            let mut set: libc::cpu_set_t = zeroed();
            let result = libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set);
            (set, result)
        };
        // SAFETY: the numbers lie below the set's size.
        let has = |core: &usize| unsafe { libc::CPU_ISSET(*core, &set) };
        if result == 0 { (0..libc::CPU_SETSIZE as usize).filter(has).collect() } else { Vec::new() }
    }

    /// The core that the calling thread runs on.
    pub(super) fn current() -> Option<usize> {
        // SAFETY: takes nothing and gives a number, negative on failure.
        usize::try_from(unsafe { libc::sched_getcpu() }).ok()
    }

    /// Restricts the calling thread to these cores. If the system refuses, the thread stays where it was.
    pub(super) fn allow(cores: &[usize]) {
        // SAFETY: the set is plain bits, and the numbers, from `allowed`, lie below its size.
        unsafe {
            let mut set: libc::cpu_set_t = zeroed();
            cores.iter().for_each(|core| libc::CPU_SET(*core, &mut set));
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn allowed() -> Vec<usize> {
        Vec::new()
    }

    pub(super) fn current() -> Option<usize> {
        None
    }

    pub(super) fn allow(_cores: &[usize]) {}
}
