//! `zoetrope train`, end to end.

mod program;
mod runs;
