//! An allocator that counts, for tests that bound the memory of a piece of work.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, with the number of bytes that are held and the most that ever were.
///
/// ```
/// use zoetrope_system::counting_allocator::CountingAllocator;
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator::new();
///
/// let cost = ALLOCATOR.peak_of(|| drop(vec![0u8; 5000]));
/// assert!(cost >= 5000);
/// ```
pub struct CountingAllocator {
    held: AtomicUsize,
    most: AtomicUsize,
}

impl CountingAllocator {
    /// Nothing is held.
    pub const fn new() -> Self {
        CountingAllocator { held: AtomicUsize::new(0), most: AtomicUsize::new(0) }
    }

    /// The most bytes that the process held during `work`, beyond what it held before. What other threads take at the
    /// same time counts, too.
    pub fn peak_of(&self, work: impl FnOnce()) -> usize {
        let before = self.held.load(Ordering::SeqCst);
        self.most.store(before, Ordering::SeqCst);
        work();
        self.most.load(Ordering::SeqCst).saturating_sub(before)
    }

    fn taken(&self, bytes: usize) {
        let held = self.held.fetch_add(bytes, Ordering::SeqCst) + bytes;
        self.most.fetch_max(held, Ordering::SeqCst);
    }

    fn given_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::SeqCst);
    }
}

impl Default for CountingAllocator {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: every call is passed on to the system's allocator with the same arguments; counting allocates nothing.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.taken(layout.size());
        // SAFETY: the caller keeps the contract of this function, which is that of the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.taken(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.given_back(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.taken(size);
        self.given_back(layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}
