//! A budget of visual tokens, shared by the media of one turn.

use crate::contract::media_plan::{MediaMetadata, MediaPlan, PlanOptions};
use crate::error::ModelResult;

/// What may be spent on one picture or video.
#[derive(Clone, Copy, Debug)]
pub struct BudgetShare {
    /// Visual tokens that earlier media have left.
    pub left: usize,
    /// Media that share them, this one and those after it.
    pub media: usize,
}

impl BudgetShare {
    /// An equal part of what is left.
    pub fn tokens(self) -> usize {
        self.left / self.media
    }
}

/// Plans `new` media one after the other, each by `one` within its share, if there is a budget; what a plan does not
/// use is left to those after it. `tokens` counts the visual tokens of a plan; those of earlier turns count first.
///
/// # Errors
/// When `one` fails.
pub fn plan_in_shares(
    earlier: &[MediaPlan],
    new: &[MediaMetadata],
    options: &PlanOptions,
    tokens: impl Fn(&MediaPlan) -> usize,
    one: impl Fn(&MediaMetadata, Option<BudgetShare>) -> ModelResult<MediaPlan>,
) -> ModelResult<Vec<MediaPlan>> {
    let before = earlier.iter().map(&tokens).sum();
    let mut left = options.max_visual_tokens.map(|budget| budget.saturating_sub(before));
    let mut plans = Vec::with_capacity(new.len());
    for (number, media) in new.iter().enumerate() {
        let plan = one(media, left.map(|left| BudgetShare { left, media: new.len() - number }))?;
        left = left.map(|left| left - tokens(&plan));
        plans.push(plan);
    }
    Ok(plans)
}
