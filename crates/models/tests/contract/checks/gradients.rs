//! Gradients reach every variable that the loss depends on, through everything, and are those of finite differences.

use std::collections::BTreeMap;

use candle_core::{DType, Var};
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::weights::{GroupRule, Learn, LoadOptions, ParameterGroup, ParameterRole};

use crate::device::device;
use crate::test_family::all;
use crate::training::{Slope, gradients_of, options_of, slope};

const GROUPS: [ParameterGroup; 3] = [ParameterGroup::Vision, ParameterGroup::Projector, ParameterGroup::Language];

/// Variables of one group and role: they move along one direction.
fn by_group_and_role(model: &dyn VideoLanguageModel) -> BTreeMap<String, Vec<(String, Var)>> {
    let parameters = model.weights().parameters();
    let mut all: BTreeMap<String, Vec<(String, Var)>> = BTreeMap::new();
    for (name, variable) in model.weights().variables() {
        let parameter = parameters[&name];
        let role = match parameter.role {
            ParameterRole::Bias { .. } => "Bias".to_string(),
            role => format!("{role:?}"),
        };
        all.entry(format!("{} {role}", parameter.group.name())).or_default().push((name, variable));
    }
    all
}

/// No gradient is lost, and those of each group and role are the slope along a direction.
fn check(what: &str, model: &dyn VideoLanguageModel) {
    for options in options_of(model) {
        let what = format!("{what} with {:?}", options.settings);
        let gradients = gradients_of(&what, model, &options, &model.weights().variables());
        let mut told = 0;
        let parts = by_group_and_role(model);
        for (part, variables) in &parts {
            let variables: Vec<(&String, &Var)> = variables.iter().map(|(name, variable)| (name, variable)).collect();
            let Slope { gradient, difference, error } = slope(model, &options, &variables, &gradients);
            assert!(
                (gradient - difference).abs() <= error,
                "{what}: along {part} the loss rises by {gradient} by its gradient, by {difference} by finite \
                 differences, which may be off by {error}"
            );
            told += usize::from(difference.abs() > 10.0 * error);
        }
        assert!(2 * told >= parts.len(), "{what}: only {told} of {} slopes are larger than their error", parts.len());
    }
}

#[test]
fn gradients_of_a_model_that_is_learned_in_full_are_those_of_finite_differences() {
    for family in all() {
        let model = family.open(LoadOptions { device: device(), ..LoadOptions::training() });
        assert_eq!(model.weights().variables().len(), family.tensors.len(), "{}: variables", family.name());
        check(&format!("{} in full", family.name()), &*model);
    }
}

/// The others are packed where there are kernels: their fused passes must let gradients through or step aside.
#[test]
fn gradients_of_a_group_that_is_learned_alone_are_those_of_finite_differences() {
    for family in all() {
        for group in GROUPS {
            let rules = vec![GroupRule { group, precision: None, learn: Some(Learn::Full) }];
            let model = family.open(LoadOptions { device: device(), rules, ..LoadOptions::cpu(DType::F32) });
            check(&format!("{}, {} alone", family.name(), group.name()), &*model);
        }
    }
}
