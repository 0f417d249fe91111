//! What is easy to get wrong in the arithmetic, one test for each.

use super::*;

/// The toy's clip with a question, in the setting `film`.
fn projected(model: &LlamaVid, features: &Features, film: &str, question: &str) -> Vec<Vec<f32>> {
    let mut case = case("video", &json());
    case.options.settings.set("film", film);
    let plan = model.processor.plan(&[], std::slice::from_ref(&case.metadata), &case.options).unwrap().remove(0);
    model.project(&plan, features, 0, Some(question)).unwrap().to_vec2().unwrap()
}

fn features_of(model: &LlamaVid) -> Features {
    case("video", &json()).run(model).features
}

#[test]
fn the_context_token_of_a_frame_comes_first_and_hears_the_question() {
    let model = toy();
    let features = features_of(&model);
    let (one, other) =
        (projected(&model, &features, "off", "Who?"), projected(&model, &features, "off", "Where is it?"));
    assert_eq!(one.len(), 6);
    for (row, (one, other)) in one.iter().zip(&other).enumerate() {
        assert_eq!(one == other, row % 2 == 1, "row {row}");
    }
    // Frame after frame: the tokens of frame 1 alone are rows 2 and 3.
    let alone = projected(&model, &features.units(1..2).unwrap(), "off", "Who?");
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
    assert!(near(&alone[0], &one[2]) && near(&alone[1], &one[3]));
    assert!(!near(&alone[0], &one[0]));
}

#[test]
fn the_qformer_sees_the_class_token_in_short_mode_only_and_pooling_never_does() {
    let model = toy();
    let features = features_of(&model);
    let rows = model.config.vision.rows();
    let mut values: Vec<Vec<f32>> = features.rows.to_vec2().unwrap();
    values.iter_mut().step_by(rows).for_each(|class| class.iter_mut().for_each(|value| *value = 3.0 - *value));
    let (n, e) = features.rows.dims2().unwrap();
    let changed = Tensor::from_vec(values.concat(), (n, e), &Device::Cpu).unwrap();
    let changed = Features { rows: changed, per_unit: features.per_unit.clone() };
    let of = |features: &Features, film: &str| projected(&model, features, film, "Who?");
    assert_eq!(of(&features, "whole"), of(&changed, "whole"), "a film");
    for (row, (one, other)) in of(&features, "off").iter().zip(&of(&changed, "off")).enumerate() {
        assert_eq!(one == other, row % 2 == 1, "short mode, row {row}");
    }
}

#[test]
fn scores_are_of_projected_keys_and_values_are_the_features_themselves() {
    // With keys of zero every patch counts the same: the context token is the projected mean of the raw features.
    let tables = names::tables(&checkpoint()).unwrap();
    let mut tensors = candle_core::safetensors::load(golden().join("toy/model.safetensors"), &Device::Cpu).unwrap();
    for name in ["model.vlm_att_key_projector.weight", "model.vlm_att_key_projector.bias"] {
        let zeros = tensors[name].zeros_like().unwrap();
        tensors.insert(name.to_string(), zeros);
    }
    let folder = tempfile::tempdir().unwrap();
    candle_core::safetensors::save(&tensors, folder.path().join("model.safetensors")).unwrap();
    let archive = Archive::open(&Checkpoint::from(folder.path()), &tables).unwrap();
    let weights = Weights::open(vec![archive], LoadOptions::cpu(DType::F32)).unwrap();
    let model = LlamaVid::load(&checkpoint(), weights).unwrap();
    let features = features_of(&model);
    let tokens = projected(&model, &features, "off", "Who?");
    let (rows, e) = (model.config.vision.rows(), model.config.vision.hidden);
    let patches = features.rows.reshape((3, rows, e)).unwrap().narrow(1, 1, rows - 1).unwrap();
    let mean = patches.mean(1).unwrap();
    let (weight, bias) = (&tensors["model.vlm_att_val_projector.weight"], &tensors["model.vlm_att_val_projector.bias"]);
    let want: Vec<Vec<f32>> =
        mean.matmul(&weight.t().unwrap()).unwrap().broadcast_add(bias).unwrap().to_vec2().unwrap();
    for (frame, want) in want.iter().enumerate() {
        let worst = tokens[2 * frame].iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "frame {frame}: {worst}");
    }
}

#[test]
fn a_film_is_projected_in_parts_to_the_same_tokens() {
    let model = toy();
    let features = features_of(&model);
    let many = Features::concat(&vec![features.clone(); 7]).unwrap();
    let (all, one) = (projected(&model, &many, "whole", "Who?"), projected(&model, &features, "whole", "Who?"));
    assert_eq!(all.len(), 42);
    for (row, token) in all.iter().enumerate() {
        let worst = token.iter().zip(&one[row % 6]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "row {row}: {worst}");
    }
}
