//! Files as they are published: stages, low-rank parts apart, fused matrices, what is missing.

use candle_core::{DType, Var};

use super::*;
use crate::error::ModelError;
use crate::layers::QFormer;
use crate::loading;
use crate::weights::{NameTable, Origin};

fn tables(class: &str) -> Vec<NameTable> {
    let folder = folder_with(&plain_config(class));
    names::tables(&Config::load(&Checkpoint::from(folder.path())).unwrap())
}

fn first(table: &NameTable, name: &str) -> Origin {
    match (table.origin)(name) {
        Some(Origin::FirstOf(all)) => all[0].clone(),
        Some(origin) => origin,
        None => panic!("no {name}"),
    }
}

fn tensor(name: &str) -> Origin {
    Origin::Tensor(name.to_string())
}

#[test]
fn names_of_the_published_stages() {
    let [apart, whole, _] = &tables("VideoChat2_it_vicuna")[..] else { panic!("three tables") };
    let q = first(apart, "language_model.model.layers.3.self_attn.q_proj.weight");
    let own = "llama_model.base_model.model.model.layers.3.self_attn.q_proj";
    let Origin::LowRank { base, down, up, scale } = q else { panic!("{q:?}") };
    assert_eq!(*base, tensor(&format!("{own}.base_layer.weight")));
    assert_eq!((down, up), (format!("{own}.lora_A.default.weight"), format!("{own}.lora_B.default.weight")));
    // alpha / r of the toy.
    assert_eq!(scale, 2.0);
    // PEFT adapts q and v of Llama alone.
    let k = first(apart, "language_model.model.layers.3.self_attn.k_proj.weight");
    assert_eq!(k, tensor("llama_model.base_model.model.model.layers.3.self_attn.k_proj.weight"));
    assert_eq!(first(whole, "language_model.lm_head.weight"), tensor("llama_model.lm_head.weight"));
    assert_eq!(first(whole, "projector.bias"), tensor("llama_proj.bias"));
    let block = |name: &str| first(whole, &format!("vision_encoder.encoder.blocks.7.{name}"));
    let theirs = |name: &str| format!("vision_encoder.encoder.blocks.7.{name}");
    assert_eq!(block("layer_norm2.bias"), tensor(&theirs("norm2.bias")));
    assert_eq!(block("self_attn.k_proj.weight"), Origin::Rows(theirs("attn.qkv.weight"), 24..48));
    assert_eq!(block("self_attn.k_proj.bias"), Origin::Zeros(24));
    assert_eq!(block("self_attn.v_proj.bias"), tensor(&theirs("attn.v_bias")));
    assert_eq!(block("mlp.fc1.weight"), tensor(&theirs("mlp.fc1.weight")));
}

#[test]
fn fused_matrices_of_phi_are_told_as_rows() {
    let [apart, whole] = &tables("VideoChat2_it_phi")[..] else { panic!("two tables") };
    let layer = "language_model.model.layers.0";
    let theirs = |name: &str| format!("phi_model.model.layers.0.{name}.weight");
    let rows = |name: &str| first(whole, &format!("{layer}.{name}.weight"));
    assert_eq!(rows("self_attn.q_proj"), Origin::Rows(theirs("self_attn.qkv_proj"), 0..32));
    assert_eq!(rows("self_attn.v_proj"), Origin::Rows(theirs("self_attn.qkv_proj"), 48..64));
    assert_eq!(rows("mlp.up_proj"), Origin::Rows(theirs("mlp.gate_up_proj"), 48..96));
    assert!(matches!(first(apart, &format!("{layer}.self_attn.o_proj.weight")), Origin::LowRank { .. }));
    assert!(matches!(first(apart, &format!("{layer}.self_attn.q_proj.weight")), Origin::Rows(..)));
}

/// Every tensor of the toy by our names, merged.
fn merged() -> HashMap<String, Tensor> {
    let variables = toy(LoadOptions::training()).weights.variables();
    variables.into_iter().map(|(name, variable): (String, Var)| (name, variable.as_detached_tensor())).collect()
}

fn archive(folder: &Path, name: &str, tensors: &HashMap<String, Tensor>, tables: &[NameTable]) -> Archive {
    let place = folder.join(name);
    std::fs::create_dir_all(&place).unwrap();
    candle_core::safetensors::save(tensors, place.join("model.safetensors")).unwrap();
    Archive::open(&Checkpoint::from(&*place), tables).unwrap()
}

/// The published tensors of the toy, in two: the stage with its low-rank parts, and the language model under the names
/// of its own folder.
fn stage_and_base() -> (HashMap<String, Tensor>, HashMap<String, Tensor>) {
    let all = candle_core::safetensors::load(golden().join("toy-hd/model.safetensors"), &Device::Cpu).unwrap();
    let (mut stage, mut base) = (HashMap::new(), HashMap::new());
    for (name, tensor) in all {
        match name.strip_prefix("mistral_model.base_model.model.").filter(|name| !name.contains("lora_")) {
            Some(own) => base.insert(own.replace(".base_layer", ""), tensor),
            None => stage.insert(name, tensor),
        };
    }
    (stage, base)
}

#[test]
fn low_rank_parts_of_a_stage_are_added_to_a_base_in_another_folder() {
    let (stage, base) = stage_and_base();
    let tables = names::tables(&Config::load(&toy_folder()).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str, tensors: &HashMap<String, Tensor>| archive(folder.path(), name, tensors, &tables);
    let read = |archives: Vec<Archive>| {
        let weights = Weights::open(archives, LoadOptions::training()).unwrap();
        VideoChat2::load(&toy_folder(), weights.clone()).map(|_| weights)
    };
    let same = |weights: &Weights| {
        let (want, ours) = (merged(), weights.variables());
        assert_eq!(want.len(), ours.len());
        want.iter().for_each(|(name, want)| assert_eq!(worst(&ours[name], want), 0.0, "{name}"));
        let idle = |name: &str| name.strip_prefix("qformer.bert.").is_some_and(|name| QFormer::is_idle(name, 3));
        let unused: Vec<String> = weights.unused().into_iter().filter(|name| !idle(name)).collect();
        assert_eq!(unused, Vec::<String>::new());
    };
    same(&read(vec![open("stage", &stage), open("base", &base)]).unwrap());
    // An older stage below: its low-rank parts are replaced, not added, and its other values are not left over.
    let older: HashMap<String, Tensor> =
        stage.iter().map(|(name, tensor)| (name.clone(), (tensor * 3.0).unwrap())).collect();
    same(&read(vec![open("stage", &stage), open("older", &older), open("base", &base)]).unwrap());
    let error = read(vec![open("stage", &stage)]).err().unwrap().to_string();
    assert!(error.contains("low-rank") || error.contains("embed_tokens"), "{error}");
}

/// Merged beforehand and added while reading: the same bits.
#[test]
fn a_merged_layout_gives_the_same_model() {
    let config = Config::load(&toy_folder()).unwrap();
    let tables = names::tables(&config);
    let mut published: HashMap<String, Tensor> = HashMap::new();
    let all = candle_core::safetensors::load(golden().join("toy-hd/model.safetensors"), &Device::Cpu).unwrap();
    published.extend(all.into_iter().filter(|(name, _)| !name.starts_with("mistral_model.")));
    for (name, tensor) in merged() {
        if let Some(own) = name.strip_prefix("language_model.") {
            published.insert(format!("mistral_model.{own}"), tensor);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path(), "merged", &published, &tables);
    assert_eq!(archive.layout(), "stage files or a language model, whole");
    let weights = Weights::open(vec![archive], LoadOptions::training()).unwrap();
    VideoChat2::load(&toy_folder(), weights.clone()).unwrap();
    let ours = weights.variables();
    merged().iter().for_each(|(name, want)| assert_eq!(worst(&ours[name], want), 0.0, "{name}"));
}

fn folder_of(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).unwrap());
    folder
}

#[test]
fn stage_files_say_what_they_are_by_their_names() {
    let implied = |files: &[&str]| {
        let files: Vec<(&str, &str)> = files.iter().map(|name| (*name, "")).collect();
        stages::implied(&Checkpoint::from(folder_of(&files).path())).unwrap()
    };
    let vicuna = implied(&["umt_l16_qformer.pth", "videochat2_7b_stage2.pth", "videochat2_7b_stage3.pth"]).unwrap();
    let order = ["videochat2_7b_stage3.pth", "videochat2_7b_stage2.pth", "umt_l16_qformer.pth"];
    assert_eq!(vicuna.files, order);
    for (file, class) in [
        ("videochat2_7b_stage3.pth", "VideoChat2_it_vicuna"),
        ("videochat2_mistral_7b_stage3.pth", "VideoChat2_it_mistral"),
        ("videochat2_phi3_stage3.pth", "VideoChat2_it_phi"),
        ("videochat2_hd_mistral_7b_stage4.pth", "VideoChat2_it_hd_mistral"),
    ] {
        let config = implied(&[file]).unwrap().config;
        assert_eq!(config["model_config"]["model_cls"], class, "{file}");
        assert_eq!(config["model_config"]["dynamic_config"].is_object(), file.contains("hd"), "{file}");
    }
    for none in ["model.safetensors", "pytorch_model.bin", "videochat_7b.pth", "other_stage3.pth", "README.md"] {
        assert_eq!(implied(&[none]), None, "{none}");
    }
}

#[test]
fn a_folder_of_stages_is_of_this_family_with_or_without_the_configuration_of_its_base() {
    let base = r#"{"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 96, "vocab_size": 300}"#;
    for files in [vec![("videochat2_7b_stage3.pth", "")], vec![("videochat2_7b_stage3.pth", ""), ("config.json", base)]]
    {
        let folder = folder_of(&files);
        let checkpoint = Checkpoint::from(folder.path());
        assert_eq!(loading::family(&checkpoint).unwrap().name, stages::NAME);
        let config = Config::load(&checkpoint).unwrap();
        let hidden = if files.len() == 2 { 64 } else { 4096 };
        assert_eq!((config.model, config.language.hidden), (config::LanguageModel::Vicuna, hidden));
        assert_eq!((config.vision.layers, config.tokens(), config.frames), (23, 96, 16));
    }
    // A language model alone is none.
    let alone = folder_of(&[("config.json", base)]);
    assert!(matches!(loading::family(&Checkpoint::from(alone.path())), Err(ModelError::Unsupported(_))));
}

/// The stage is opened by its name; what it lacks is told with it.
#[test]
fn a_stage_file_is_looked_up_before_the_files_of_its_base() {
    let folder = folder_with(&json!({"model_type": "mistral"}));
    // The Q-Former of a stage is BERT's: it wants as many words.
    let words = std::fs::read_to_string(folder.path().join("vocab.txt")).unwrap();
    let spare: Vec<String> = (words.lines().count()..30_522).map(|n| format!("[unused{n}]")).collect();
    std::fs::write(folder.path().join("vocab.txt"), words + &spare.join("\n") + "\n").unwrap();
    let pickle = golden().join("../pickle/state_dict.bin");
    std::fs::copy(pickle, folder.path().join("videochat2_mistral_7b_stage3.pth")).unwrap();
    let checkpoint = Checkpoint::from(folder.path());
    assert_eq!(loading::open_processor(&checkpoint).unwrap().info().hidden, 4096);
    let error = loading::open(&checkpoint, LoadOptions::cpu(DType::F32)).err().unwrap().to_string();
    assert!(error.contains("vision_encoder.") && error.contains("videochat2_mistral_7b_stage3.pth"), "{error}");
}

#[test]
fn configurations_of_the_authors_are_read() {
    for (class, model) in [
        ("VideoChat2_it", config::LanguageModel::Vicuna),
        ("VideoChat2_it_mistral", config::LanguageModel::Mistral),
        ("VideoChat2_it_phi", config::LanguageModel::Phi3),
    ] {
        let config = json!({"model": {"model_cls": class, "num_query_token": 32, "extra_num_query_token": 64,
            "vision_encoder": {"img_size": 224, "encoder_depth": 24, "return_index": -2, "vit_add_ln": true}}});
        assert!(Config::matches(&config), "{class}");
        let folder = folder_with(&config);
        let config = Config::load(&Checkpoint::from(folder.path())).unwrap();
        assert_eq!((config.model, config.vision.layers, config.tokens()), (model, 23, 96), "{class}");
    }
    for (key, value) in [("return_index", json!(-99)), ("tubelet_size", json!(2)), ("img_size", json!(225))] {
        let mut config = toy_config();
        config["model_config"]["vision_encoder"][key] = value;
        let error = Config::load(&Checkpoint::from(folder_with(&config).path())).unwrap_err().to_string();
        assert!(error.contains("config.json"), "{key}: {error}");
    }
}

#[test]
fn a_missing_vocabulary_of_the_q_former_says_where_it_comes_from() {
    let folder = folder_with(&toy_config());
    std::fs::remove_file(folder.path().join("vocab.txt")).unwrap();
    let weights = Weights::open(vec![Archive::memory(merged())], LoadOptions::cpu(DType::F32)).unwrap();
    let error = VideoChat2::load(&Checkpoint::from(folder.path()), weights.clone()).err().unwrap().to_string();
    assert!(
        error.contains("bert-base-uncased/vocab.txt") && error.contains("google-bert/bert-base-uncased"),
        "{error}"
    );
    std::fs::create_dir(folder.path().join("bert")).unwrap();
    std::fs::copy(golden().join("toy-hd/vocab.txt"), folder.path().join("bert/vocab.txt")).unwrap();
    VideoChat2::load(&Checkpoint::from(folder.path()), weights).unwrap();
}
