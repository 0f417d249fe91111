//! mkv.
use super::source::Source;
use super::Found;
use crate::{Limits, MediaError};
pub(super) fn read(_: &Source, _: &Limits) -> Result<Found, MediaError> { Err(MediaError::Caller("not yet".into())) }
