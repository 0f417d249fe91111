//! No gradient is lost, whatever is packed, fused, frozen or adapted.

use std::collections::HashMap;

use candle_core::{Device, Tensor, Var};
use zoetrope_kernels::gemm::WeightType;

use super::*;
use crate::contract::position::Position;
use crate::kv::KvContext;
use crate::processing::{DecoderDefaults, decoder_config};
use crate::weights::{Archive, GroupRule, Learn, LoadOptions, ParameterGroup, Precision, RandomFor, Weights};

fn tensor(shape: &[usize], phase: f32) -> Tensor {
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|i| (i as f32 * 0.61 + phase).sin()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// A norm, a linear layer with bias and an MLP of width 8.
fn archive() -> Archive {
    let shapes: [(&str, &[usize]); 8] = [
        ("norm.weight", &[8]),
        ("norm.bias", &[8]),
        ("linear.weight", &[8, 8]),
        ("linear.bias", &[8]),
        ("first.weight", &[16, 8]),
        ("first.bias", &[16]),
        ("second.weight", &[8, 16]),
        ("second.bias", &[8]),
    ];
    let tensors = shapes.iter().enumerate().map(|(n, (name, shape))| (name.to_string(), tensor(shape, n as f32)));
    Archive::memory(tensors.collect::<HashMap<_, _>>())
}

/// Norm and biases are learned as floats while every matrix is packed: two groups of one model.
fn packed_with_learned_norm() -> (Weights, Weights) {
    let mut options = LoadOptions::cpu(Precision::Packed(WeightType::F32));
    options.rules.push(GroupRule {
        group: ParameterGroup::Projector,
        precision: Some(candle_core::DType::F32.into()),
        learn: Some(Learn::Full),
    });
    let weights = Weights::open(vec![archive()], options).unwrap();
    (weights.group(ParameterGroup::Language), weights.group(ParameterGroup::Projector))
}

/// The fused pass reads norm parameters and residuals as plain values, so it must be left when one of them is learned.
#[test]
fn a_learned_norm_or_residual_before_packed_matrices_gets_its_gradient() {
    let (packed, learned) = packed_with_learned_norm();
    let norm = LayerNorm::load(&learned.sub("norm"), 8, 1e-6).unwrap();
    let linear = Linear::load(&packed.sub("linear"), 8, 8, Bias::Zero).unwrap();
    let mlp = Mlp::gelu_tanh(
        Linear::load(&packed.sub("first"), 8, 16, Bias::Zero).unwrap(),
        Linear::load(&packed.sub("second"), 16, 8, Bias::Zero).unwrap(),
    );
    let x = tensor(&[3, 8], 0.3);
    let residual = Var::from_tensor(&tensor(&[3, 8], 0.9)).unwrap();
    let [y] = Linear::forward_fused(PreNorm::Layer(&norm), [&linear], &x).unwrap();
    let through_mlp = mlp.forward(PreNorm::Layer(&norm), &x, Some(&residual)).unwrap();
    let through_linear = linear.forward_residual(&x, &residual).unwrap();
    let variables = learned.variables();
    for (y, wants_norm) in [(y, true), (through_mlp, true), (through_linear, false)] {
        let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        assert_eq!(grads.get(&variables["norm.weight"]).is_some(), wants_norm);
        assert_eq!(grads.get(&variables["norm.bias"]).is_some(), wants_norm);
    }
    let grads = linear.forward_residual(&x, &residual).unwrap().sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&residual).is_some());
}

/// `dloss/dvariable` by finite differences of the whole layer.
fn check_slopes(variable: &Var, loss: &dyn Fn() -> Tensor) {
    let grad = loss().backward().unwrap().get(variable).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let values = variable.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for i in (0..values.len()).step_by(3) {
        let at = |step: f32| {
            let mut moved = values.clone();
            moved[i] += step;
            variable.set(&Tensor::from_vec(moved, variable.shape(), &Device::Cpu).unwrap()).unwrap();
            loss().to_scalar::<f32>().unwrap()
        };
        let want = (at(1e-2) - at(-1e-2)) / 2e-2;
        assert!((grad[i] - want).abs() < 2e-2 * (1.0 + want.abs()), "value {i}: {} {want}", grad[i]);
    }
    variable.set(&Tensor::from_vec(values, variable.shape(), &Device::Cpu).unwrap()).unwrap();
}

#[test]
fn adapters_beside_packed_matrices_learn_and_start_as_nothing() {
    let options = LoadOptions {
        learn: Learn::Lora { rank: 2, alpha: 4.0 },
        ..LoadOptions::cpu(Precision::Packed(WeightType::F32))
    };
    let adapted = Weights::open(vec![archive(), Archive::random(3, RandomFor::Adapters)], options).unwrap();
    let plain = Weights::open(vec![archive()], LoadOptions::cpu(Precision::Packed(WeightType::F32))).unwrap();
    let layer = |weights: &Weights| Linear::load(&weights.sub("linear"), 8, 8, Bias::Zero).unwrap();
    let (ours, want, x) = (layer(&adapted), layer(&plain), tensor(&[3, 8], 0.3));
    let values = |y: Tensor| y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(values(ours.forward(&x).unwrap()), values(want.forward(&x).unwrap()));
    let variables = adapted.variables();
    let names: Vec<&String> = variables.keys().collect();
    assert_eq!(names, ["linear.lora_A.weight", "linear.lora_B.weight"]);
    variables["linear.lora_B.weight"].set(&tensor(&[8, 2], 0.7)).unwrap();
    let loss = || ours.forward_residual(&x, &x).unwrap().sqr().unwrap().sum_all().unwrap();
    variables.values().for_each(|variable| check_slopes(variable, &loss));
}

#[test]
fn a_learned_bias_of_a_packed_matrix_gets_its_gradient() {
    let (packed, learned) = packed_with_learned_norm();
    let matrix = packed.sub("linear").packed(&[8, 8], "weight", crate::weights::ParameterRole::HiddenMatrix);
    let matrix = matrix.unwrap().unwrap();
    let bias = learned.sub("linear").get(&[8], "bias", crate::weights::ParameterRole::BIAS).unwrap();
    let weights = [crate::ops::PackedWeights { matrix: &matrix, bias: Some(&bias) }];
    let x = tensor(&[3, 8], 0.3);
    let loss = || crate::ops::packed_linear(&x, &weights).unwrap()[0].sqr().unwrap().sum_all().unwrap();
    check_slopes(&learned.variables()["linear.bias"], &loss);
}

#[test]
fn both_placements_of_norms_differentiate() {
    for norms in [NormPlacement::Pre, NormPlacement::Post] {
        let weights = Weights::open(vec![Archive::random(5, RandomFor::Everything)], LoadOptions::training()).unwrap();
        let config = VitConfig {
            hidden: 8,
            heads: 2,
            intermediate: 12,
            eps: 1e-6,
            norms,
            gelu: Gelu::Erf,
            qk_bias: Bias::Normal(0.5),
        };
        let block = VitBlock::load(&weights, config).unwrap();
        let x = tensor(&[7, 8], 0.2);
        let loss = || block.forward(&x, None, &[3, 4]).unwrap().sqr().unwrap().sum_all().unwrap();
        let variables = weights.variables();
        for name in ["layer_norm1.weight", "self_attn.q_proj.weight", "mlp.fc2.bias", "layer_norm2.bias"] {
            check_slopes(&variables[name], &loss);
        }
        // Units do not see each other.
        let whole = block.forward(&x, None, &[3, 4]).unwrap();
        let alone = block.forward(&x.narrow(0, 3, 4).unwrap(), None, &[4]).unwrap();
        let off = (whole.narrow(0, 3, 4).unwrap() - alone).unwrap().abs().unwrap().max_all().unwrap();
        assert!(off.to_scalar::<f32>().unwrap() < 1e-5);
    }
}

fn decoder_logits(config: &DecoderConfig) -> Vec<f32> {
    let archive = Archive::random(9, RandomFor::Everything);
    let weights = Weights::open(vec![archive], LoadOptions::cpu(candle_core::DType::F32)).unwrap();
    let decoder = Decoder::load(&weights.sub("model"), &weights.sub("lm_head"), config).unwrap();
    let positions: Vec<Position> = (0..7).map(Position::text).collect();
    let y = decoder.forward(&tensor(&[7, 16], 0.4), &positions, &mut KvContext::Varlen(&[7]), &[6]).unwrap();
    y.flatten_all().unwrap().to_vec1().unwrap()
}

/// Equal factors of all frequencies are linear scaling, and an amplitude scales queries and keys.
#[test]
fn rotary_factors_and_amplitude_reach_the_scores() {
    let config = serde_json::json!({
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "vocab_size": 10
    });
    let defaults = DecoderDefaults { rope_theta: 100.0, max_positions: 64, qkv_bias: false };
    let plain = decoder_config(&config, defaults).unwrap();
    let linear = decoder_logits(&DecoderConfig { rope_scaling: 2.0, ..plain.clone() });
    assert_eq!(decoder_logits(&DecoderConfig { rope_factors: vec![2.0; 4], ..plain.clone() }), linear);
    let own = decoder_logits(&plain);
    assert_ne!(linear, own);
    assert_ne!(decoder_logits(&DecoderConfig { rope_factors: vec![1.0, 1.0, 1.0, 3.0], ..plain.clone() }), own);
    assert_ne!(decoder_logits(&DecoderConfig { rope_amplitude: 1.2, ..plain }), own);
}
