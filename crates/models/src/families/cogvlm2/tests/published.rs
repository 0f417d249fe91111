//! The published checkpoints: their configurations, sizes and tensor names.

use serde_json::json;

use super::*;
use crate::contract::model_info::GenerationDefaults;
use crate::weights::{Origin, RandomFor};

/// `config.json` of the published video models.
fn video() -> Value {
    json!({
        "architectures": ["CogVLMVideoForCausalLM"], "bos_token_id": 128_000, "eos_token_id": 128_001,
        "pad_token_id": 128_002, "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
        "intermediate_size": 14_336, "max_position_embeddings": 2048, "num_attention_heads": 32,
        "num_hidden_layers": 32, "num_multi_query_heads": 8, "rms_norm_eps": 1e-5, "template_version": "base",
        "tie_word_embeddings": false, "torch_dtype": "bfloat16", "vocab_size": 128_256,
        "vision_config": {
            "dropout_prob": 0.0, "hidden_act": "gelu", "hidden_size": 1792, "image_size": 224, "in_channels": 3,
            "intermediate_size": 15_360, "layer_norm_eps": 1e-6, "num_heads": 16, "num_hidden_layers": 63,
            "num_positions": 257, "patch_size": 14
        }
    })
}

/// `config.json` of the published picture model, which leaves out the number of key heads.
fn image() -> Value {
    let mut config = video();
    config["architectures"] = json!(["CogVLMForCausalLM"]);
    config["template_version"] = json!("chat");
    config["eos_token_id"] = json!([128_001, 128_009]);
    config["max_position_embeddings"] = json!(8192);
    config["vision_config"]["num_positions"] = json!(9217);
    config["vision_config"]["image_size"] = json!(1344);
    config.as_object_mut().unwrap().remove("num_multi_query_heads");
    config
}

fn read(config: &Value) -> Config {
    assert!(Config::matches(config));
    Config::from_json(config, &Value::Null, false).unwrap()
}

#[test]
fn the_published_configurations_are_read() {
    let (video, image) = (read(&video()), read(&image()));
    for config in [&video, &image] {
        let l = &config.language;
        assert_eq!((l.kv_heads, l.head_dim, l.rope_theta, l.eps, l.tied), (8, 128, 500_000.0, 1e-5, false));
        assert_eq!((config.bos, config.stop[0], l.qkv_bias), (128_000, 128_001, false));
    }
    assert_eq!((video.vision.grid(), video.vision.features(), video.vision.tokens()), (16, 64, 66));
    assert_eq!((image.vision.grid(), image.vision.features(), image.vision.tokens()), (96, 2304, 2306));
    assert_eq!((video.language.experts, image.language.experts, image.language.expert_qkv_bias), (1, 2, true));
    assert_eq!((video.max_frames, image.max_frames), (24, 3));
    assert_eq!((video.stop, image.stop), (vec![128_001], vec![128_001, 128_009]));
}

/// The authors' video programs take the likeliest token; their picture program samples as the file says.
#[test]
fn replies_of_video_models_are_greedy() {
    let file = json!({"do_sample": true, "temperature": 0.6, "top_p": 0.9, "eos_token_id": [128_001, 128_009]});
    let of = |config: &Value| Config::from_json(config, &file, false).unwrap();
    assert_eq!(of(&video()).generation.top_k, Some(1));
    let picture = GenerationDefaults {
        do_sample: Some(true),
        temperature: Some(0.6),
        top_p: Some(0.9),
        ..GenerationDefaults::default()
    };
    assert_eq!(of(&image()).generation, picture);
    assert_eq!(of(&video()).stop, [128_001, 128_009]);
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut config = image();
        change(&mut config);
        Config::from_json(&config, &Value::Null, false).unwrap_err()
    };
    let first = refused(&|config| {
        config["vision_config"]["image_size"] = json!(490);
        config["vision_config"]["num_positions"] = json!(1226);
    });
    assert!(first.contains("CogVLM of the first generation"), "{first}");
    assert!(refused(&|config| config["vision_config"]["num_positions"] = json!(9216)).contains("9216"));
    assert!(refused(&|config| config["vision_config"]["num_heads"] = json!(0)).contains("over 0 heads"));
    assert!(refused(&|config| config["vision_config"]["patch_size"] = json!(0)).contains("patches of 0"));
    assert!(refused(&|config| config["vision_config"]["image_size"] = json!(u64::MAX)).contains("vision part"));
    assert!(refused(&|config| config["hidden_act"] = json!("gelu")).contains("gelu"));
    assert!(refused(&|config| config["num_multi_query_heads"] = json!(5)).contains("5 key heads"));
    assert!(refused(&|config| config["template_version"] = json!("chat_old")).contains("chat_old"));
    assert!(!Config::matches(&json!({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})));
    assert!(!Config::matches(&json!({"model_type": "llava"})) && !Config::matches(&json!({"architectures": "x"})));
}

/// Values of a model of this configuration with `layers` decoder layers and `blocks` encoder blocks.
fn values(config: &Value, layers: usize, blocks: usize) -> usize {
    let mut config = config.clone();
    config["num_hidden_layers"] = json!(layers);
    config["vision_config"]["num_hidden_layers"] = json!(blocks);
    let tokenizer = std::fs::read(golden().join("toy-video/tokenizer.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer).unwrap();
    let random = Archive::random(1, RandomFor::Everything);
    let weights = Weights::listed(vec![random], LoadOptions::cpu(DType::F32)).unwrap();
    CogVlm2::load(&Checkpoint::from(folder.path()), weights.clone()).unwrap();
    weights.parameters().values().map(|parameter| parameter.values).sum()
}

/// The sizes on the hub: 25,015,060,992 bytes of bf16 for the video models, 39,006,214,656 for the picture model, the
/// latter with 32 tables of 64 rotary frequencies.
#[test]
fn the_models_have_as_many_values_as_the_published_files() {
    assert_eq!(values(&video(), 32, 63), 12_507_530_496);
    assert_eq!(2 * (values(&image(), 32, 63) + 32 * 64), 39_006_214_656);
    let (one, none) =
        (values(&image(), 1, 1) - values(&image(), 0, 1), values(&video(), 1, 1) - values(&video(), 0, 1));
    assert_eq!(32 * (one - none), 6_979_518_464);
}

#[test]
fn names_of_the_published_layout() {
    let (video, image) = (read(&video()), read(&image()));
    let rows = |name: &str, first: usize, end: usize| Origin::Rows(name.to_string(), first..end);
    let tensor = |name: &str| Origin::Tensor(name.to_string());
    let language = "model.layers.7.self_attn.language_expert_query_key_value.weight";
    let of = |name: &str| names::published(&video, name);
    assert_eq!(of("model.layers.7.self_attn.q_proj.weight"), rows(language, 0, 4096));
    assert_eq!(of("model.layers.7.self_attn.k_proj.weight"), rows(language, 4096, 5120));
    assert_eq!(of("model.layers.7.self_attn.v_proj.weight"), rows(language, 5120, 6144));
    assert_eq!(
        of("model.layers.7.self_attn.o_proj.weight"),
        tensor("model.layers.7.self_attn.language_expert_dense.weight")
    );
    assert_eq!(of("model.layers.7.mlp.up_proj.weight"), tensor("model.layers.7.mlp.language_mlp.up_proj.weight"));
    let same = [
        "model.embed_tokens.weight",
        "lm_head.weight",
        "model.norm.weight",
        "model.layers.7.input_layernorm.weight",
        "model.vision.boi",
        "model.vision.conv.bias",
        "model.vision.patch_embedding.cls_embedding",
        "model.vision.linear_proj.dense_h_to_4h.weight",
        "model.vision.transformer.layers.62.mlp.fc1.bias",
    ];
    same.iter().for_each(|name| assert_eq!(of(name), tensor(name)));
    let block = "model.vision.transformer.layers.62";
    assert_eq!(
        of(&format!("{block}.self_attn.v_proj.bias")),
        rows(&format!("{block}.attention.query_key_value.bias"), 3584, 5376)
    );
    assert_eq!(of(&format!("{block}.layer_norm2.bias")), tensor(&format!("{block}.post_attention_layernorm.bias")));
    assert_eq!(of(&format!("{block}.self_attn.out_proj.weight")), tensor(&format!("{block}.attention.dense.weight")));
    let visual = |name: &str| names::published(&image, &format!("model.layers.3.experts.1.{name}"));
    assert_eq!(
        visual("self_attn.k_proj.bias"),
        rows("model.layers.3.self_attn.vision_expert_query_key_value.bias", 4096, 5120)
    );
    assert_eq!(visual("mlp.down_proj.weight"), tensor("model.layers.3.mlp.vision_mlp.down_proj.weight"));
}
