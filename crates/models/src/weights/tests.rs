//! Origins: every way in which a published layout may hold a tensor of ours.

mod int4_grid;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use zoetrope_kernels::gemm::{PackedMatrix, WeightType};

use super::*;
use crate::checkpoint::Checkpoint;

fn tensor(shape: &[usize], phase: f32) -> Tensor {
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|i| (i as f32 * 0.61 + phase).sin()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn numbers(x: &Tensor) -> Vec<f32> {
    x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// A layout that holds everything otherwise than we name it.
fn origin(name: &str) -> Option<Origin> {
    let tensor = |name: &str| Origin::Tensor(name.to_string());
    let rows = |name: &str, range| Origin::Rows(name.to_string(), range);
    Some(match name {
        "q.weight" => rows("qkv", 0..6),
        "k.weight" => rows("qkv", 6..8),
        "q.bias" => Origin::Stack(vec![tensor("q_bias"), Origin::Zeros(3)]),
        "words" => Origin::Vocabulary("embedding".to_string()),
        "turned" => Origin::InterleavedRope("interleaved".to_string(), 2),
        "merged" => Origin::LowRank {
            base: Box::new(rows("qkv", 0..6)),
            down: "lora_a".to_string(),
            up: "lora_b".to_string(),
            scale: 0.5,
        },
        "head" => Origin::FirstOf(vec![tensor("output"), tensor("embedding")]),
        _ => return None,
    })
}

fn table() -> NameTable {
    NameTable {
        layout: "fused",
        matches: |names| names.has("qkv"),
        origin: Arc::new(origin),
        ignored: |name| name == "spare",
        adds: false,
        gguf_architecture: None,
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let tensors = HashMap::from([
        ("qkv", tensor(&[8, 4], 0.1)),
        ("q_bias", tensor(&[3], 0.2)),
        ("embedding", tensor(&[5, 4], 0.3)),
        ("interleaved", tensor(&[8, 4], 0.4)),
        ("lora_a", tensor(&[2, 4], 0.5)),
        ("lora_b", tensor(&[6, 2], 0.6)),
        ("spare", tensor(&[1], 0.7)),
        ("stray", tensor(&[1], 0.8)),
    ]);
    candle_core::safetensors::save(&tensors, folder.path().join("model.safetensors")).unwrap();
    folder
}

fn open(folder: &tempfile::TempDir, options: LoadOptions) -> Weights {
    let archive = Archive::open(&Checkpoint::from(folder.path()), &[table()]).unwrap();
    Weights::open(vec![archive], options).unwrap()
}

fn get(weights: &Weights, shape: &[usize], name: &str) -> Result<Vec<f32>, String> {
    let found = weights.get(shape, name, ParameterRole::HiddenMatrix);
    found.map(|tensor| numbers(&tensor)).map_err(|error| error.to_string())
}

#[test]
fn every_origin_gives_the_tensor_it_stands_for() {
    let folder = folder();
    let weights = open(&folder, LoadOptions::cpu(DType::F64));
    let qkv = tensor(&[8, 4], 0.1);
    assert_eq!(get(&weights, &[6, 4], "q.weight").unwrap(), numbers(&qkv.narrow(0, 0, 6).unwrap()));
    assert_eq!(get(&weights, &[2, 4], "k.weight").unwrap(), numbers(&qkv.narrow(0, 6, 2).unwrap()));
    let bias = [numbers(&tensor(&[3], 0.2)), vec![0.0; 3]].concat();
    assert_eq!(get(&weights, &[6], "q.bias").unwrap(), bias);
    assert_eq!(get(&weights, &[4, 4], "words").unwrap(), numbers(&tensor(&[5, 4], 0.3).narrow(0, 0, 4).unwrap()));
    // Two heads of four rows: pairs that lie side by side come to lie half a head apart.
    let order = Tensor::new(&[0u32, 2, 1, 3, 4, 6, 5, 7], &Device::Cpu).unwrap();
    let turned = tensor(&[8, 4], 0.4).index_select(&order, 0).unwrap();
    assert_eq!(get(&weights, &[8, 4], "turned").unwrap(), numbers(&turned));
    let product = tensor(&[6, 2], 0.6).matmul(&tensor(&[2, 4], 0.5)).unwrap();
    let merged = (qkv.narrow(0, 0, 6).unwrap() + (product * 0.5).unwrap()).unwrap();
    let off =
        get(&weights, &[6, 4], "merged").unwrap().iter().zip(numbers(&merged)).map(|(a, b)| (a - b).abs()).sum::<f32>();
    assert!(off < 1e-5, "{off}");
    assert!(!weights.has("head"), "the archive has no output matrix of its own");
    assert_eq!(get(&weights, &[5, 4], "head").unwrap(), numbers(&tensor(&[5, 4], 0.3)));
    assert_eq!(weights.unused(), ["stray"]);
    assert_eq!(weights.layouts(), ["fused"]);
}

#[test]
fn what_is_packed_or_looked_up_has_the_same_origins() {
    let folder = folder();
    let weights = open(&folder, LoadOptions::cpu(Precision::Packed(WeightType::F32)));
    let float = open(&folder, LoadOptions::cpu(DType::F64));
    for (name, shape) in [("q.weight", [6, 4]), ("turned", [8, 4]), ("merged", [6, 4])] {
        let packed = weights.packed(&shape, name, ParameterRole::HiddenMatrix).unwrap().unwrap();
        assert_eq!(packed.unpack(0..shape[0]), get(&float, &shape, name).unwrap(), "{name}");
    }
    let rows = weights.mapped_rows([4, 4], "words").unwrap().unwrap();
    let want = get(&float, &[4, 4], "words").unwrap();
    assert_eq!(numbers(&rows.read(&[2, 0]).unwrap()), [&want[8..12], &want[..4]].concat());
    let error = rows.read(&[4]).unwrap_err().to_string();
    assert_eq!(error, "tensor words of 4 x 4 values has no row 4");
}

#[test]
fn errors_name_the_tensor_and_both_shapes() {
    let folder = folder();
    let weights = open(&folder, LoadOptions::cpu(DType::F32));
    let error = get(&weights, &[6, 5], "q.weight").unwrap_err();
    assert!(error.contains("tensor qkv has shape [8, 4], the configuration says [8, 5]"), "{error}");
    let error = get(&weights, &[7], "q.bias").unwrap_err();
    assert!(error.contains("6 rows, the configuration says [7]"), "{error}");
    let error = get(&weights, &[7], "other").unwrap_err();
    assert!(error.contains("tensor other is in none of model.safetensors"), "{error}");
    let error = Archive::open(&Checkpoint::from(folder.path()), &[]).err().unwrap().to_string();
    assert!(error.contains("of no layout"), "{error}");
}

#[test]
fn archives_are_looked_up_in_order_and_a_seed_gives_what_it_is_for() {
    let first = Archive::memory(HashMap::from([("a".to_string(), tensor(&[2], 1.0))]));
    let second = Archive::memory(HashMap::from(["a", "b"].map(|name| (name.to_string(), tensor(&[2], 2.0)))));
    let seed = Archive::random(1, RandomFor::Group(ParameterGroup::Projector));
    let weights = Weights::open(vec![first, second, seed], LoadOptions::cpu(DType::F32)).unwrap();
    assert_eq!(get(&weights, &[2], "a").unwrap(), numbers(&tensor(&[2], 1.0)));
    assert_eq!(get(&weights, &[2], "b").unwrap(), numbers(&tensor(&[2], 2.0)));
    assert_eq!(get(&weights, &[2], "c").unwrap_err(), "tensor c is missing");
    let projector = weights.group(ParameterGroup::Projector);
    assert_eq!(get(&projector, &[2], "a").unwrap(), numbers(&tensor(&[2], 1.0)));
    assert_eq!(get(&projector, &[2], "c").unwrap().len(), 2);
    let bias = projector.get(&[3], "bias", ParameterRole::BIAS).unwrap();
    assert_eq!(numbers(&bias), [0.0; 3]);
}

#[test]
fn packed_weights_are_refused_where_they_cannot_be_multiplied_or_learned() {
    let facts = precision::ArchiveFacts { bytes: 1 << 30, packed: None };
    let resolve = |precision: Precision, learned| precision.resolve(facts, &Device::Cpu, learned);
    if crate::ops::kernels_serve(&Device::Cpu) {
        assert_eq!(resolve(Precision::Auto, false).unwrap().name(), "int8");
        assert_eq!(resolve(DType::F32.into(), false).unwrap().packed, Some(WeightType::F32));
    }
    assert_eq!(resolve(Precision::Auto, true).unwrap(), HeldAs { dtype: DType::F32, packed: None, master: false });
    let error = resolve(Precision::Packed(WeightType::Int8), true).unwrap_err().to_string();
    assert!(error.contains("packed as int8 cannot be learned"), "{error}");
}
