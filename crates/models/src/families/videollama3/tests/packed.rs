//! Packed weights: near f32, the same from a converted folder as from memory, and gradients through them.

use crate::loading;

use super::*;

/// Logits of every row of a golden case.
fn logits(model: &VideoLlama3, case: &str) -> Tensor {
    let run = run(model, &json("goldens.json")["cases"][case]);
    logits_of(model, &run.embedded, &(0..run.prompt.tokens.len()).collect::<Vec<_>>())
}

/// Size of the difference as a share of the size of `want`.
fn apart(ours: &Tensor, want: &Tensor) -> f64 {
    let size = |values: Vec<f32>| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    size(numbers(&(ours - want).unwrap())) / size(numbers(want))
}

fn packed(weight_type: WeightType) -> VideoLlama3 {
    open_as(&checkpoint("toy-hf"), LoadOptions::cpu(Precision::Packed(weight_type))).unwrap()
}

/// A product's relative error is about 2^-9 in bf16, 1/127 of a few standard deviations in int8 and ten times that in
/// 4-bit, for weights and for rows; errors of a dozen products in a row add like a random walk.
#[test]
fn every_packing_gives_logits_near_those_of_f32() {
    for case in CASES {
        let want = logits(&toy(), case);
        for (kind, bound) in
            [(WeightType::F32, 1e-5), (WeightType::Bf16, 0.02), (WeightType::Int8, 0.06), (WeightType::Int4, 0.6)]
        {
            let off = apart(&logits(&packed(kind), case), &want);
            assert!(off < bound, "{case} {kind:?}: {off}");
        }
    }
}

#[test]
fn a_converted_folder_is_complete_and_answers_as_the_model_that_was_packed_in_memory() {
    for kind in [WeightType::Bf16, WeightType::Int8, WeightType::Int4] {
        let folder = tempfile::tempdir().unwrap();
        loading::convert(&checkpoint("toy-hf"), folder.path(), kind, None).unwrap();
        let out = Checkpoint::from(folder.path());
        let converted = open_as(&out, LoadOptions::cpu(Precision::Auto)).unwrap();
        assert_eq!(converted.weights.held_as().name(), format!("{kind:?}").to_lowercase());
        let values = |model: &VideoLlama3| {
            model.weights.parameters().iter().map(|(name, p)| (name.clone(), p.values)).collect::<Vec<_>>()
        };
        assert_eq!(values(&converted), values(&packed(kind)));
        assert_eq!(numbers(&logits(&converted, "mixed")), numbers(&logits(&packed(kind), "mixed")), "{kind:?}");
        let text = loading::convert(&checkpoint("toy-hf"), folder.path(), kind, None).err().unwrap().to_string();
        assert!(text.contains("holds a model already"), "{text}");
        let text = open_as(&out, LoadOptions::cpu(DType::F64)).err().unwrap().to_string();
        assert!(text.contains(&format!("as {kind:?} only")), "{text}");
        for small in ["config.json", "tokenizer.json", "chat_template.jinja", "processor_config.json"] {
            assert!(folder.path().join(small).is_file(), "{small}");
        }
    }
}

/// Where most matrices have four bits, attention of the decoder and the output head have eight.
#[test]
fn four_bits_are_for_the_matrices_that_bear_them() {
    let folder = tempfile::tempdir().unwrap();
    loading::convert(&checkpoint("toy-hf"), folder.path(), WeightType::Int4, None).unwrap();
    let bytes = std::fs::read(folder.path().join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let packed: Vec<(&str, &str)> = file.names().into_iter().filter_map(|name| name.split_once(':')).collect();
    let sensitive =
        |name: &str| name.contains("lm_head") || name.contains("model.layers") && name.contains("self_attn");
    assert!(packed.iter().any(|(name, _)| sensitive(name)) && packed.iter().any(|(name, _)| !sensitive(name)));
    for (name, weight_type) in packed {
        assert_eq!(weight_type, if sensitive(name) { "int8" } else { "int4" }, "{name}");
    }
}

#[test]
fn a_small_model_is_f32_unless_it_was_converted() {
    let model = open_as(&checkpoint("toy-hf"), LoadOptions::cpu(Precision::Auto)).unwrap();
    assert_eq!(model.weights.held_as().name(), "f32");
}

/// The gradient to the rows that go in, through all packed layers, is near that through the float ones.
#[test]
fn gradients_pass_through_packed_layers() {
    let (float, case) = (toy(), &json("goldens.json")["cases"]["text"]);
    let slope = |model: &VideoLlama3| {
        let x = candle_core::Var::from_tensor(&run(&float, case).embedded).unwrap();
        let t = x.dim(0).unwrap();
        let loss = logits_of(model, x.as_tensor(), &[t - 1]).sqr().unwrap().sum_all().unwrap();
        loss.backward().unwrap().get(&x).unwrap().clone()
    };
    let want = slope(&float);
    for (kind, bound) in [(WeightType::F32, 1e-4), (WeightType::Bf16, 0.05), (WeightType::Int8, 0.15)] {
        let off = apart(&slope(&packed(kind)), &want);
        assert!(off < bound, "{kind:?}: {off}");
    }
}
