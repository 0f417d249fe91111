//! ts.
use super::source::Source;
use super::Found;
use crate::{Limits, MediaError};
pub(super) fn read(_: &Source, _: &Limits) -> Result<Found, MediaError> { Err(MediaError::Caller("not yet".into())) }

#[derive(Clone, Debug)]
pub(super) struct Packets;
impl Packets { pub(super) fn read(&self, _: &Source, _: &crate::track::Sample, _: usize) -> Result<Vec<u8>, MediaError> { Err(MediaError::Caller("not yet".into())) } }
pub(super) fn sniff(_: &[u8]) -> Option<()> { None }
