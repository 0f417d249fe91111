//! Placeholder head; see DESIGN.
#![forbid(unsafe_code)]
