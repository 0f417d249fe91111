//! Panics of libraries that read what strangers made: caught, kept off the screen and turned into text.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` of a library. A panic becomes its message and is not printed. What `work` leaves half done must not be
/// used afterwards.
///
/// The process-wide panic hook is wrapped once. Panics elsewhere go to the hook that was there before.
///
/// # Errors
/// With the message of the panic.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !INSIDE.get() {
                before(info);
            }
        }));
    });
    let outer = INSIDE.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(outer);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_text_and_results_pass_through() {
        let text = caught::<()>(|| panic!("index {} out of range", 7)).expect_err("caught");
        assert_eq!((text.as_str(), INSIDE.get()), ("index 7 out of range", false));
        assert_eq!(caught(|| caught(|| 3)), Ok(Ok(3)));
    }
}
