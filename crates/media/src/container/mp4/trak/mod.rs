//! `trak`: the boxes of one track besides its sample table, and the choice of the video track.

pub(super) mod choose;
pub(super) mod edit_list;
pub(super) mod elst;
pub(super) mod tkhd;

mod hdlr;
pub(super) mod mdhd;
mod tref;
