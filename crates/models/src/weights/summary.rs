//! Weights in numbers, for reports.

use serde::Serialize;

use super::loader::Weights;
use super::parameter::{Parameter, ParameterGroup, ParameterRole};

/// What a model's weights amount to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WeightSummary {
    /// The layout of each archive with files.
    pub layouts: Vec<&'static str>,
    /// What the matrices of the language group are held as: "f32", "int8".
    pub held_as: &'static str,
    /// Parameters by group.
    pub parameters: Vec<(ParameterGroup, usize)>,
    /// Parameters of the decoder's layers, without embedding and output head.
    pub decoder_parameters: usize,
    /// Bytes of weights that are read for every generated token.
    pub bytes_per_token: usize,
    /// Bytes of weights that are in memory while the model works: all but embeddings that are looked up in the file.
    pub resident_bytes: usize,
}

impl Weights {
    /// The numbers of everything that was asked for so far.
    pub fn summary(&self) -> WeightSummary {
        let all: Vec<Parameter> = self.parameters().into_values().collect();
        let of = |group: ParameterGroup| all.iter().filter(move |parameter| parameter.group.part() == group);
        let language = || of(ParameterGroup::Language);
        // A separate embedding is only looked up in; one that serves as output head, too, is read as a whole.
        let has_head = language().any(|parameter| parameter.role == ParameterRole::OutputHead);
        let read = |parameter: &&Parameter| !(has_head && parameter.role == ParameterRole::Embedding);
        let inner =
            |parameter: &&Parameter| !matches!(parameter.role, ParameterRole::Embedding | ParameterRole::OutputHead);
        let groups = [ParameterGroup::Vision, ParameterGroup::Projector, ParameterGroup::Language];
        let looked_up = has_head && self.group(ParameterGroup::Language).held_as().packed.is_some();
        WeightSummary {
            layouts: self.layouts(),
            held_as: self.group(ParameterGroup::Language).held_as().name(),
            parameters: groups.map(|group| (group, of(group).map(|parameter| parameter.values).sum())).to_vec(),
            decoder_parameters: language().filter(inner).map(|parameter| parameter.values).sum(),
            resident_bytes: all
                .iter()
                .filter(|p| !(looked_up && p.role == ParameterRole::Embedding))
                .map(|p| p.bytes)
                .sum(),
            bytes_per_token: language().filter(read).map(|parameter| parameter.bytes).sum(),
        }
    }
}
