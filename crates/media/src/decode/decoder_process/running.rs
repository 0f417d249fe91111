//! The programs that decode for this process, and their end.

use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Programs that were started and may still run.
#[derive(Default)]
struct Started(Mutex<Vec<Weak<Mutex<Child>>>>);

static STARTED: Started = Started(Mutex::new(Vec::new()));

impl Started {
    fn add(&self, child: Child) -> Arc<Mutex<Child>> {
        let child = Arc::new(Mutex::new(child));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|earlier| earlier.strong_count() > 0);
        all.push(Arc::downgrade(&child));
        child
    }

    fn end_all(&self) {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        all.iter().filter_map(Weak::upgrade).for_each(|child| kill(&child));
    }
}

/// Takes note of a program that was started.
pub(crate) fn started(child: Child) -> Arc<Mutex<Child>> {
    STARTED.add(child)
}

/// Kills and reaps a program. One that has ended already does not mind.
pub(crate) fn kill(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = child.kill();
    let _ = child.wait();
}

/// Kills the programs that decode for this process. Each ends with the frames that were asked of it; this is for a
/// process that exits without dropping them, and whose terminal does not end them, since they are in process groups of
/// their own.
pub fn end_all() {
    STARTED.end_all();
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_program_can_be_ended_by_whoever_does_not_hold_it() {
        let all = Started::default();
        let spawn = || all.add(Command::new("sleep").arg("600").spawn().unwrap());
        let (one, dropped) = (spawn(), spawn());
        kill(&dropped);
        drop(dropped);
        all.end_all();
        let ended = one.lock().unwrap().try_wait().unwrap();
        assert!(ended.is_some_and(|status| !status.success()), "{ended:?}");
        kill(&one);
    }
}
