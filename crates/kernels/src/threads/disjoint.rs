//! A result that several jobs write in disjoint pieces.

/// Pointer to the first f32 of a result. The jobs of a parallel loop share it; each writes only values of its own.
#[derive(Clone, Copy)]
pub(crate) struct DisjointOut(*mut f32);

// SAFETY: the type only computes addresses. Whoever writes through one shows that no other job has the same value.
unsafe impl Sync for DisjointOut {}
// SAFETY: the pointer itself is only a number.
unsafe impl Send for DisjointOut {}

impl DisjointOut {
    /// `first` points to value 0, which may be uninitialized.
    pub(crate) fn new(first: *mut f32) -> Self {
        DisjointOut(first)
    }

    /// Address of value `n`.
    pub(crate) fn at(self, n: usize) -> *mut f32 {
        self.0.wrapping_add(n)
    }
}
