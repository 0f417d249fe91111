//! Low-rank adapters: nothing at the start, then learned, beside floats and beside packed matrices.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Var};
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::weights::{Archive, Learn, LoadOptions, ParameterRole, Precision, RandomFor, WeightType};

use crate::compare::{root_mean_square, same};
use crate::device::{device, kernels, skipped};
use crate::formats::weight_formats;
use crate::test_family::{TestFamily, all};
use crate::training::{Slope, gradients_of, noise, options_of, put, replies, slope};

fn adapted(family: &TestFamily, precision: impl Into<Precision>) -> Arc<dyn VideoLanguageModel> {
    let archives = vec![family.archive(), Archive::random(5, RandomFor::Adapters)];
    let learn = Learn::Lora { rank: 2, alpha: 4.0 };
    family.open_archives(archives, LoadOptions { device: device(), learn, ..LoadOptions::cpu(precision) })
}

/// Gives the second factors values, as if they had learned something.
fn after_some_steps(model: &dyn VideoLanguageModel) -> BTreeMap<String, Var> {
    let (variables, parameters) = (model.weights().variables(), model.weights().parameters());
    for (name, variable) in &variables {
        if parameters[name].role == ParameterRole::LoraUp {
            put(variable, noise(name, variable.elem_count()).into_iter().map(|value| 0.05 * value).collect());
        }
    }
    variables
}

#[test]
fn adapters_beside_every_hidden_matrix_begin_as_nothing() {
    for family in all() {
        for format in weight_formats() {
            let what = format!("{} as {:?}", family.name(), format.precision);
            let (model, plain) = (adapted(family, format.precision), family.open_as(format.precision));
            let roles = |role: ParameterRole| {
                model.weights().parameters().values().filter(|parameter| parameter.role == role).count()
            };
            let matrices = roles(ParameterRole::HiddenMatrix);
            assert!(matrices > 0, "{what}: no hidden matrix");
            assert_eq!(roles(ParameterRole::LoraDown), matrices, "{what}: adapters");
            assert_eq!(model.weights().variables().len(), 2 * matrices, "{what}: variables");
            for options in options_of(&*model) {
                let (ours, want) = (replies(&*model, &options).0, replies(&*plain, &options).0);
                // An adapter's sum, and then the residual, are added on their own.
                same(&what, &ours.detach(), &want, format.other_order(family.processor.info()));
            }
        }
    }
}

#[test]
fn gradients_of_adapters_are_those_of_finite_differences() {
    for family in all() {
        let model = adapted(family, DType::F32);
        let variables = after_some_steps(&*model);
        for options in options_of(&*model) {
            let what = format!("adapters of {} with {:?}", family.name(), options.settings);
            let gradients = gradients_of(&what, &*model, &options, &variables);
            for role in ["lora_A", "lora_B"] {
                let of_role = variables.iter().filter(|(name, _)| name.contains(role)).collect::<Vec<_>>();
                let Slope { gradient, difference, error } = slope(&*model, &options, &of_role, &gradients);
                assert!(
                    (gradient - difference).abs() <= error,
                    "{what}: along {role} the loss rises by {gradient} by its gradient, by {difference} by finite \
                     differences, which may be off by {error}"
                );
                assert!(difference.abs() > 5.0 * error, "{what}: {role} moves the loss by {difference} only");
            }
        }
    }
}

/// A product with bf16 or int8 is no smooth function, so its gradients are compared with those beside f32. Weights and
/// activations are off by a rounding in each product, forward and backward.
#[test]
fn gradients_of_adapters_beside_packed_matrices_are_near_those_beside_floats() {
    if !kernels() {
        return skipped("adapters beside packed matrices");
    }
    for family in all() {
        let float = adapted(family, DType::F32);
        let variables = after_some_steps(&*float);
        let options = options_of(&*float).remove(0);
        let gradients = gradients_of(&format!("adapters of {}", family.name()), &*float, &options, &variables);
        let want: Vec<f32> = gradients.into_values().flatten().collect();
        for (weight_type, bound) in [(WeightType::Bf16, 0.1), (WeightType::Int8, 0.3), (WeightType::Int4, 1.0)] {
            let what = format!("adapters of {} beside {}", family.name(), weight_type.name());
            let packed = adapted(family, Precision::Packed(weight_type));
            let variables = after_some_steps(&*packed);
            let ours = gradients_of(&what, &*packed, &options, &variables).into_values().flatten();
            let differences: Vec<f32> = ours.zip(&want).map(|(ours, want)| ours - want).collect();
            let (apart, size) = (root_mean_square(&differences), root_mean_square(&want));
            assert!(apart <= bound * size, "{what}: gradients are off by {} of their size", apart / size);
        }
    }
}
