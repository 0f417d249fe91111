//! Losses other than the cross entropy of answers.

mod contrastive;
mod contrastive_loss;
#[cfg(test)]
mod tests;

pub(in crate::train) use self::contrastive::{AlignedSample, ContrastiveWork};
pub(in crate::train) use self::contrastive_loss::ContrastiveWeights;
