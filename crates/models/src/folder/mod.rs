//! Model folders: which weight files one has ([`archives`], [`adapter`]), what a folder is that is none ([`kind`]), and
//! how one is written ([`writer`]).

pub(crate) mod adapter;
pub(crate) mod archives;
pub(crate) mod kind;
pub mod writer;
