//! The split between training and held-out scenes.

/// Which side of the train/held-out split a scene belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Seven of eight fingerprints.
    Train,
    /// One of eight fingerprints; never trained on.
    HeldOut,
}

impl Split {
    /// The split that the scenes with this [fingerprint](crate::synth::Scene::fingerprint) belong to.
    pub fn of(fingerprint: u64) -> Split {
        if fingerprint.is_multiple_of(8) { Split::HeldOut } else { Split::Train }
    }

    /// Name of the split's random stream. Committed sets and recipes depend on it.
    pub(super) fn rng_domain(self) -> &'static str {
        match self {
            Split::Train => "drawn/train",
            Split::HeldOut => "drawn/held-out",
        }
    }
}
