//! Threads of the tensor library during training.

use zoetrope_system::env;

/// The only settings that the tensor library has for the sizes of its own thread pools. It reads them once.
const THREAD_COUNTS: [(&str, &str); 2] = [("CANDLE_NUM_THREADS", "1"), ("RAYON_NUM_THREADS", "1")];

/// Keeps every operation of the tensor library on the thread that calls it; returns whether that worked. To be called
/// at the start of `main`, while the process has one thread.
///
/// Packs train in parallel on our pool. The library's own pool runs one operation at a time and waits for all its
/// threads, which compete with ours for the same cores. With it, training on two cores is 1.2 times slower on pictures
/// and 1.6 times on clips; the losses are equal. Variables that the user has set are left alone.
pub fn limit_library_threads() -> bool {
    env::set_defaults(&THREAD_COUNTS)
}
