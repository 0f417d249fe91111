//! Parallel loops on threads that stay together from one loop to the next. A model's step is a hundred short loops with
//! a little work of one thread between them: threads that fell asleep after each would be woken as often, 10 to 40
//! microseconds a time.
//!
//! The members are threads of rayon's pool: whoever calls a loop leads, the others are asked to join, take parts of its
//! loops, wait awake for a fraction of a millisecond for the next one, and go back to the pool. A part is taken by
//! whoever is free, so a thread that another process holds up leaves its share to the others.

mod place;

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use place::{Place, Places};

/// How long a member waits for the next loop before it goes back to the pool.
const PATIENCE: Duration = Duration::from_micros(400);
/// Looks at the round between two looks at the clock.
const LOOKS: u32 = 32;
/// In [`Team::state`]: a loop is running; the rest counts the members inside, two each.
const OPEN: usize = 1;
const INSIDE: usize = 2;

/// Calls `work(i)` once for every `i` below `parts`, on all threads of the current pool.
pub(crate) fn for_each(parts: usize, work: impl Fn(usize) + Sync) {
    for_each_init(parts, || (), |(), part| work(part));
}

/// The same with something that every thread makes for itself first.
pub(crate) fn for_each_init<S>(parts: usize, init: impl Fn() -> S + Sync, work: impl Fn(&mut S, usize) + Sync) {
    run(parts, &|next| {
        let mut own = init();
        while let Some(part) = next() {
            work(&mut own, part);
        }
    });
}

/// What `work` gives for every part, in their order.
pub(crate) fn map<T: Send + Sync>(parts: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let results: Vec<OnceLock<T>> = (0..parts).map(|_| OnceLock::new()).collect();
    for_each(parts, |part| {
        // Every part is worked on once, so nothing is there yet.
        let _ = results[part].set(work(part));
    });
    results.into_iter().filter_map(OnceLock::into_inner).collect()
}

/// What every thread of a loop does with a source of parts.
type Work<'a> = dyn Fn(&mut dyn FnMut() -> Option<usize>) + Sync + 'a;

thread_local! {
    /// The team that this thread leads.
    static OWN: OnceLock<Arc<Team>> = const { OnceLock::new() };
    /// Whether this thread works on a loop already.
    static WORKING: Cell<bool> = const { Cell::new(false) };
}

fn run(parts: usize, work: &Work<'_>) {
    let threads = rayon::current_num_threads();
    if parts <= 1 || threads == 1 || WORKING.get() {
        let mut parts = 0..parts;
        return work(&mut || parts.next());
    }
    let team = OWN.with(|own| own.get_or_init(|| Arc::new(Team::new())).clone());
    team.gather(threads.min(parts));
    team.lead(parts, work);
}

/// A value that has its cache line to itself.
#[repr(align(128))]
#[derive(Default)]
struct Apart<T>(T);

/// One leading thread and those that joined it.
struct Team {
    /// Number of loops begun. Members look at it while they wait.
    round: Apart<AtomicUsize>,
    /// [`OPEN`] and members [`INSIDE`].
    state: Apart<AtomicUsize>,
    /// First part that nobody has taken.
    next: Apart<AtomicUsize>,
    /// The loop; written by the leader while the team is closed and nobody inside, read by members inside.
    task: UnsafeCell<Option<Task>>,
    /// Which members have joined or were asked to.
    joined: Vec<AtomicBool>,
    /// What a member panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// Where the leader runs.
    places: Places,
}

// SAFETY: `task` is the only part that is not `Sync` by itself. The leader alone writes it, before it opens the team
// and after all who were inside have left; members read it between entering an open team and leaving.
unsafe impl Sync for Team {}
// SAFETY: the pointer in `task` is used only while the leader's loop lasts, whose work is `Sync`.
unsafe impl Send for Team {}

#[derive(Clone, Copy)]
struct Task {
    work: *const Work<'static>,
    parts: usize,
}

/// Marks a thread as working on a loop while it lives.
struct Working;

impl Working {
    fn new() -> Self {
        WORKING.set(true);
        Working
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        WORKING.set(false);
    }
}

impl Team {
    fn new() -> Self {
        let places = Places::new();
        let members = rayon::current_num_threads() - 1;
        Team {
            round: Apart::default(),
            state: Apart::default(),
            next: Apart::default(),
            task: UnsafeCell::new(None),
            joined: (0..members).map(|_| AtomicBool::new(false)).collect(),
            panic: Mutex::new(None),
            places,
        }
    }

    /// Asks threads of the pool to join until there are `threads` with the leader.
    fn gather(self: &Arc<Self>, threads: usize) {
        for (number, joined) in self.joined.iter().enumerate().take(threads - 1) {
            if !joined.load(Ordering::Relaxed) && !joined.swap(true, Ordering::Relaxed) {
                let team = self.clone();
                rayon::spawn(move || team.attend(number));
            }
        }
    }

    /// Runs a loop as its leader; returns when every part is done and nobody uses `work` any more.
    fn lead(&self, parts: usize, work: &Work<'_>) {
        // SAFETY: the team is closed and nobody inside (every `lead` ends so), so nobody reads `task` now.
        unsafe { *self.task.get() = Some(Task { work: erased(work), parts }) };
        self.next.0.store(0, Ordering::Relaxed);
        self.places.leader_is_here();
        self.state.0.fetch_or(OPEN, Ordering::Release);
        self.round.0.fetch_add(1, Ordering::Release);
        let own = catch_unwind(AssertUnwindSafe(|| self.take_part(parts, work, || self.places.leader_is_here())));
        self.state.0.fetch_and(!OPEN, Ordering::Relaxed);
        let mut looks = 0u32;
        // Acquire: what the members have written is seen from here on.
        while self.state.0.load(Ordering::Acquire) != 0 {
            spin_loop();
            looks += 1;
            if looks.is_multiple_of(1024) {
                // A member that is held up may be waiting for this very core.
                std::thread::yield_now();
            }
        }
        let others = self.panic.lock().map(|mut panic| panic.take()).ok().flatten();
        if let Some(payload) = own.err().or(others) {
            resume_unwind(payload);
        }
    }

    /// Works on parts until all are taken, and calls `between` before each; a panic takes the rest away from everybody.
    fn take_part(&self, parts: usize, work: &Work<'_>, mut between: impl FnMut()) {
        let working = Working::new();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            work(&mut || {
                between();
                Some(self.next.0.fetch_add(1, Ordering::Relaxed)).filter(|part| *part < parts)
            });
        }));
        drop(working);
        if let Err(payload) = ended {
            self.next.0.store(parts, Ordering::Relaxed);
            resume_unwind(payload);
        }
    }

    /// What member `number` does: takes part in loops until none has come for a while.
    fn attend(self: Arc<Self>, number: usize) {
        // The leader itself, while it waits for other work of the pool.
        let own = OWN.with(|own| own.get().is_some_and(|own| Arc::ptr_eq(own, &self)));
        if !own {
            let mut place = self.places.member(number);
            let mut seen = self.round.0.load(Ordering::Acquire).wrapping_sub(1);
            while let Some(round) = self.wait(seen) {
                seen = round;
                // Acquire: the task of an open team is seen. A member that comes too late leaves again at once.
                if self.state.0.fetch_add(INSIDE, Ordering::Acquire) & OPEN != 0 {
                    self.serve(&mut place);
                }
                self.state.0.fetch_sub(INSIDE, Ordering::Release);
            }
        }
        self.joined[number].store(false, Ordering::Relaxed);
    }

    /// Takes part in the open loop.
    fn serve(&self, place: &mut Place<'_>) {
        // SAFETY: this member has entered the open team, so the leader neither writes `task` nor leaves the loop, for
        // whose time `work` is borrowed, before this member leaves.
        let Some((work, parts)) = (unsafe { (*self.task.get()).map(|task| (&*task.work, task.parts)) }) else { return };
        let served = || self.take_part(parts, work, || place.keep_off_the_leader());
        if let Err(payload) = catch_unwind(AssertUnwindSafe(served))
            && let Ok(mut panic) = self.panic.lock()
        {
            panic.get_or_insert(payload);
        }
    }

    /// The next round after `seen`; `None` when none begins for a while.
    fn wait(&self, seen: usize) -> Option<usize> {
        let mut since = None;
        loop {
            for _ in 0..LOOKS {
                let round = self.round.0.load(Ordering::Acquire);
                if round != seen {
                    return Some(round);
                }
                spin_loop();
            }
            if since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                return None;
            }
        }
    }
}

/// The same work without its lifetime.
fn erased<'a>(work: &'a Work<'a>) -> *const Work<'static> {
    // SAFETY: only the lifetime of what is pointed to changes; whoever reads through the pointer shows that it lasts.
    unsafe { std::mem::transmute::<*const Work<'a>, *const Work<'static>>(work) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    #[test]
    fn every_part_is_done_once_on_any_number_of_threads() {
        for threads in [1, 2, 3, 7] {
            pool(threads).install(|| {
                for round in 0..300 {
                    let parts = round % 50;
                    let counts: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
                    for_each(parts, |part| {
                        counts[part].fetch_add(1, Ordering::Relaxed);
                    });
                    assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1), "{threads} threads");
                }
            });
        }
    }

    #[test]
    fn results_come_in_order_and_from_loops_within_loops() {
        let squares = pool(3).install(|| map(100, |i| map(i, |j| j + i).len() * i));
        assert_eq!(squares, (0..100).map(|i| i * i).collect::<Vec<_>>());
    }

    #[test]
    fn several_leaders_share_one_pool() {
        std::thread::scope(|scope| {
            for leader in 0..4 {
                scope.spawn(move || {
                    for round in 0..200 {
                        let sums = map(20, |i| i * leader + round);
                        assert_eq!(sums, (0..20).map(|i| i * leader + round).collect::<Vec<_>>());
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_of_any_part_reaches_the_caller_and_the_team_goes_on() {
        pool(3).install(|| {
            for bad in 0..40 {
                let result = catch_unwind(|| for_each(40, |part| assert_ne!(part, bad, "part {bad}")));
                assert!(result.is_err(), "part {bad}");
                assert_eq!(map(9, |part| part).len(), 9);
            }
        });
    }

    #[test]
    fn members_go_back_to_the_pool_when_nothing_comes() {
        pool(2).install(|| {
            for_each(100, |_| std::thread::sleep(Duration::from_micros(20)));
            let team = OWN.with(|own| own.get().cloned()).unwrap();
            let gone = || team.joined.iter().all(|joined| !joined.load(Ordering::Relaxed));
            let begun = Instant::now();
            while !gone() && begun.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(gone());
        });
    }
}
