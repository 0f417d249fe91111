//! Model folders: what a folder is that is none ([`kind`]), and how one is written ([`writer`]).

pub(crate) mod kind;
pub mod writer;
