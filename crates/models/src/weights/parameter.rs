//! What a tensor of a model is: the layer that asks for it says so, nobody guesses from names.

use serde::Serialize;

/// Parts of a model that are held, trained and counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterGroup {
    /// The vision encoder.
    Vision,
    /// From features to visual tokens: projector, Q-Former, adapters.
    Projector,
    /// The decoder.
    Language,
    /// Token embedding and output head. Held and trained like the rest of the language part unless a rule names them;
    /// counted with it.
    Embeddings,
    /// Heads that only training knows, never exported.
    Probe,
}

impl ParameterGroup {
    /// The word of reports.
    pub fn name(self) -> &'static str {
        match self {
            ParameterGroup::Vision => "vision",
            ParameterGroup::Projector => "projector",
            ParameterGroup::Language => "language",
            ParameterGroup::Embeddings => "embeddings",
            ParameterGroup::Probe => "probe",
        }
    }

    /// The part of the model that it is counted with, and whose rule it follows where it has none of its own.
    pub fn part(self) -> Self {
        match self {
            ParameterGroup::Embeddings => ParameterGroup::Language,
            group => group,
        }
    }
}

/// What a tensor does in its layer. Decides initialization, weight decay and the optimizer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParameterRole {
    /// A matrix between hidden layers.
    HiddenMatrix,
    /// Rows that are looked up by token or position.
    Embedding,
    /// The matrix or convolution that takes pixels.
    PatchEmbedding,
    /// The matrix that gives logits.
    OutputHead,
    /// The factor of a norm.
    NormWeight,
    /// Added to a product or by a norm. Initialized with this standard deviation, usually 0.
    Bias {
        /// Standard deviation at initialization.
        init_std: f32,
    },
    /// A number that others are divided or multiplied by (a temperature). Initialized with this value.
    Scale {
        /// Value at initialization.
        init: f32,
    },
    /// The first factor of a low-rank adapter (LoRA's A).
    LoraDown,
    /// The second factor of a low-rank adapter (LoRA's B), zero at the start.
    LoraUp,
}

impl ParameterRole {
    /// A bias that starts at zero.
    pub const BIAS: ParameterRole = ParameterRole::Bias { init_std: 0.0 };

    /// Mean and standard deviation of initial values of a tensor of `shape`.
    pub fn init(self, shape: &[usize]) -> (f32, f32) {
        let fan_in: usize = shape.iter().skip(1).product();
        match self {
            ParameterRole::NormWeight => (1.0, 0.0),
            ParameterRole::Bias { init_std } => (0.0, init_std),
            ParameterRole::Scale { init } => (init, 0.0),
            ParameterRole::Embedding => (0.0, 0.1),
            ParameterRole::LoraUp => (0.0, 0.0),
            _ => (0.0, (fan_in as f32).powf(-0.5)),
        }
    }

    /// Whether decoupled weight decay applies.
    pub fn decays(self) -> bool {
        !matches!(self, ParameterRole::NormWeight | ParameterRole::Bias { .. } | ParameterRole::Scale { .. })
    }
}

/// A tensor that a model has asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Part of the model.
    pub group: ParameterGroup,
    /// What it does.
    pub role: ParameterRole,
    /// Number of values.
    pub values: usize,
    /// Bytes that a pass over all of it reads from memory; 0 for a table of which single rows are read.
    pub bytes: usize,
}
