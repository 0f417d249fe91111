//! A fork-join pool: parallel loops whose worker threads spin between loops. One forward pass of a model is about a
//! hundred short loops with a little serial work between them. Sleeping threads would have to be woken for each, which
//! takes 10 to 40 microseconds a time.
//!
//! The thread that calls a loop takes jobs itself and recruits workers from rayon's pool. Workers spin for the next
//! loop for at most [`SPIN_TIMEOUT`], then go back to rayon's. Jobs are claimed one by one from a shared counter, so
//! other threads take over the share of a thread that was held up.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::affinity::{PoolCores, WorkerPin};

/// How long a worker spins for the next loop before it goes back to rayon's pool.
const SPIN_TIMEOUT: Duration = Duration::from_micros(400);
/// Spins between two reads of the clock.
const SPINS_PER_CLOCK_READ: u32 = 32;
/// Bit of [`ThreadPool::state`]: a loop is open for workers to enter.
const OPEN: usize = 1;
/// Unit of [`ThreadPool::state`] above the bit [`OPEN`]: one worker inside the loop.
const INSIDE: usize = 2;

/// Calls `work(job)` once for every job below `jobs`, on all threads of rayon's current pool.
pub(crate) fn for_each(jobs: usize, work: impl Fn(usize) + Sync) {
    for_each_init(jobs, || (), |(), job| work(job));
}

/// Calls `work(state, job)` once for every job below `jobs`, on all threads of the current pool; each thread makes its
/// state with `init` first.
pub(crate) fn for_each_init<S>(jobs: usize, init: impl Fn() -> S + Sync, work: impl Fn(&mut S, usize) + Sync) {
    run(jobs, &|next| {
        let mut state = init();
        while let Some(job) = next() {
            work(&mut state, job);
        }
    });
}

/// The results of `work` for every job below `jobs`, in order, computed on all threads of the current pool.
pub(crate) fn map<T: Send + Sync>(jobs: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let results: Vec<OnceLock<T>> = (0..jobs).map(|_| OnceLock::new()).collect();
    for_each(jobs, |job| {
        // Every job runs once, so its cell is empty.
        let _ = results[job].set(work(job));
    });
    results.into_iter().filter_map(OnceLock::into_inner).collect()
}

/// What every thread of a loop runs; its argument claims the next job.
type Work<'a> = dyn Fn(&mut dyn FnMut() -> Option<usize>) + Sync + 'a;

thread_local! {
    /// The pool for the loops that this thread calls.
    static POOL: OnceLock<Arc<ThreadPool>> = const { OnceLock::new() };
    /// Whether this thread runs jobs of a loop now; a nested loop then runs on this thread alone.
    static WORKING: Cell<bool> = const { Cell::new(false) };
}

fn run(jobs: usize, work: &Work<'_>) {
    let threads = rayon::current_num_threads();
    if jobs <= 1 || threads == 1 || WORKING.get() {
        let mut jobs = 0..jobs;
        return work(&mut || jobs.next());
    }
    let pool = POOL.with(|pool| pool.get_or_init(|| Arc::new(ThreadPool::new())).clone());
    pool.recruit(threads.min(jobs));
    pool.run_as_caller(jobs, work);
}

/// A value on cache lines of its own, against false sharing (two lines: adjacent lines are prefetched in pairs).
#[repr(align(128))]
#[derive(Default)]
struct CachePadded<T>(T);

/// One calling thread and its workers.
struct ThreadPool {
    /// Number of loops begun; idle workers spin on it.
    epoch: CachePadded<AtomicUsize>,
    /// Bit [`OPEN`], and [`INSIDE`] for each worker inside the loop.
    state: CachePadded<AtomicUsize>,
    /// First unclaimed job.
    next: CachePadded<AtomicUsize>,
    /// The loop. The caller writes it while the pool is closed and empty; workers read it while they are inside.
    task: UnsafeCell<Option<Task>>,
    /// For each worker, whether it has joined or was recruited.
    joined: Vec<AtomicBool>,
    /// The first panic of a worker.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// The cores of the caller and its workers.
    cores: PoolCores,
}

// SAFETY: `task` is the only field that is not `Sync` by itself. The caller alone writes it, before it opens the pool
// and after all workers inside have left; workers read it between entering an open pool and leaving.
unsafe impl Sync for ThreadPool {}
// SAFETY: the pointer in `task` is used only while the caller's loop lasts, whose work is `Sync`.
unsafe impl Send for ThreadPool {}

#[derive(Clone, Copy)]
struct Task {
    work: *const Work<'static>,
    jobs: usize,
}

/// Sets [`WORKING`] while it lives.
struct WorkingGuard;

impl WorkingGuard {
    fn new() -> Self {
        WORKING.set(true);
        WorkingGuard
    }
}

impl Drop for WorkingGuard {
    fn drop(&mut self) {
        WORKING.set(false);
    }
}

impl ThreadPool {
    fn new() -> Self {
        let cores = PoolCores::new();
        let workers = rayon::current_num_threads() - 1;
        ThreadPool {
            epoch: CachePadded::default(),
            state: CachePadded::default(),
            next: CachePadded::default(),
            task: UnsafeCell::new(None),
            joined: (0..workers).map(|_| AtomicBool::new(false)).collect(),
            panic: Mutex::new(None),
            cores,
        }
    }

    /// Asks threads of rayon's pool to join until this one has `threads`, the caller included.
    fn recruit(self: &Arc<Self>, threads: usize) {
        for (number, joined) in self.joined.iter().enumerate().take(threads - 1) {
            if !joined.load(Ordering::Relaxed) && !joined.swap(true, Ordering::Relaxed) {
                let pool = self.clone();
                rayon::spawn(move || pool.worker_loop(number));
            }
        }
    }

    /// Runs a loop as its caller; returns when every job is done and no worker uses `work` any more.
    fn run_as_caller(&self, jobs: usize, work: &Work<'_>) {
        // SAFETY: the pool is closed and empty (every run ends so), so nobody reads `task` now.
        unsafe { *self.task.get() = Some(Task { work: erase_lifetime(work), jobs }) };
        self.next.0.store(0, Ordering::Relaxed);
        self.cores.record_caller();
        self.state.0.fetch_or(OPEN, Ordering::Release);
        self.epoch.0.fetch_add(1, Ordering::Release);
        let own = catch_unwind(AssertUnwindSafe(|| self.claim_jobs(jobs, work, || self.cores.record_caller())));
        self.state.0.fetch_and(!OPEN, Ordering::Relaxed);
        let mut spins = 0u32;
        // Acquire: everything the workers wrote is visible from here on.
        while self.state.0.load(Ordering::Acquire) != 0 {
            spin_loop();
            spins += 1;
            if spins.is_multiple_of(1024) {
                // A worker that does not run may be waiting for this very core.
                std::thread::yield_now();
            }
        }
        let workers = self.panic.lock().map(|mut panic| panic.take()).ok().flatten();
        if let Some(payload) = own.err().or(workers) {
            resume_unwind(payload);
        }
    }

    /// Runs jobs until all are claimed and calls `before_each` before each one. A panic claims all jobs that are left.
    fn claim_jobs(&self, jobs: usize, work: &Work<'_>, mut before_each: impl FnMut()) {
        let working = WorkingGuard::new();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            work(&mut || {
                before_each();
                Some(self.next.0.fetch_add(1, Ordering::Relaxed)).filter(|job| *job < jobs)
            });
        }));
        drop(working);
        if let Err(payload) = ended {
            self.next.0.store(jobs, Ordering::Relaxed);
            resume_unwind(payload);
        }
    }

    /// The life of worker `number`: works in loops until none has begun for [`SPIN_TIMEOUT`].
    fn worker_loop(self: Arc<Self>, number: usize) {
        // Rayon may hand this task to the caller itself, while that waits for other work of rayon's pool.
        let is_caller = POOL.with(|pool| pool.get().is_some_and(|pool| Arc::ptr_eq(pool, &self)));
        if !is_caller {
            let mut pin = self.cores.worker(number);
            let mut seen = self.epoch.0.load(Ordering::Acquire).wrapping_sub(1);
            while let Some(epoch) = self.spin_for_loop(seen) {
                seen = epoch;
                // Acquire: the task of an open pool is visible. A worker that comes too late leaves again at once.
                if self.state.0.fetch_add(INSIDE, Ordering::Acquire) & OPEN != 0 {
                    self.work_in_loop(&mut pin);
                }
                self.state.0.fetch_sub(INSIDE, Ordering::Release);
            }
        }
        self.joined[number].store(false, Ordering::Relaxed);
    }

    /// Works in the open loop.
    fn work_in_loop(&self, pin: &mut WorkerPin<'_>) {
        // SAFETY: this worker has entered the open pool. Until it leaves, the caller neither writes `task` nor returns
        // from the loop, for whose duration `work` is borrowed.
        let Some((work, jobs)) = (unsafe { (*self.task.get()).map(|task| (&*task.work, task.jobs)) }) else { return };
        let claim = || self.claim_jobs(jobs, work, || pin.avoid_caller());
        if let Err(payload) = catch_unwind(AssertUnwindSafe(claim))
            && let Ok(mut panic) = self.panic.lock()
        {
            panic.get_or_insert(payload);
        }
    }

    /// Spins until a loop after epoch `seen` begins and returns its epoch; `None` after [`SPIN_TIMEOUT`].
    fn spin_for_loop(&self, seen: usize) -> Option<usize> {
        let mut since = None;
        loop {
            for _ in 0..SPINS_PER_CLOCK_READ {
                let epoch = self.epoch.0.load(Ordering::Acquire);
                if epoch != seen {
                    return Some(epoch);
                }
                spin_loop();
            }
            if since.get_or_insert_with(Instant::now).elapsed() > SPIN_TIMEOUT {
                return None;
            }
        }
    }
}

/// `work` as a pointer without its lifetime.
fn erase_lifetime<'a>(work: &'a Work<'a>) -> *const Work<'static> {
    // SAFETY: only the lifetime of the pointee's type changes; every reader shows that the loop still runs.
    unsafe { std::mem::transmute::<*const Work<'a>, *const Work<'static>>(work) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    #[test]
    fn every_job_runs_once_on_any_number_of_threads() {
        for threads in [1, 2, 3, 7] {
            pool(threads).install(|| {
                for round in 0..300 {
                    let jobs = round % 50;
                    let counts: Vec<AtomicUsize> = (0..jobs).map(|_| AtomicUsize::new(0)).collect();
                    for_each(jobs, |job| {
                        counts[job].fetch_add(1, Ordering::Relaxed);
                    });
                    assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1), "{threads} threads");
                }
            });
        }
    }

    #[test]
    fn map_keeps_the_order_and_loops_nest() {
        let squares = pool(3).install(|| map(100, |i| map(i, |j| j + i).len() * i));
        assert_eq!(squares, (0..100).map(|i| i * i).collect::<Vec<_>>());
    }

    #[test]
    fn several_callers_share_the_threads_of_rayon() {
        std::thread::scope(|scope| {
            for caller in 0..4 {
                scope.spawn(move || {
                    for round in 0..200 {
                        let sums = map(20, |i| i * caller + round);
                        assert_eq!(sums, (0..20).map(|i| i * caller + round).collect::<Vec<_>>());
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_of_any_job_reaches_the_caller_and_the_pool_survives() {
        pool(3).install(|| {
            for bad in 0..40 {
                let result = catch_unwind(|| for_each(40, |job| assert_ne!(job, bad, "job {bad}")));
                assert!(result.is_err(), "job {bad}");
                assert_eq!(map(9, |job| job).len(), 9);
            }
        });
    }

    #[test]
    fn idle_workers_go_back_to_the_pool() {
        pool(2).install(|| {
            for_each(100, |_| std::thread::sleep(Duration::from_micros(20)));
            let pool = POOL.with(|pool| pool.get().cloned()).unwrap();
            let gone = || pool.joined.iter().all(|joined| !joined.load(Ordering::Relaxed));
            let begun = Instant::now();
            while !gone() && begun.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(gone());
        });
    }
}
