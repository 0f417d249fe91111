//! Matrices of a GGUF file under int4: what is on the grid stays there, read directly and converted.

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};

use super::*;

/// Our name, the type in the file, and what the matrix is packed as. The first is permuted, as queries are; the last is
/// a sensitive one.
const MATRICES: [(&str, GgmlDType, WeightType); 6] = [
    ("turned", GgmlDType::Q4K, WeightType::Int4),
    ("plain", GgmlDType::Q4K, WeightType::Int4),
    ("more", GgmlDType::Q6K, WeightType::Int8),
    ("fewer", GgmlDType::Q3K, WeightType::Int4),
    ("float", GgmlDType::F16, WeightType::Int4),
    ("attention.exact", GgmlDType::Q4K, WeightType::Int4),
];
const SHAPE: [usize; 2] = [44, 512];

fn tables() -> Vec<NameTable> {
    let origin = |name: &str| {
        let known = MATRICES.iter().any(|matrix| matrix.0 == name).then(|| name.to_string())?;
        Some(if name == "turned" { Origin::InterleavedRope(known, 2) } else { Origin::Tensor(known) })
    };
    vec![NameTable { origin: Arc::new(origin), gguf_architecture: Some("grid"), ..NameTable::ours() }]
}

fn archive(folder: &Path) -> Archive {
    let stored = |&(name, kind, _): &(&'static str, GgmlDType, WeightType)| {
        (name, QTensor::quantize(&tensor(&SHAPE, name.len() as f32), kind).unwrap())
    };
    let tensors: Vec<(&str, QTensor)> = MATRICES.iter().map(stored).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let (file, architecture) = (folder.join("grid.gguf"), Value::String("grid".to_string()));
    let mut out = std::fs::File::create(&file).unwrap();
    gguf_file::write(&mut out, &[("general.architecture", &architecture)], &tensors).unwrap();
    Archive::gguf(&file, &tables()).unwrap()
}

/// What a model would ask for.
fn packed(weights: &Weights) -> Vec<Option<PackedMatrix>> {
    let one = |name: &str| match name.split_once('.') {
        Some((part, name)) => weights.sub(part).sensitive().packed(&SHAPE, name, ParameterRole::HiddenMatrix),
        None => weights.packed(&SHAPE, name, ParameterRole::HiddenMatrix),
    };
    MATRICES.iter().map(|(name, ..)| one(name).unwrap()).collect()
}

#[test]
fn both_ways_of_loading_keep_the_grid() {
    let (folder, options) = (tempfile::tempdir().unwrap(), LoadOptions::cpu(Precision::Packed(WeightType::Int4)));
    let direct = Weights::open(vec![archive(folder.path())], options.clone()).unwrap();
    let float = Weights::open(vec![archive(folder.path())], LoadOptions::cpu(DType::F64)).unwrap();
    let survey = Weights::survey(vec![archive(folder.path())], WeightType::Int4).unwrap();
    assert!(packed(&survey).iter().all(Option::is_none));
    ConversionPlan::new(&survey).unwrap().write(&folder.path().join("model.safetensors")).unwrap();
    let converted = Archive::open(&Checkpoint::from(folder.path()), &[]).unwrap();
    let mapped = Weights::open(vec![converted], options.clone()).unwrap();
    let listed = Weights::listed(vec![archive(folder.path())], options).unwrap();
    packed(&listed);
    for (((name, kind, want), direct), mapped) in MATRICES.iter().zip(packed(&direct)).zip(packed(&mapped)) {
        let (direct, mapped) = (direct.unwrap(), mapped.unwrap());
        assert_eq!((direct.weight_type(), mapped.weight_type()), (*want, *want), "{name}");
        assert!(direct.bytes() == mapped.bytes(), "{name}");
        assert_eq!(listed.parameters()[*name].bytes, direct.bytes().len(), "{name}");
        let same = direct.unpack(0..SHAPE[0]) == get(&float, &SHAPE, name).unwrap();
        assert_eq!(same, *kind == GgmlDType::Q4K, "{name}");
    }
    // A folder of another type is not taken for one of int4.
    let error = |kind: WeightType| {
        let converted = Archive::open(&Checkpoint::from(folder.path()), &[]).unwrap();
        let weights = Weights::open(vec![converted], LoadOptions::cpu(Precision::Packed(kind))).unwrap();
        weights.packed(&SHAPE, "plain", ParameterRole::HiddenMatrix).unwrap_err().to_string()
    };
    assert!(error(WeightType::Int8).contains("tensor plain is there as Int4 only"), "{}", error(WeightType::Int8));
}
