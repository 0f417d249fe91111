//! The `zoetrope` binary.
#![forbid(unsafe_code)]

fn main() {}
