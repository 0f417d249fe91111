//! Against transformers (`reference/make_qformer_goldens.py`).

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor, Var};

use super::{QFormer, QFormerConfig};
use crate::weights::{Archive, LoadOptions, Weights};

const TOY: QFormerConfig = QFormerConfig {
    hidden: 24,
    layers: 3,
    heads: 3,
    intermediate: 40,
    vocabulary: 30,
    positions: 12,
    cross_attention_freq: 2,
    encoder_width: 20,
    eps: 1e-12,
};

fn golden() -> HashMap<String, Tensor> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/qformer/qformer.safetensors");
    candle_core::safetensors::load(file, &Device::Cpu).unwrap()
}

fn toy(golden: &HashMap<String, Tensor>) -> (QFormer, Weights) {
    let own = golden.iter().filter(|(name, _)| name.starts_with("bert."));
    let archive = Archive::memory(own.map(|(name, t)| (name.clone(), t.clone())).collect());
    let weights = Weights::open(vec![archive], LoadOptions::training()).unwrap();
    (QFormer::load(&weights.sub("bert"), TOY).unwrap(), weights)
}

fn words(golden: &HashMap<String, Tensor>) -> Vec<u32> {
    golden["words"].to_vec1::<i64>().unwrap().iter().map(|&id| id as u32).collect()
}

fn worst(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
}

/// Four times the reference's own distance from f64 runs.
fn close(golden: &HashMap<String, Tensor>, name: &str, ours: &Tensor) {
    let bound = 4.0 * golden[&format!("noise.{name}")].to_vec1::<f32>().unwrap()[0];
    let off = worst(ours, &golden[name]);
    assert!(off <= bound, "{name}: off by {off}, allowed {bound}");
}

#[test]
fn queries_of_two_units_match_transformers_with_and_without_words() {
    let golden = golden();
    let (qformer, _) = toy(&golden);
    let (queries, features) = (&golden["queries"], &golden["features"]);
    close(&golden, "output", &qformer.forward(queries, &words(&golden), features, &[7, 7]).unwrap());
    close(&golden, "output_without_words", &qformer.forward(queries, &[], features, &[7, 7]).unwrap());
}

/// Units of different sizes, each as if it were alone.
#[test]
fn units_do_not_see_each_other() {
    let golden = golden();
    let (qformer, _) = toy(&golden);
    let (queries, features, words) = (&golden["queries"], &golden["features"], words(&golden));
    let all = qformer.forward(queries, &words, features, &[3, 11]).unwrap();
    let (mut first, mut row) = (0, 0);
    for n in [3, 11] {
        let alone = qformer.forward(queries, &words, &features.narrow(0, first, n).unwrap(), &[n]).unwrap();
        assert!(worst(&all.narrow(0, row, 5).unwrap(), &alone) < 1e-5);
        (first, row) = (first + n, row + 5);
    }
}

/// Queries may come from two tables, the second learned later.
#[test]
fn gradients_match_transformers() {
    let golden = golden();
    let (qformer, weights) = toy(&golden);
    let queries = Var::from_tensor(&golden["queries"]).unwrap();
    let features = Var::from_tensor(&golden["features"]).unwrap();
    let extended = Tensor::cat(&[queries.narrow(0, 0, 3).unwrap(), queries.narrow(0, 3, 2).unwrap()], 0).unwrap();
    let y = qformer.forward(&extended, &words(&golden), &features, &[7, 7]).unwrap();
    let loss = (y * &golden["weights"]).unwrap().sum_all().unwrap();
    let gradients = loss.backward().unwrap();
    let variables = weights.variables();
    let mut compared = 0;
    for name in golden.keys().filter_map(|name| name.strip_prefix("gradient.")) {
        let variable = match name {
            "queries" => &queries,
            "features" => &features,
            _ => &variables[&format!("bert.{name}")],
        };
        close(&golden, &format!("gradient.{name}"), gradients.get(variable).unwrap());
        compared += 1;
    }
    assert_eq!(compared, 13);
}

#[test]
fn the_words_network_of_the_last_layer_is_idle_and_not_read() {
    let golden = golden();
    let (_, weights) = toy(&golden);
    let asked = weights.parameters();
    for name in golden.keys().filter_map(|name| name.strip_prefix("bert.")) {
        let read = asked.contains_key(&format!("bert.{name}"));
        assert_eq!(read, !QFormer::is_idle(name, TOY.layers), "{name}");
    }
    assert!(QFormer::is_idle("embeddings.position_ids", 12));
    assert!(!QFormer::is_idle("encoder.layer.2.output_query.dense.bias", 3));
}

#[test]
fn too_many_words_are_an_error_with_both_numbers() {
    let golden = golden();
    let (qformer, _) = toy(&golden);
    let error = qformer.forward(&golden["queries"], &[1; 13], &golden["features"], &[14]).unwrap_err().to_string();
    assert!(error.contains("13") && error.contains("12"), "{error}");
}
