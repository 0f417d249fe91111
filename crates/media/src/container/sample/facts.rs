//! What the headers of a coded frame say about it, whatever the container states.

/// Whether decoding can start at a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum RandomAccess {
    /// It refers to other frames.
    #[default]
    No,
    /// It refers to no other frame, but frames after it may refer to frames before it (an I frame that is no IDR).
    IntraOnly,
    /// Decoding that starts here is right after this many more frames (gradual decoder refresh).
    Recovery(u32),
    /// Every frame that is shown after it is right.
    Yes,
}

/// What the headers of a coded frame say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct SampleFacts {
    pub(in super::super) random_access: RandomAccess,
    /// Number of the coded video sequence and picture order count in it: rises in presentation order.
    pub(in super::super) order: Option<(i64, i64)>,
    /// Whether it is decoded and never shown by itself (alternate reference frames).
    pub(in super::super) hidden: bool,
}
