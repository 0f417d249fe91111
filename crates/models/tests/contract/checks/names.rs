//! Name tables are complete: every tensor of ours lies somewhere, and every tensor of the layout is used.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Tensor};
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::weights::{Archive, LoadOptions, NameTable, Parameter, ParameterGroup, Weights};

use crate::compare::{Tolerance, same};
use crate::layout::{Layout, holdable};
use crate::test_family::{TestFamily, all};

/// Two products of at most 8 (rank 2, scale 2, noise up to 1.4) of two roundings each, and a rounding of the difference
/// and of the sum, beside values of 0.2 or more: 6 * 8 * 2^-24 / 0.2.
const SUM: Tolerance = Tolerance::Relative(1.5e-5);

/// The layout of `table` over our tensors, those as it can hold them, and our tensors that it does not hold.
struct Published {
    tensors: BTreeMap<String, Tensor>,
    ours: BTreeMap<String, Tensor>,
    others: BTreeMap<String, Tensor>,
    tolerance: Tolerance,
}

fn publish(family: &TestFamily, table: &NameTable) -> Published {
    let (mut layout, mut ours, mut others) = (Layout::default(), BTreeMap::new(), BTreeMap::new());
    for (name, tensor) in &family.tensors {
        match (table.origin)(name) {
            Some(origin) => {
                let tensor = holdable(&origin, tensor);
                layout.put(&origin, &tensor);
                ours.insert(name.clone(), tensor);
            }
            None => {
                others.insert(name.clone(), tensor.clone());
            }
        }
    }
    let tolerance = if layout.sums { SUM } else { Tolerance::Exact };
    Published { tensors: layout.tensors(), ours, others, tolerance }
}

/// The model over `archives` has `ours`, and nothing of the archives is left over.
fn loads(what: &str, family: &TestFamily, archives: Vec<Archive>, ours: &BTreeMap<String, Tensor>, off: Tolerance) {
    let weights = Weights::open(archives, LoadOptions::training()).unwrap_or_else(|error| panic!("{what}: {error}"));
    (family.family.model)(&family.checkpoint, weights.clone()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let unused = weights.unused();
    assert!(unused.is_empty(), "{what}: nobody asked for {unused:?}");
    let loaded = weights.variables();
    for (name, want) in ours {
        let variable = loaded.get(name).unwrap_or_else(|| panic!("{what}: the model did not ask for {name}"));
        same(&format!("{what}: {name}"), variable, want, off);
    }
}

#[test]
fn every_layout_of_a_family_is_read_to_the_last_tensor() {
    for family in all() {
        let tables = family.tables();
        for table in tables.iter().filter(|table| table.gguf_architecture.is_none()) {
            let what = format!("{}, layout {:?}", family.name(), table.layout);
            let published = publish(family, table);
            let missing: Vec<&String> = published.others.keys().collect();
            assert!(missing.is_empty(), "{what}: the table has no origin for {missing:?}");
            let folder = tempfile::tempdir().unwrap();
            let tensors: HashMap<String, Tensor> = published.tensors.into_iter().collect();
            candle_core::safetensors::save(&tensors, folder.path().join("model.safetensors")).unwrap();
            let archive = Archive::open(&Checkpoint::from(folder.path()), &tables).unwrap();
            assert_eq!(archive.layout(), table.layout, "{what}: recognized");
            loads(&what, family, vec![archive], &published.ours, published.tolerance);
        }
    }
}

/// A GGUF file has the language part; everything else comes from the checkpoint.
#[test]
fn every_gguf_layout_of_a_family_has_the_whole_language_part() {
    for family in all() {
        let tables = family.tables();
        for table in &tables {
            let Some(architecture) = table.gguf_architecture else { continue };
            let what = format!("{}, layout {:?}", family.name(), table.layout);
            let published = publish(family, table);
            let parameters = family.open_as(DType::F32).weights().parameters();
            // Experts of visual tokens are no part of a language model.
            let language = |name: &&String| {
                let is_language = |parameter: &Parameter| parameter.group.part() == ParameterGroup::Language;
                parameters.get(*name).is_some_and(is_language) && !name.contains(".experts.")
            };
            let missing: Vec<&String> = published.others.keys().filter(language).collect();
            assert!(missing.is_empty(), "{what}: the table has no origin for {missing:?}");
            let (folder, others) = (tempfile::tempdir().unwrap(), published.others.into_iter().collect());
            let file = folder.path().join("language.gguf");
            write_gguf(&file, architecture, &published.tensors);
            let archives = vec![Archive::gguf(&file, &tables).unwrap(), Archive::memory(others)];
            loads(&what, family, archives, &published.ours, published.tolerance);
        }
    }
}

fn write_gguf(file: &Path, architecture: &str, tensors: &BTreeMap<String, Tensor>) {
    let quantized = |tensor: &Tensor| QTensor::quantize(tensor, GgmlDType::F32).unwrap();
    let stored: Vec<(&str, QTensor)> =
        tensors.iter().map(|(name, tensor)| (name.as_str(), quantized(tensor))).collect();
    let stored: Vec<(&str, &QTensor)> = stored.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let architecture = Value::String(architecture.to_string());
    let mut out = std::fs::File::create(file).unwrap();
    gguf_file::write(&mut out, &[("general.architecture", &architecture)], &stored).unwrap();
}
