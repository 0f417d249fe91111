//! Work on numbered things ahead of whoever takes the results, on threads of its own, in order, with bounded memory.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, Result as ThreadResult};

/// How far ahead work may go.
#[derive(Clone, Copy, Debug)]
pub struct ReadAhead {
    /// Threads, at least 1.
    pub workers: usize,
    /// Bytes of results that wait to be taken. No further work begins while there are as many; what is at work then is
    /// finished, so that there may be one more result for each worker.
    pub bytes: u64,
    /// Results that are at work or wait, at least 1.
    pub results: usize,
}

impl Default for ReadAhead {
    /// Two workers, 512 MiB and 64 results.
    fn default() -> Self {
        ReadAhead { workers: 2, bytes: 512 << 20, results: 64 }
    }
}

/// Calls `load` with each of `numbers` on worker threads and gives what it returns in the order of the numbers. `cost`
/// tells the bytes of a result; errors are results like others.
///
/// Dropping the iterator ends the workers after what they are at. A panic of `load` goes on in the thread that takes
/// its result.
pub fn read_ahead<N, T>(
    numbers: N,
    ahead: ReadAhead,
    cost: impl Fn(&T) -> u64 + Send + Sync + 'static,
    load: impl Fn(u64) -> T + Send + Sync + 'static,
) -> impl Iterator<Item = T>
where
    N: Iterator<Item = u64> + Send + 'static,
    T: Send + 'static,
{
    let state = State { numbers: Some(numbers), ready: BTreeMap::new(), begun: 0, taken: 0, bytes: 0, is_over: false };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
    let load = Arc::new(move |number| {
        let result = catch_unwind(AssertUnwindSafe(|| load(number)));
        let bytes = result.as_ref().map_or(0, &cost);
        (result, bytes)
    });
    let worker = |_| {
        let (shared, load) = (Arc::clone(&shared), Arc::clone(&load));
        std::thread::spawn(move || work(&shared, &ahead, load.as_ref()))
    };
    let workers = (0..ahead.workers.max(1)).map(worker).collect();
    InOrder { shared, workers }
}

/// What workers and taker share.
struct Shared<N, T> {
    state: Mutex<State<N, T>>,
    /// Something was taken, finished or ended.
    changed: Condvar,
}

struct State<N, T> {
    /// What is left of the numbers; none when they have ended.
    numbers: Option<N>,
    /// Results by their place, with their bytes.
    ready: BTreeMap<u64, (ThreadResult<T>, u64)>,
    /// Places that were given to workers.
    begun: u64,
    /// Places whose results were taken.
    taken: u64,
    /// Of the results that are ready.
    bytes: u64,
    /// Whether nobody takes any more.
    is_over: bool,
}

impl<N, T> Shared<N, T> {
    fn lock(&self) -> MutexGuard<'_, State<N, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State<N, T>>) -> MutexGuard<'s, State<N, T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes numbers and works on them until they end.
fn work<N: Iterator<Item = u64>, T>(
    shared: &Shared<N, T>,
    ahead: &ReadAhead,
    load: &(impl Fn(u64) -> (ThreadResult<T>, u64) + ?Sized),
) {
    loop {
        let (place, number) = {
            let mut state = shared.lock();
            // Where nothing is begun that was not taken, there is room: the bytes are those of what is ready.
            while !state.is_over
                && (state.bytes >= ahead.bytes.max(1) || state.begun - state.taken >= ahead.results.max(1) as u64)
            {
                state = shared.wait(state);
            }
            if state.is_over {
                return;
            }
            let Some(number) = state.numbers.as_mut().and_then(Iterator::next) else {
                state.numbers = None;
                shared.changed.notify_all();
                return;
            };
            state.begun += 1;
            (state.begun - 1, number)
        };
        let (result, bytes) = load(number);
        let mut state = shared.lock();
        state.bytes += bytes;
        state.ready.insert(place, (result, bytes));
        shared.changed.notify_all();
    }
}

/// Results in the order of their numbers.
struct InOrder<N, T> {
    shared: Arc<Shared<N, T>>,
    workers: Vec<JoinHandle<()>>,
}

impl<N, T> Iterator for InOrder<N, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let mut state = self.shared.lock();
        loop {
            let place = state.taken;
            if let Some((result, bytes)) = state.ready.remove(&place) {
                state.taken += 1;
                state.bytes -= bytes;
                drop(state);
                self.shared.changed.notify_all();
                return Some(result.unwrap_or_else(|panic| resume_unwind(panic)));
            }
            if state.numbers.is_none() && state.begun == place {
                return None;
            }
            state = self.shared.wait(state);
        }
    }
}

impl<N, T> Drop for InOrder<N, T> {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_all();
        for worker in self.workers.drain(..) {
            // Panics of `load` are caught, so there is nothing to pass on.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    const AHEAD: ReadAhead = ReadAhead { workers: 3, bytes: 1 << 20, results: 8 };

    #[test]
    fn results_and_errors_come_in_the_order_of_their_numbers() {
        let numbers = (0..200).map(|number| (number * 37) % 200);
        let load = |number: u64| {
            std::thread::sleep(Duration::from_micros(number % 7 * 50));
            if number.is_multiple_of(11) { Err(format!("bad {number}")) } else { Ok(number) }
        };
        let got: Vec<_> = read_ahead(numbers.clone(), AHEAD, |_| 1, load).collect();
        let wanted: Vec<_> = numbers.map(load).collect();
        assert_eq!(got, wanted);
        assert_eq!(read_ahead(0..0, AHEAD, |_| 1, load).count(), 0);
    }

    #[test]
    fn work_stays_within_its_bounds() {
        for (ahead, most) in [
            (ReadAhead { workers: 3, bytes: 100, results: 1000 }, 100 / 25 + 3),
            (ReadAhead { workers: 3, bytes: u64::MAX, results: 5 }, 5),
            (ReadAhead { workers: 2, bytes: 0, results: 0 }, 1),
        ] {
            let (begun, taken) = (Arc::new(AtomicU64::new(0)), AtomicU64::new(0));
            let counter = Arc::clone(&begun);
            let load = move |number| {
                counter.fetch_add(1, Ordering::SeqCst);
                number
            };
            let mut worst = 0;
            for number in read_ahead(0..60, ahead, |_| 25, load) {
                let before = taken.fetch_add(1, Ordering::SeqCst);
                assert_eq!(number, before);
                // Whoever takes is slow, so that workers go as far as they may.
                std::thread::sleep(Duration::from_millis(2));
                worst = worst.max(begun.load(Ordering::SeqCst) - taken.load(Ordering::SeqCst));
            }
            assert!(worst <= most, "{worst} of at most {most}");
        }
    }

    #[test]
    fn dropping_in_the_middle_ends_the_workers() {
        let begun = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&begun);
        let mut results = read_ahead(
            0..u64::MAX,
            AHEAD,
            |_| 1,
            move |number| {
                counter.fetch_add(1, Ordering::SeqCst);
                number
            },
        );
        assert_eq!(results.next(), Some(0));
        drop(results);
        let after = begun.load(Ordering::SeqCst);
        assert!(after <= 1 + 8 + 1, "{after}");
        assert_eq!(Arc::strong_count(&begun), 1, "no worker is left");
    }

    #[test]
    fn a_panic_goes_on_where_its_result_is_taken() {
        let load = |number: u64| if number == 2 { panic!("number {number}") } else { number };
        let mut results = read_ahead(0..4, AHEAD, |_| 1, load);
        assert_eq!((results.next(), results.next()), (Some(0), Some(1)));
        assert!(catch_unwind(AssertUnwindSafe(|| results.next())).is_err());
        assert_eq!((results.next(), results.next()), (Some(3), None));
    }
}
