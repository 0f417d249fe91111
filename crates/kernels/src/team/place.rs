//! Where the threads of a team run. When there is a thread for every core this process may use, each member keeps off
//! the core of its leader: systems leave two busy threads on one core for seconds once another process has disturbed
//! them. Linux only; elsewhere nothing is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The cores, and the one the leader was seen on last.
pub(super) struct Places {
    /// Numbers of the cores this process may use; empty when nobody is placed.
    cores: Arc<[usize]>,
    leader: AtomicUsize,
}

impl Places {
    /// For a team of the current pool.
    pub(super) fn new() -> Self {
        let cores = system::allowed();
        let cores = if cores.len() == rayon::current_num_threads() { cores } else { Vec::new() };
        Places { cores: cores.into(), leader: AtomicUsize::new(usize::MAX) }
    }

    /// Called by the leader at the beginning of a loop and between its parts.
    pub(super) fn leader_is_here(&self) {
        if !self.cores.is_empty() {
            self.leader.store(system::current().unwrap_or(usize::MAX), Ordering::Relaxed);
        }
    }

    /// The place of member `number`.
    pub(super) fn member(&self, number: usize) -> Place<'_> {
        Place { places: self, number, leader: usize::MAX }
    }
}

/// Where one member runs; ends when dropped.
pub(super) struct Place<'a> {
    places: &'a Places,
    number: usize,
    /// The leader's core that this place was chosen for.
    leader: usize,
}

impl Place<'_> {
    /// Moves to a core of its own when the leader has moved; called between the parts of a loop.
    pub(super) fn keep_off_the_leader(&mut self) {
        let leader = self.places.leader.load(Ordering::Relaxed);
        if leader == self.leader {
            return;
        }
        self.leader = leader;
        let cores = &self.places.cores;
        if let Some(at) = cores.iter().position(|core| *core == leader) {
            system::allow(&[cores[(at + 1 + self.number) % cores.len()]]);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.leader != usize::MAX {
            system::allow(&self.places.cores);
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
        // SAFETY: takes nothing and gives a number, negative where there is none.
        usize::try_from(unsafe { libc::sched_getcpu() }).ok()
    }

    /// Lets the calling thread use these cores alone. A system that refuses leaves it where it was.
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
