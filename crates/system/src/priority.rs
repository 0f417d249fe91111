//! Which threads the system prefers.

/// Lets the system prefer all other threads of this user to the calling one, to the threads that it starts from now on
/// and to their child processes (niceness 10). Does nothing where the priority of a single thread cannot be changed,
/// which is everywhere but on Linux.
pub fn lower_this_thread() {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the call takes no pointer. On Linux 0 means the calling thread, not its process. It fails only where
        // the priority is lower already, and changes nothing then.
        unsafe { libc::setpriority(libc::PRIO_PROCESS as _, 0, 10) };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Niceness of the calling thread, from `/proc`.
    fn niceness() -> i32 {
        let text = std::fs::read_to_string("/proc/thread-self/stat").expect("this thread");
        // The second field is a name in brackets; niceness is the 19th field.
        let (_, rest) = text.rsplit_once(") ").expect("a name");
        rest.split(' ').nth(16).expect("a field").parse().expect("a number")
    }

    #[test]
    fn a_thread_and_those_it_starts_are_lowered_and_no_other() {
        let before = niceness();
        let lowered = std::thread::spawn(|| {
            lower_this_thread();
            (niceness(), std::thread::spawn(niceness).join().expect("a niceness"))
        });
        let lowered = lowered.join().expect("two of them");
        assert_eq!(lowered, (before.max(10), before.max(10)));
        assert_eq!(niceness(), before);
    }
}
