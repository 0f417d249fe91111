//! Whether the low-rank adapters of a model count: without them it is the model that they were put beside.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The switch of all adapters of one model.
///
/// There is one for a model and none for a thread: a thread of a pool that waits for a part of its pass may take up
/// another pass meanwhile. So passes with adapters and passes without them must not run side by side.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdapterSwitch {
    /// How many are at work without adapters.
    off: Arc<AtomicUsize>,
}

impl AdapterSwitch {
    pub(crate) fn is_on(&self) -> bool {
        self.off.load(Ordering::SeqCst) == 0
    }

    /// Does `work` while the adapters are off; they are on again when it panics, too.
    pub(super) fn off<T>(&self, work: impl FnOnce() -> T) -> T {
        let _guard = SwitchedOff::new(&self.off);
        work()
    }
}

/// Counts one that is at work.
struct SwitchedOff<'a>(&'a AtomicUsize);

impl<'a> SwitchedOff<'a> {
    fn new(off: &'a AtomicUsize) -> Self {
        off.fetch_add(1, Ordering::SeqCst);
        SwitchedOff(off)
    }
}

impl Drop for SwitchedOff<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
