//! Panics of decoder crates: caught, kept off the screen and turned into errors.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::error::{MediaError, malformed};

thread_local! {
    static INSIDE_DECODER: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` of a decoder. A panic becomes `Malformed` with its message and is not printed.
///
/// The process-wide panic hook is wrapped once. Panics outside of decoders go to the hook that was there before.
pub(crate) fn catch_decoder_panic<T>(
    part: &'static str,
    work: impl FnOnce() -> Result<T, MediaError>,
) -> Result<T, MediaError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !INSIDE_DECODER.get() {
                before(info);
            }
        }));
    });
    let outer = INSIDE_DECODER.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    INSIDE_DECODER.set(outer);
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|s| (*s).to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(malformed(part, format!("the decoder gave up on it ({text})")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_results_pass_through() {
        let error = catch_decoder_panic::<()>("picture", || panic!("index {} out of range", 7)).unwrap_err();
        assert_eq!(error.to_string(), "malformed picture: the decoder gave up on it (index 7 out of range)");
        assert_eq!(catch_decoder_panic("picture", || Ok(3)).unwrap(), 3);
        assert!(!INSIDE_DECODER.get());
    }
}
