//! What a stage learns for: the words of answers (`pack.rs` has their cross-entropy), which of two answers is preferred
//! (DPO), or what media and captions have in common (contrastive), here.

mod contrastive;
mod contrastive_loss;
#[cfg(test)]
mod contrastive_tests;
mod dpo;
mod pairs;
mod preference;
mod reference;
mod reference_pass;
mod rewards;
#[cfg(test)]
mod tests;

pub(in crate::train) use self::contrastive::{AlignedSample, ContrastiveWork};
pub(in crate::train) use self::contrastive_loss::ContrastiveWeights;
pub(super) use self::dpo::Dpo;
pub(super) use self::pairs::count_pair_tokens;
pub(super) use self::reference::{ReferenceLogProbs, ReferenceTable};
pub use self::reference_pass::ReferenceProgress;
pub(super) use self::reference_pass::{OnReference, ReferencePass};
pub(super) use self::rewards::RewardSum;
pub use self::rewards::Rewards;
