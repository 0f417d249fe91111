//! Samples by their numbers, loaded ahead on threads of their own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rayon::ThreadPoolBuilder;
use zoetrope_system::priority;

use crate::data::read_ahead::{ReadAhead, read_ahead};
use crate::error::LabError;

/// Results by number, loaded ahead in the order in which they will be taken. Dropping it ends the workers after what
/// they are at.
pub(crate) struct Feed<T>(Mutex<Ahead<T>>);

struct Ahead<T> {
    results: Box<dyn Iterator<Item = (u64, T)> + Send>,
    /// Loaded and given, and not taken: another thread asked for a later one.
    early: HashMap<u64, T>,
    /// No number below it is still to be given.
    next: u64,
}

impl<T: Send + 'static> Feed<T> {
    /// Begins to load `numbers`, which ascend and of which each will be taken. `cost` tells the bytes of a result.
    ///
    /// Workers have a thread pool of their own: threads of the common one wait for their results. The system prefers
    /// all other threads to them.
    ///
    /// # Errors
    /// When there are no threads.
    pub(crate) fn new(
        numbers: impl Iterator<Item = u64> + Send + 'static,
        ahead: ReadAhead,
        cost: impl Fn(&T) -> u64 + Send + Sync + 'static,
        load: impl Fn(u64) -> T + Send + Sync + 'static,
    ) -> Result<Self, LabError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(ahead.workers.max(1))
            .thread_name(|number| format!("loader {number}"))
            .start_handler(|_| priority::lower_this_thread())
            .build();
        let pool = pool.map_err(|error| LabError::Caller(format!("no threads to load samples: {error}")))?;
        let load = move |number| (number, pool.install(|| load(number)));
        let results = Box::new(read_ahead(numbers, ahead, move |(_, result): &(u64, T)| cost(result), load));
        Ok(Feed(Mutex::new(Ahead { results, early: HashMap::new(), next: 0 })))
    }

    /// The result of `number`, waited for when it is not ready; `None` when it is not to come (any more).
    ///
    /// Threads that take at once ask for neighbors, so few results are held between them.
    pub(crate) fn take(&self, number: u64) -> Option<T> {
        // A panic of `load` goes on in the thread that takes.
        let mut ahead = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = ahead.early.remove(&number) {
            return Some(found);
        }
        while ahead.next <= number {
            let (given, result) = ahead.results.next()?;
            ahead.next = given + 1;
            if given == number {
                return Some(result);
            }
            ahead.early.insert(given, result);
        }
        None
    }
}
