//! What the loss of a stage is.

use serde::{Deserialize, Serialize};

/// What the loss of a stage is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Objective {
    /// The cross entropy of the answers.
    #[default]
    CrossEntropy,
    /// Media and their captions, without the decoder: for families whose bridge has such a stage.
    Contrastive(ContrastiveOptions),
}

/// Weights of the three losses between media and captions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContrastiveOptions {
    /// Of the contrast: media and captions that belong together are alike, all others of the step are not.
    pub contrast: f64,
    /// Of the matching: whether a caption is that of the media, with wrong ones that are hard to tell.
    pub matching: f64,
    /// Of the captioning: the words of the caption, one after the other.
    pub captioning: f64,
    /// Share of a word's target that is spread over all words (captioning).
    pub label_smoothing: f64,
}

impl Default for ContrastiveOptions {
    fn default() -> Self {
        ContrastiveOptions { contrast: 1.0, matching: 1.0, captioning: 1.0, label_smoothing: 0.1 }
    }
}

impl Objective {
    /// Whether it is what a stage has that says nothing of it.
    pub(in crate::train) fn is_default(&self) -> bool {
        *self == Objective::default()
    }

    /// The losses between media and captions, where they are what is learned.
    pub(in crate::train) fn contrastive(&self) -> Option<ContrastiveOptions> {
        match self {
            Objective::CrossEntropy => None,
            Objective::Contrastive(options) => Some(*options),
        }
    }
}

impl ContrastiveOptions {
    /// # Errors
    /// What is wrong with the first value that makes no sense, by its field.
    pub(super) fn check(&self) -> Result<(), String> {
        let weights = [("contrast", self.contrast), ("matching", self.matching), ("captioning", self.captioning)];
        for (field, weight) in weights {
            if !(0.0..=1e6).contains(&weight) {
                return Err(format!("{field}: {weight} is not from 0 to 1000000"));
            }
        }
        if weights.iter().all(|(_, weight)| *weight == 0.0) {
            return Err("contrast, matching and captioning: all are 0, so nothing is learned".to_string());
        }
        let smoothing = self.label_smoothing;
        if !(0.0..1.0).contains(&smoothing) {
            return Err(format!("label_smoothing: {smoothing} is not 0 or above and below 1"));
        }
        Ok(())
    }
}
