//! `trak`: the boxes of one track besides its sample table.

pub(super) mod edit_list;
pub(super) mod elst;
pub(super) mod list;
pub(super) mod tkhd;

mod hdlr;
pub(super) mod mdhd;
mod tref;
