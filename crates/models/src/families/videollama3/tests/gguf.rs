//! The language part from a GGUF file: a converted folder is, byte for byte, the one that the same values in a
//! safetensors file give.

use super::*;
use crate::loading;
use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};

type Tensors = HashMap<String, Tensor>;

const EMBEDDING: &str = "model.language_model.embed_tokens.weight";

fn toy_tensors() -> Tensors {
    candle_core::safetensors::load(golden().join("toy-hf/model.safetensors"), &Device::Cpu).unwrap()
}

/// The language tensors of the toy with other values, by GGUF name and canonical name, as a file of type `kind` gives
/// them back; vectors are f32 there, as in all such files.
struct Language {
    stored: Vec<(String, QTensor)>,
    values: Tensors,
}

fn language(kind: GgmlDType) -> Language {
    let mut all = Language { stored: Vec::new(), values: HashMap::new() };
    for (name, tensor) in toy_tensors() {
        let theirs = match (names::tables()[3].origin)(&name) {
            Some(Origin::FirstOf(all)) => all[0].tensors()[0].to_string(),
            Some(origin) => origin.tensors()[0].to_string(),
            None => continue,
        };
        let other = ((tensor.sin().unwrap() * 0.7).unwrap() + 0.01).unwrap();
        let kind = if tensor.rank() == 1 { GgmlDType::F32 } else { kind };
        all.put(&theirs, &name, &other, kind);
    }
    all
}

impl Language {
    fn put(&mut self, theirs: &str, ours: &str, values: &Tensor, kind: GgmlDType) {
        // A narrowed tensor would be quantized with all that lies behind it.
        let stored = QTensor::quantize(&values.force_contiguous().unwrap(), kind).unwrap();
        self.values.insert(ours.to_string(), stored.dequantize(&Device::Cpu).unwrap());
        self.stored.retain(|(name, _)| name != theirs);
        self.stored.push((theirs.to_string(), stored));
    }

    fn drop(&mut self, theirs: &str) {
        self.stored.retain(|(name, _)| name != theirs);
    }

    fn write(&self, file: &Path, architecture: &str) {
        let architecture = Value::String(architecture.to_string());
        let tensors: Vec<_> = self.stored.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let values = [("general.architecture", &architecture)];
        gguf_file::write(&mut std::fs::File::create(file).unwrap(), &values, &tensors).unwrap();
    }
}

/// The toy's folder with other weights, tied or not.
fn folder(tensors: &Tensors, tied: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden().join("toy-hf")).unwrap() {
        let from = entry.unwrap().path();
        std::fs::copy(&from, folder.path().join(from.file_name().unwrap())).unwrap();
    }
    let config = std::fs::read_to_string(folder.path().join("config.json")).unwrap();
    let config = config.replace("\"tie_word_embeddings\": false", &format!("\"tie_word_embeddings\": {tied}"));
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    candle_core::safetensors::save(tensors, folder.path().join("model.safetensors")).unwrap();
    folder
}

/// The weights that converting gives.
fn converted(folder: &Path, kind: WeightType, language: Option<&Language>) -> Vec<u8> {
    let (out, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = place.path().join("language.gguf");
    if let Some(language) = language {
        language.write(&file, "qwen2");
    }
    loading::convert(&Checkpoint::from(folder), out.path(), kind, language.map(|_| file.as_path())).unwrap();
    open_as(&Checkpoint::from(out.path()), LoadOptions::cpu(Precision::Auto)).unwrap();
    std::fs::read(out.path().join("model.safetensors")).unwrap()
}

fn refused(language: &Language, architecture: &str, damage: impl Fn(&Path)) -> String {
    let (model, out) = (golden().join("toy-hf"), tempfile::tempdir().unwrap());
    let (file, out) = (out.path().join("language.gguf"), out.path().join("out"));
    language.write(&file, architecture);
    damage(&file);
    let text =
        loading::convert(&Checkpoint::Folder(model), &out, WeightType::Int8, Some(&file)).err().unwrap().to_string();
    assert!(text.contains("language.gguf") && !out.exists(), "{text}");
    text
}

#[test]
fn a_language_part_from_gguf_is_as_if_the_model_had_its_values() {
    use GgmlDType::{BF16, F16, F32, Q4_0, Q4_1, Q5_0, Q8_0};
    for stored in [F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q8_0] {
        let language = language(stored);
        let mut tensors = toy_tensors();
        tensors.extend(language.values.clone());
        let [_, int8, int4] = [WeightType::Bf16, WeightType::Int8, WeightType::Int4].map(|kind| {
            let want = converted(folder(&tensors, false).path(), kind, None);
            let ours = converted(&golden().join("toy-hf"), kind, Some(&language));
            let more_bits = kind == WeightType::Int4 && matches!(stored, Q5_0 | Q8_0);
            assert_eq!(ours == want, !more_bits, "{stored:?} as {kind:?}");
            ours
        });
        if matches!(stored, Q5_0 | Q8_0) {
            // What the file has more than four bits for has eight; the rest of the model has four.
            let [int8, int4] = [&int8, &int4].map(|bytes| safetensors::SafeTensors::deserialize(bytes).unwrap());
            let mut kept = 0;
            for (name, tensor) in int4.tensors() {
                let of_language = name.split_once(':').is_some_and(|(name, _)| language.values.contains_key(name));
                assert!(!of_language || name.ends_with(":int8"), "{name}");
                kept += usize::from(of_language);
                let same = int8.tensor(&name).is_ok_and(|want| want.data() == tensor.data());
                assert!(same || name.ends_with(":int4"), "{name}");
            }
            assert_eq!(kept, language.values.values().filter(|value| value.rank() == 2).count() - 1, "all but words");
        }
    }
}

#[test]
fn words_that_the_file_lacks_are_the_models_and_others_are_cut() {
    let toy = toy_tensors();
    let mut fewer = language(GgmlDType::F32);
    let mut more = language(GgmlDType::F32);
    let mut tensors = toy.clone();
    tensors.extend(fewer.values.clone());
    let want_more = converted(folder(&tensors, false).path(), WeightType::Int8, None);
    for (theirs, ours) in [("token_embd.weight", EMBEDDING), ("output.weight", "lm_head.weight")] {
        let values = fewer.values[ours].clone();
        let (first, rest) = (values.narrow(0, 0, 298).unwrap(), toy[ours].narrow(0, 298, 6).unwrap());
        tensors.insert(ours.to_string(), Tensor::cat(&[&first, &rest], 0).unwrap());
        fewer.put(theirs, ours, &first, GgmlDType::F32);
        more.put(theirs, ours, &Tensor::cat(&[&values, &rest], 0).unwrap(), GgmlDType::F32);
    }
    let want = converted(folder(&tensors, false).path(), WeightType::Int8, None);
    assert!(converted(&golden().join("toy-hf"), WeightType::Int8, Some(&fewer)) == want);
    assert!(converted(&golden().join("toy-hf"), WeightType::Int8, Some(&more)) == want_more);
}

#[test]
fn either_of_the_two_may_be_tied() {
    // The file: its words are the output's matrix, too.
    let mut language = language(GgmlDType::Q8_0);
    let mut tensors = toy_tensors();
    tensors.extend(language.values.clone());
    let whole = tensors.clone();
    language.drop("output.weight");
    tensors.insert("lm_head.weight".to_string(), tensors[EMBEDDING].clone());
    let want = converted(folder(&tensors, false).path(), WeightType::Int8, None);
    assert!(converted(&golden().join("toy-hf"), WeightType::Int8, Some(&language)) == want);
    // Both.
    tensors.remove("lm_head.weight");
    let mut own = toy_tensors();
    own.remove("lm_head.weight");
    let (own, tied) = (folder(&own, true), folder(&tensors, true));
    assert!(converted(own.path(), WeightType::Int8, Some(&language)) == converted(tied.path(), WeightType::Int8, None));
    // The model alone: the file's matrix is used, and rows that it lacks are words of the model.
    let language = self::language(GgmlDType::Q8_0);
    let want = converted(folder(&whole, true).path(), WeightType::Int8, None);
    assert!(converted(own.path(), WeightType::Int8, Some(&language)) == want);
    let mut language = self::language(GgmlDType::F32);
    let mut tensors = toy_tensors();
    tensors.extend(language.values.clone());
    let first = language.values["lm_head.weight"].narrow(0, 0, 300).unwrap();
    let rest = toy_tensors()[EMBEDDING].narrow(0, 300, 4).unwrap();
    tensors.insert("lm_head.weight".to_string(), Tensor::cat(&[&first, &rest], 0).unwrap());
    language.put("output.weight", "lm_head.weight", &first, GgmlDType::F32);
    let want = converted(folder(&tensors, true).path(), WeightType::Int8, None);
    assert!(converted(own.path(), WeightType::Int8, Some(&language)) == want);
}

#[test]
fn a_stored_output_matrix_of_a_tied_model_is_used_after_converting_too() {
    let mut tensors = toy_tensors();
    tensors.insert("lm_head.weight".to_string(), (&tensors["lm_head.weight"] * 0.5).unwrap());
    let (model, out) = (folder(&tensors, true), tempfile::tempdir().unwrap());
    loading::convert(&Checkpoint::from(model.path()), out.path(), WeightType::F32, None).unwrap();
    let logits = |folder: &Path| {
        let model = open_as(&Checkpoint::from(folder), LoadOptions::cpu(Precision::Packed(WeightType::F32))).unwrap();
        numbers(&logits_of(&model, &model.embed_tokens(&[5, 6]).unwrap(), &[1]))
    };
    assert_eq!(logits(model.path()), logits(out.path()));
}

#[test]
fn files_that_do_not_fit_are_refused_and_nothing_is_written() {
    let whole = || language(GgmlDType::F32);
    let text = refused(&whole(), "llama", |_| ());
    assert!(text.contains("not supported") && text.contains("\"llama\"") && text.contains("\"qwen2\""), "{text}");
    let mut less = whole();
    less.drop("blk.1.ffn_up.weight");
    assert!(refused(&less, "qwen2", |_| ()).contains("tensor blk.1.ffn_up.weight is missing"));
    let mut other = whole();
    let wide = Tensor::zeros((64, 48), DType::F32, &Device::Cpu).unwrap();
    other.put("blk.1.ffn_up.weight", "x", &wide, GgmlDType::F32);
    let text = refused(&other, "qwen2", |_| ());
    assert!(text.contains("blk.1.ffn_up.weight has shape [64, 48]") && text.contains("[64, 32]"), "{text}");
    let mut deeper = whole();
    deeper.put("blk.2.ffn_up.weight", "x", &wide, GgmlDType::F32);
    assert!(refused(&deeper, "qwen2", |_| ()).contains("1 tensors have no place in the model, such as blk.2.ffn_up"));
    let cut = |share: u64| {
        move |file: &Path| {
            let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
            file.set_len(file.metadata().unwrap().len() * share / 100).unwrap();
        }
    };
    for share in [0, 1, 50, 99] {
        let text = refused(&whole(), "qwen2", cut(share));
        assert!(text.contains("cut off") || text.contains("bytes left") || text.contains("not a GGUF"), "{text}");
    }
}
