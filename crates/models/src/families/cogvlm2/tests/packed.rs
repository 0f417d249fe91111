//! Packed weights: near f32, and the same from a converted folder as from memory.

use super::goldens::{logits_of, numbers, run};
use super::*;
use crate::loading;
use crate::weights::{Precision, WeightType};

/// Logits of every row of the golden case "chat".
fn logits(model: &CogVlm2, kind: &str) -> Tensor {
    let run = run(model, kind, "chat");
    logits_of(model, &run, &(0..run.prompt.tokens.len()).collect::<Vec<_>>())
}

/// Size of the difference as a share of the size of `want`.
fn apart(ours: &Tensor, want: &Tensor) -> f64 {
    let size = |values: Vec<f32>| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    size(numbers(&(ours - want).unwrap())) / size(numbers(want))
}

/// A product's relative error is about 2^-9 in bf16, 1/127 of a few standard deviations in int8 and ten times that in
/// 4-bit, for weights and for rows; errors of two dozen products in a row add like a random walk.
#[test]
fn every_packing_gives_logits_near_those_of_f32() {
    for kind in KINDS {
        let want = logits(&open(kind, LoadOptions::cpu(DType::F32)), kind);
        for (weight_type, bound) in
            [(WeightType::F32, 1e-5), (WeightType::Bf16, 0.03), (WeightType::Int8, 0.1), (WeightType::Int4, 0.8)]
        {
            let model = open(kind, LoadOptions::cpu(Precision::Packed(weight_type)));
            let off = apart(&logits(&model, kind), &want);
            assert!(off < bound, "{kind} {weight_type:?}: {off}");
        }
    }
}

#[test]
fn a_converted_folder_answers_as_the_model_that_was_packed_in_memory() {
    for kind in KINDS {
        for weight_type in [WeightType::Int8, WeightType::Int4] {
            let folder = tempfile::tempdir().unwrap();
            loading::convert(&checkpoint(kind), folder.path(), weight_type, None).unwrap();
            let out = Checkpoint::from(folder.path());
            let archive = Archive::open(&out, &names::tables(&out).unwrap()).unwrap();
            let weights = Weights::open(vec![archive], LoadOptions::cpu(Precision::Auto)).unwrap();
            let converted = CogVlm2::load(&out, weights).unwrap();
            let packed = open(kind, LoadOptions::cpu(Precision::Packed(weight_type)));
            assert_eq!(numbers(&logits(&converted, kind)), numbers(&logits(&packed, kind)), "{kind} {weight_type:?}");
            assert!(converted.weights.unused().is_empty(), "{kind}: {:?}", converted.weights.unused());
        }
    }
}
