//! What the published checkpoints' configurations say: sizes, positions, variants, and what is refused.

use serde_json::json;

use super::*;
use crate::weights::RandomFor;

/// `config.json` of the published 7B for films.
fn long_video() -> Value {
    json!({
        "architectures": ["LlavaLlamaAttForCausalLM"], "model_type": "llava", "bert_type": "qformer_pretrain_freeze",
        "compress_type": "mean_concat", "num_qformer": 32, "cross_att_freq": 2,
        "fusion_type": "attention_concat_all_query", "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "max_position_embeddings": 4096, "max_token": 65536,
        "mm_hidden_size": 1408, "mm_projector_type": "mlp2x_gelu", "mm_use_im_start_end": false,
        "mm_use_im_patch_token": false, "mm_vision_select_feature": "patch", "mm_vision_select_layer": -2,
        "rms_norm_eps": 1e-5, "rope_scaling": {"type": "linear", "factor": 16.0}, "vocab_size": 32000,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "image_aspect_ratio": "pad"
    })
}

/// The configuration with some keys set.
fn with(mut config: Value, keys: Value) -> Value {
    for (key, value) in keys.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

/// A folder with this configuration, the toy's tokenizer, and a vocabulary of BERT's size.
fn folder(config: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    std::fs::copy(golden().join("toy/tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(str::to_string).into_iter();
    let words: String = words.chain((4..30_522).map(|n| format!("w{n}"))).map(|word| word + "\n").collect();
    std::fs::write(folder.path().join("vocab.txt"), words).unwrap();
    folder
}

fn loaded(config: &Value) -> ModelResult<Config> {
    let folder = folder(config);
    Config::load(&Checkpoint::from(folder.path()))
}

/// Values of each group that a checkpoint of this configuration holds, counted without any.
fn parameters(config: &Value) -> (usize, usize, usize) {
    let folder = folder(config);
    let weights = Weights::listed(vec![Archive::random(1, RandomFor::Everything)], LoadOptions::cpu(DType::F32));
    let model = LlamaVid::load(&Checkpoint::from(folder.path()), weights.unwrap()).unwrap();
    let of = |group: ParameterGroup| {
        let all = model.weights.parameters();
        all.values().filter(|one| one.group.part() == group).map(|one| one.values).sum::<usize>()
    };
    (of(ParameterGroup::Vision), of(ParameterGroup::Projector), of(ParameterGroup::Language))
}

#[test]
fn the_published_7b_has_7_941_388_160_parameters() {
    let (vision, projector, language) = parameters(&long_video());
    // EVA has no bias of keys; ours is of zeros.
    let vision = vision - 39 * 1408;
    assert_eq!(vision, 985_894_528);
    // The file also holds the feed-forward network of the last layer's words, which changes nothing.
    let idle = 2 * 768 * 3072 + 3072 + 768 + 2 * 768;
    assert_eq!(vision + projector + idle + language, 7_941_388_160);
    assert_eq!(language, 6_738_415_616);
}

#[test]
fn the_encoder_has_39_blocks_and_the_40th_of_a_file_is_not_missed() {
    let config = loaded(&long_video()).unwrap();
    assert_eq!((config.vision.layers, config.vision.rows(), config.vision.intermediate), (39, 257, 6144));
    let per_block = (parameters(&long_video()).0
        - parameters(&with(
            long_video(),
            json!({"vision_config": {
                "hidden_size": 1408, "num_hidden_layers": 38, "num_attention_heads": 16, "intermediate_size": 6144,
                "patch_size": 14
            }}),
        ))
        .0)
        - 1408;
    assert_eq!(per_block, 25_248_768);
    let folder = folder(&long_video());
    let ignored = names::tables(&Checkpoint::from(folder.path())).unwrap()[0].ignored;
    let of = |rest: &str| format!("model.vision_tower.vision_tower.blocks.{rest}");
    assert!(ignored(&of("39.norm1.weight")) && !ignored(&of("38.norm1.weight")) && !ignored(&of("3.norm1.weight")));
    let bert = |rest: &str| format!("model.vlm_att_encoder.bert.{rest}");
    assert!(ignored(&bert("embeddings.position_ids")) && ignored(&bert("encoder.layer.11.output.dense.bias")));
    assert!(!ignored(&bert("encoder.layer.11.output_query.dense.bias")));
}

#[test]
fn files_of_the_first_stage_and_of_the_language_model_alone_are_known() {
    let folder = folder(&long_video());
    let tables = names::tables(&Checkpoint::from(folder.path())).unwrap();
    let layout = |names: &[&str]| {
        let tensor = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
        let tensors: HashMap<&str, Tensor> = names.iter().map(|name| (*name, tensor.clone())).collect();
        let file = tempfile::tempdir().unwrap();
        candle_core::safetensors::save(&tensors, file.path().join("model.safetensors")).unwrap();
        Archive::open(&Checkpoint::from(file.path()), &tables).map(|archive| archive.layout()).ok()
    };
    assert_eq!(layout(&["model.mm_projector.0.weight", "model.vlm_att_projector.weight"]), Some("original"));
    assert_eq!(layout(&["model.vision_tower.vision_tower.cls_token", "model.layers.0.x"]), Some("original"));
    assert_eq!(layout(&["model.vision_tower.cls_token", "model.vlm_att_query"]), Some("ours"));
    assert_eq!(layout(&["model.layers.0.mlp.up_proj.weight", "lm_head.weight"]), Some("ours"));
    assert_eq!(layout(&["visual.patch_embed.weight"]), None);
}

#[test]
fn the_qformer_has_bert_bases_sizes_and_a_vocabulary_of_30523() {
    let config = loaded(&long_video()).unwrap();
    let q = &config.qformer;
    assert_eq!((q.vocabulary, q.positions, q.layers, q.hidden, config.queries), (30_523, 512, 12, 768, 32));
    assert!(config.feature_norm);
    let six = loaded(&with(long_video(), json!({"bert_type": "qformer_pretrain_layer:6"}))).unwrap();
    assert_eq!(six.qformer.layers, 6);
    assert!(!loaded(&with(long_video(), json!({"bert_type": "qformer"}))).unwrap().feature_norm);
}

#[test]
fn positions_are_divided_by_16_for_films_only() {
    let film = loaded(&long_video()).unwrap();
    assert_eq!((film.language.rope_scaling, film.language.max_positions, film.film), (16.0, 65_536, true));
    let short = with(long_video(), json!({"rope_scaling": null, "compress_type": "mean", "max_token": 2048}));
    let short = loaded(&short).unwrap();
    assert_eq!((short.language.rope_scaling, short.language.max_positions, short.film), (1.0, 4096, false));
}

#[test]
fn every_published_variant_has_its_tokens_a_frame() {
    let tokens = |keys: Value| {
        let folder = folder(&with(long_video(), keys));
        let processor = LlamaVidProcessor::load(&Checkpoint::from(folder.path())).unwrap();
        let plan =
            processor.plan(&[], &[MediaMetadata::picture((640, 480))], &PlanOptions::default()).unwrap().remove(0);
        processor.visual_spans(&plan, None)[0].tokens
    };
    let image = json!({"compress_type": null, "image_processor": "./llamavid/processor/clip-patch14-224"});
    assert_eq!(tokens(image), 257);
    assert_eq!(tokens(json!({"compress_type": null, "image_processor": "./llamavid/processor/clip-patch14-336"})), 577);
    assert_eq!(tokens(json!({"compress_type": "mean"})), 2);
    assert_eq!(tokens(json!({"compress_type": "grid:2"})), 5);
    assert_eq!(tokens(json!({"compress_type": "grid:4"})), 17);
    assert_eq!(tokens(json!({})), 2);
    let larger =
        json!({"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40, "num_attention_heads": 40});
    assert_eq!(tokens(larger), 2);
}

#[test]
fn a_frame_is_stored_in_723_712_bytes_and_a_position_costs_half_a_mebibyte() {
    let folder = folder(&long_video());
    let processor = LlamaVidProcessor::load(&Checkpoint::from(folder.path())).unwrap();
    let info = processor.info();
    let detail = info.details.iter().find(|(name, _)| name == "features of a frame").unwrap();
    assert_eq!(detail.1, "257 rows, 723712 bytes in f16");
    assert_eq!(10_800_usize * 723_712 / 100_000_000, 78);
    let bytes = |kv: crate::kv::KvShape| 2 * 2 * kv.layers * kv.heads * kv.width;
    assert_eq!((bytes(info.kv), 65_536 * bytes(info.kv)), (1 << 19, 32 << 30));
    assert_eq!(info.stop.ids, [2]);
    let larger =
        json!({"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40, "num_attention_heads": 40});
    let larger = loaded(&with(long_video(), larger)).unwrap();
    assert_eq!(bytes(larger.language.kv()), 819_200);
}

#[test]
fn what_nobody_published_is_refused_by_name() {
    let error = |keys: Value| loaded(&with(long_video(), keys)).unwrap_err().to_string();
    assert!(error(json!({"bert_type": "raw_bert"})).contains("raw_bert"));
    assert!(error(json!({"mm_projector_type": "linear"})).contains("mm_projector_type linear"));
    assert!(error(json!({"mm_use_im_start_end": true})).contains("mm_use_im_start_end"));
    assert!(error(json!({"mm_vision_select_feature": "cls_patch"})).contains("cls_patch"));
    assert!(error(json!({"compress_type": "grid:1"})).contains("grid:1"));
    assert!(error(json!({"mm_hidden_size": 1024})).contains("1024"));
    assert!(error(json!({"num_query": "many"})).contains("num_query"));
    assert!(error(json!({"image_processor": "clip-patch14-9999"})).contains("9999"));
    assert!(Config::matches(&long_video()) && !Config::matches(&json!({"model_type": "llava"})));
}

#[test]
fn a_missing_vocabulary_is_named_and_another_one_is_refused() {
    let load = |change: &dyn Fn(&Path)| {
        let folder = folder(&long_video());
        change(folder.path());
        let weights = Weights::listed(vec![Archive::random(1, RandomFor::Everything)], LoadOptions::cpu(DType::F32));
        LlamaVid::load(&Checkpoint::from(folder.path()), weights.unwrap()).err().unwrap().to_string()
    };
    let missing = load(&|folder| std::fs::remove_file(folder.join("vocab.txt")).unwrap());
    assert!(missing.contains("bert-base-uncased/vocab.txt: missing"), "{missing}");
    let other = load(&|folder| std::fs::write(folder.join("vocab.txt"), "[UNK]\n[CLS]\n[SEP]\n").unwrap());
    assert!(other.contains("4 tokens") && other.contains("30523"), "{other}");
}
