//! Ctrl-C: the first one cancels the request at work, a second one (or one while nothing is at work) ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zoetrope_engine::CancelFlag;
use zoetrope_media::decoder_process;

use crate::terminal;

/// The switch between Ctrl-C and the engine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    flag: CancelFlag,
    busy: Arc<AtomicBool>,
}

impl Interrupt {
    /// Takes over Ctrl-C of the process.
    pub(crate) fn install() -> Self {
        let interrupt = Interrupt::default();
        let (flag, busy) = (interrupt.flag.clone(), interrupt.busy.clone());
        let installed = ctrlc::set_handler(move || {
            if !busy.load(Ordering::SeqCst) || flag.is_cancelled() {
                terminal::end_line();
                decoder_process::end_all();
                std::process::exit(130);
            }
            flag.cancel();
        });
        if let Err(error) = installed {
            tracing::warn!("Ctrl-C will end the program at once: {error}");
        }
        interrupt
    }

    /// The flag for the engine.
    pub(crate) fn flag(&self) -> CancelFlag {
        self.flag.clone()
    }

    /// From now on there is something to keep: Ctrl-C cancels the request instead of ending the process.
    pub(crate) fn begin(&self) {
        if !self.busy.load(Ordering::SeqCst) {
            self.flag.reset();
            self.busy.store(true, Ordering::SeqCst);
        }
    }

    /// Runs `work` so that Ctrl-C cancels it instead of ending the process.
    pub(crate) fn while_busy<T>(&self, work: impl FnOnce() -> T) -> T {
        self.begin();
        let result = work();
        self.busy.store(false, Ordering::SeqCst);
        result
    }
}
