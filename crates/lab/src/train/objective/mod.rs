//! Losses other than the cross entropy of answers.

mod contrastive;
mod contrastive_loss;

pub(in crate::train) use self::contrastive::{AlignedSample, ContrastiveWork};
