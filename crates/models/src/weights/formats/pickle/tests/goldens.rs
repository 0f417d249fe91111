use std::collections::{BTreeSet, HashMap};

use candle_core::{Device, Tensor};

use super::super::super::encoding::Encoding;
use super::super::super::row_source::RowSource;
use super::super::PickleFile;
use super::{check_damage, golden};

const FILES: [&str; 8] = [
    "types.bin",
    "types_protocol4.bin",
    "module.bin",
    "training.bin",
    "state_dict.bin",
    "legacy.bin",
    "legacy_protocol4.bin",
    "legacy_training.bin",
];
/// Files with every kind of tensor.
const TYPES: [&str; 4] = ["types.bin", "types_protocol4.bin", "legacy.bin", "legacy_protocol4.bin"];
/// Tensors of `TYPES` that are listed only, and why.
const LISTED: [(&str, &str); 9] = [
    ("transposed", "is not contiguous (strides [1, 3]); call .contiguous()"),
    ("columns", "is not contiguous (strides [4, 1])"),
    ("expanded", "is not contiguous (strides [0, 1])"),
    ("i64", "is stored as LongStorage; f32, f16 and bf16 are read"),
    ("f64", "is stored as DoubleStorage"),
    ("bool", "is stored as BoolStorage"),
    ("u16", "is stored as uint16"),
    ("f8", "is stored as float8_e4m3fn"),
    ("sparse", "is made by torch._utils._rebuild_sparse_tensor, which is not read"),
];

fn open(name: &str) -> PickleFile {
    PickleFile::open(&golden(name)).unwrap()
}

/// The values that torch gave for the tensors of `file` that are read.
fn expected(file: &str) -> HashMap<String, Tensor> {
    let all = candle_core::safetensors::load(golden("values.safetensors"), &Device::Cpu).unwrap();
    let of_file = |(name, value): (String, Tensor)| Some((name.strip_prefix(file)?.strip_prefix(':')?.into(), value));
    all.into_iter().filter_map(of_file).collect()
}

#[test]
fn tensors_have_the_values_that_torch_gives() {
    for file in FILES {
        let pickle = open(file);
        let mut expected = expected(file);
        expected.retain(|name, _| !LISTED.iter().any(|listed| listed.0 == name));
        assert!(expected.len() >= 4, "{file}");
        for (name, expected) in expected {
            let shape = expected.dims();
            let expected: Vec<f32> = expected.flatten_all().and_then(|all| all.to_vec1()).unwrap();
            assert_eq!(pickle.shape(&name), Some(shape), "{file}: {name}");
            let (dtype, bytes) = pickle.float(&name, shape).unwrap();
            let mut values = vec![f32::NAN; expected.len()];
            Encoding::Float(dtype).decode(bytes, &mut values).unwrap();
            assert_eq!(values, expected, "{file}: {name}");
            let segment = pickle.rows(&name, shape).unwrap();
            let source = RowSource { cols: expected.len() / segment.rows.max(1), segments: vec![segment] };
            let mut values = vec![f32::NAN; expected.len()];
            source.read(0..source.rows(), &mut values).unwrap();
            assert_eq!(values, expected, "{file}: {name} by rows");
        }
    }
}

#[test]
fn every_tensor_is_listed() {
    let listed: Vec<String> = LISTED.iter().map(|listed| listed.0.to_string()).collect();
    for file in TYPES {
        let pickle = open(file);
        let names: BTreeSet<String> = pickle.names().map(str::to_string).collect();
        assert_eq!(names, expected(file).into_keys().chain(listed.clone()).collect(), "{file}");
        assert!(names.iter().all(|name| pickle.has(name)) && !pickle.has("F32"));
    }
    let module = ["embed.weight", "norm.weight", "norm.bias", "head.weight", "position_ids"];
    for file in ["module.bin", "training.bin", "state_dict.bin", "legacy_training.bin"] {
        assert_eq!(open(file).names().collect::<BTreeSet<_>>(), module.into_iter().collect(), "{file}");
    }
}

#[test]
fn tensors_that_are_listed_only_are_refused_when_asked_for() {
    for file in TYPES {
        let pickle = open(file);
        for (name, why) in LISTED {
            let shape = pickle.shape(name).unwrap();
            let text = pickle.float(name, shape).unwrap_err().to_string();
            assert!(text.starts_with("not supported: ") && text.contains(file), "{text}");
            assert!(text.contains(&format!("tensor {name} {why}")), "{text}");
        }
    }
}

#[test]
fn other_names_and_shapes_are_errors_of_the_file() {
    let pickle = open("types.bin");
    let cases = [
        ("F32", &[3, 5][..], "types.bin: tensor F32 is missing"),
        ("f32", &[5, 3], "types.bin: tensor f32 has shape [3, 5], the configuration says [5, 3]"),
        ("f32", &[15], "says [15]"),
        ("scalar", &[1], "has shape [], the configuration says [1]"),
    ];
    for (name, shape, expected) in cases {
        let texts = [pickle.float(name, shape).err(), pickle.rows(name, shape).err()];
        for text in texts.map(|error| error.unwrap().to_string()) {
            assert!(text.contains(expected), "{text}");
        }
    }
}

#[test]
fn tensors_of_one_storage_share_its_bytes() {
    for file in TYPES {
        let pickle = open(file);
        let bytes = |name: &str, shape: &[usize]| pickle.float(name, shape).unwrap().1.as_ptr_range();
        let base = bytes("base", &[6, 4]);
        assert_eq!(bytes("tied", &[6, 4]), base);
        assert_eq!(bytes("rows", &[3, 4]).start, base.start.wrapping_add(2 * 4 * 4));
        assert_eq!(bytes("row", &[4]).start, base.start.wrapping_add(4 * 4));
    }
    let module = open("module.bin");
    let bytes = |name: &str| module.float(name, &[5, 4]).unwrap().1.as_ptr_range();
    assert_eq!(bytes("embed.weight"), bytes("head.weight"));
}

#[test]
fn a_pickled_module_needs_its_class_and_is_refused() {
    let text = PickleFile::open(&golden("object.bin")).err().unwrap().to_string();
    assert!(text.contains("object.bin: asks for torch.nn.modules.linear.Linear at byte"), "{text}");
    assert!(text.contains("a pickle that runs code is not read") && text.contains("safetensors"), "{text}");
}

#[test]
fn no_damage_of_a_file_panics() {
    for file in FILES {
        check_damage(&std::fs::read(golden(file)).unwrap(), &[0x81]);
    }
}
