//! Environment variables of this process, for libraries that have no other settings.

use std::ffi::OsStr;

/// Sets each of `defaults` (name, value) that is not set yet. Returns whether all of them are set now.
///
/// Changing the environment is sound only while no other thread can read it. So this works at the start of `main`,
/// before anything starts a thread, and later changes nothing. Where the number of threads is unknown (systems other
/// than Linux and Windows), it changes nothing either.
pub fn set_defaults(defaults: &[(&str, &str)]) -> bool {
    let is_missing = |name: &str| std::env::var_os(OsStr::new(name)).is_none();
    for (name, value) in defaults {
        if !is_missing(name) {
            continue;
        }
        if !environment_is_ours() {
            return false;
        }
        // SAFETY: on Linux this is the only thread of the process, so nobody reads or writes the environment during
        // the call; on Windows the call is sound with any number of threads.
        unsafe { std::env::set_var(name, value) };
    }
    true
}

/// Whether this thread may change the environment.
fn environment_is_ours() -> bool {
    if cfg!(windows) {
        return true;
    }
    // One entry per thread. Other systems have no such folder.
    cfg!(target_os = "linux") && std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn nothing_changes_while_there_are_threads() {
        let set = || set_defaults(&[("ZOETROPE_TEST_ENV", "1")]);
        assert!(!std::thread::scope(|scope| scope.spawn(set).join().unwrap()));
        assert!(std::env::var_os("ZOETROPE_TEST_ENV").is_none());
    }

    #[test]
    fn a_variable_that_is_set_stays() {
        let path = std::env::var_os("PATH");
        assert!(set_defaults(&[("PATH", "nowhere")]));
        assert_eq!(std::env::var_os("PATH"), path);
    }
}
