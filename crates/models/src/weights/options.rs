//! How a model's weights are loaded, group by group.

use candle_core::{DType, Device};

use super::parameter::ParameterGroup;
use super::precision::Precision;
use crate::kv::KvDtype;

/// What is learned of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Learn {
    /// Nothing.
    #[default]
    Frozen,
    /// Every tensor; held as f32.
    Full,
    /// A low-rank adapter beside every hidden matrix (LoRA).
    Lora {
        /// Rank of the adapters.
        rank: usize,
        /// The sum is multiplied by `alpha / rank`.
        alpha: f32,
    },
}

/// What differs for one group.
#[derive(Clone, Copy, Debug)]
pub struct GroupRule {
    /// The group.
    pub group: ParameterGroup,
    /// Its precision; that of [`LoadOptions`] when left out.
    pub precision: Option<Precision>,
    /// What is learned of it; that of [`LoadOptions`] when left out.
    pub learn: Option<Learn>,
}

/// How weights are loaded.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Where they are put.
    pub device: Device,
    /// What matrices are held as.
    pub precision: Precision,
    /// What the KV cache keeps; `None` is what suits the weights of the language group.
    pub kv_dtype: Option<KvDtype>,
    /// What is learned.
    pub learn: Learn,
    /// Exceptions; the last rule for a group counts.
    pub rules: Vec<GroupRule>,
    /// Whether layers are computed again in the backward pass instead of being kept for it. Gradients are collected by
    /// [`crate::ops::backward`] then.
    pub recompute: bool,
}

impl LoadOptions {
    /// On the CPU, to run and not to learn.
    pub fn cpu(precision: impl Into<Precision>) -> Self {
        LoadOptions {
            device: Device::Cpu,
            precision: precision.into(),
            kv_dtype: None,
            learn: Learn::Frozen,
            rules: Vec::new(),
            recompute: false,
        }
    }

    /// Everything as f32 variables on the CPU.
    pub fn training() -> Self {
        LoadOptions { learn: Learn::Full, ..LoadOptions::cpu(DType::F32) }
    }

    /// Precision and learning of a group: by its own rules, else by those of its [part](ParameterGroup::part).
    pub fn of_group(&self, group: ParameterGroup) -> (Precision, Learn) {
        let of = |group: ParameterGroup| self.rules.iter().rev().filter(move |rule| rule.group == group);
        let rules = || of(group).chain(of(group.part()));
        let precision = rules().find_map(|rule| rule.precision).unwrap_or(self.precision);
        (precision, rules().find_map(|rule| rule.learn).unwrap_or(self.learn))
    }
}
