//! Configurations of the published sizes, and what is not built.

use serde_json::json as value;

use super::super::config::{Aspect, Config, Newline};
use super::*;
use crate::processing::PixelArithmetic;

fn write(folder: &Path, name: &str, value: &Value) {
    std::fs::write(folder.join(name), value.to_string()).unwrap();
}

/// lmms-lab's `config.json` (0.5B; the others differ in the sizes of the decoder).
fn lmms_lab() -> Value {
    let pinpoints: Vec<[u32; 2]> = (1..=6).flat_map(|a| (1..=6).map(move |b| [384 * a, 384 * b])).collect();
    value!({
        "architectures": ["LlavaQwenForCausalLM"], "model_type": "llava", "hidden_size": 896, "num_hidden_layers": 24,
        "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864, "vocab_size": 151936,
        "tie_word_embeddings": true, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "max_position_embeddings": 32768,
        "use_sliding_window": false, "sliding_window": 32768, "eos_token_id": 151645, "rope_scaling": null,
        "image_aspect_ratio": "anyres_max_9", "mm_patch_merge_type": "spatial_unpad", "image_grid_pinpoints": pinpoints,
        "mm_hidden_size": 1152, "mm_projector_type": "mlp2x_gelu", "mm_vision_tower": "google/siglip-so400m-patch14-384",
        "mm_vision_select_layer": -2, "mm_vision_select_feature": "patch", "mm_spatial_pool_mode": "bilinear",
        "mm_newline_position": "one_token", "mm_resampler_type": null
    })
}

fn load(config: &Value) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.json", config);
    Config::load(&Checkpoint::from(folder.path())).map_err(|error| error.to_string())
}

#[test]
fn the_authors_configuration_is_read() {
    let c = load(&lmms_lab()).unwrap();
    let v = &c.vision;
    assert_eq!((v.hidden, v.layers, v.heads, v.intermediate, v.side()), (1152, 26, 16, 4304, 27));
    assert_eq!((c.aspect, c.max_tiles, c.newline, c.pinpoints.len()), (Aspect::AnyRes, Some(9), Newline::End, 36));
    assert_eq!((c.language.hidden, c.language.kv_heads, c.language.tied, &c.stop[..]), (896, 2, true, &[151_645][..]));
    assert_eq!((c.picture.arithmetic, c.picture.mean, c.frames), (PixelArithmetic::OldPillow, [0.5; 3], 32));
    // 7B and 72B.
    for (hidden, layers, heads, kv, intermediate) in [(3584, 28, 28, 4, 18_944), (8192, 80, 64, 8, 29_568)] {
        let mut config = lmms_lab();
        config["hidden_size"] = hidden.into();
        config["num_hidden_layers"] = layers.into();
        config["num_attention_heads"] = heads.into();
        config["num_key_value_heads"] = kv.into();
        config["intermediate_size"] = intermediate.into();
        config["vocab_size"] = 152_064.into();
        config["tie_word_embeddings"] = false.into();
        let c = load(&config).unwrap();
        assert_eq!((c.language.layers, c.language.head_dim, c.language.tied), (layers, 128, false));
    }
}

#[test]
fn what_is_missing_has_the_defaults_of_the_authors_code() {
    let mut config = lmms_lab();
    for key in ["mm_newline_position", "mm_spatial_pool_mode", "mm_vision_select_layer", "image_grid_pinpoints"] {
        config.as_object_mut().unwrap().remove(key);
    }
    assert_eq!(load(&config).unwrap(), load(&lmms_lab()).unwrap());
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    for (key, wrong, what) in [
        ("mm_vision_tower", value!("openai/clip-vit-large-patch14-336"), "clip-vit-large"),
        ("mm_projector_type", value!("linear"), "mm_projector_type linear"),
        ("mm_spatial_pool_mode", value!("average"), "mm_spatial_pool_mode average"),
        ("mm_patch_merge_type", value!("flat"), "mm_patch_merge_type"),
        ("mm_newline_position", value!("row"), "mm_newline_position row"),
        ("image_aspect_ratio", value!("crop_split"), "image_aspect_ratio crop_split"),
        ("image_aspect_ratio", value!("anyres_max_0"), "anyres_max_0"),
        ("add_faster_video", value!(true), "add_faster_video"),
        ("mm_vision_select_layer", value!(-29), "mm_vision_select_layer is -29, of 27 layers"),
        ("mm_vision_select_layer", value!([-2, -5]), "only one layer"),
        ("image_grid_pinpoints", value!([[384, 100]]), "384 x 100"),
        ("use_sliding_window", value!(true), "sliding windows"),
        ("rope_scaling", value!({"type": "yarn", "factor": 4.0}), "yarn"),
    ] {
        let mut config = lmms_lab();
        config[key] = wrong;
        let error = load(&config).unwrap_err();
        assert!(error.contains("config.json") && error.contains(what), "{key}: {error}");
    }
}

#[test]
fn configurations_of_other_families_are_left_alone() {
    assert!(Config::matches(&lmms_lab()));
    assert!(Config::matches(&value!({"model_type": "llava_onevision"})));
    for other in [
        value!({"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"]}),
        value!({"model_type": "llava", "architectures": ["LlavaLlamaAttForCausalLM"], "mm_vision_tower": "eva_vit_g"}),
        value!({"model_type": "llava_next"}),
        value!({"model_type": "qwen2"}),
        value!({}),
    ] {
        assert!(!Config::matches(&other), "{other}");
    }
}

/// llava-hf's files with the sizes of the decoder of 0.5B.
fn llava_hf() -> Value {
    let mut config = lmms_lab();
    let text = config.clone();
    config = value!({
        "model_type": "llava_onevision", "architectures": ["LlavaOnevisionForConditionalGeneration"],
        "image_token_index": 151_646, "video_token_index": 151_647, "projector_hidden_act": "gelu",
        "vision_feature_layer": -1, "vision_feature_select_strategy": "full", "vision_aspect_ratio": "anyres_max_9",
        "image_grid_pinpoints": config["image_grid_pinpoints"].take(), "use_image_newline_parameter": true,
        "tie_word_embeddings": false,
        "vision_config": {
            "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304,
            "num_attention_heads": 16, "num_hidden_layers": 26, "patch_size": 14, "image_size": 384,
            "vision_use_head": false
        }
    });
    config["text_config"] = text;
    config
}

#[test]
fn configurations_of_transformers_are_read_with_flat_or_nested_processors() {
    let pixels = value!({
        "image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.5, 0.5], "rescale_factor": 0.003_921_568_627_450_98,
        "size": {"height": 384, "width": 384}, "image_processor_type": "LlavaOnevisionImageProcessor"
    });
    let mut video = pixels.clone();
    video["num_frames"] = 24.into();
    video["image_mean"] = value!([0.1, 0.2, 0.3]);
    let of = |files: &[(&str, Value)]| {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "config.json", &llava_hf());
        files.iter().for_each(|(name, value)| write(folder.path(), name, value));
        Config::load(&Checkpoint::from(folder.path())).map_err(|error| error.to_string())
    };
    let flat = of(&[("preprocessor_config.json", pixels.clone()), ("video_preprocessor_config.json", video.clone())]);
    let nested = value!({"image_processor": pixels, "video_processor": video, "image_token": "<image>"});
    let (flat, nested) = (flat.unwrap(), of(&[("processor_config.json", nested)]).unwrap());
    assert_eq!(flat, nested);
    assert_eq!((flat.picture.mean, flat.video.mean, flat.frames), ([0.5, 0.4, 0.3], [0.1, 0.2, 0.3], 24));
    assert_eq!((flat.vision.layers, flat.language.tied, flat.pinpoints[1]), (26, true, (768, 384)));
    assert_eq!(flat.picture.arithmetic, PixelArithmetic::Torchvision);
    // A processor without a part for videos: that of pictures. One whose class says so resizes with Pillow.
    let mut pillow = pixels.clone();
    pillow["image_processor_type"] = "LlavaOnevisionImageProcessorPil".into();
    let one = of(&[("preprocessor_config.json", pillow)]).unwrap();
    assert_eq!((one.picture.arithmetic, one.video.arithmetic), (PixelArithmetic::Pillow, PixelArithmetic::Torchvision));
    assert_eq!(one.video.mean, [0.5, 0.4, 0.3]);
    let mut larger = pixels;
    larger["size"] = value!({"height": 448, "width": 448});
    let error = of(&[("preprocessor_config.json", larger)]).unwrap_err();
    assert!(error.ends_with("pictures are resized to 448 pixels, the encoder takes 384"), "{error}");
}

#[test]
fn layers_are_counted_from_the_selected_one() {
    let layers = |all: i64, select: i64| {
        let mut config = llava_hf();
        config["vision_config"]["num_hidden_layers"] = all.into();
        config["vision_feature_layer"] = select.into();
        load(&config).map(|c| c.vision.layers)
    };
    assert_eq!((layers(26, -1), layers(27, -2), layers(27, -1), layers(27, 25)), (Ok(26), Ok(26), Ok(27), Ok(25)));
    assert!(layers(26, 27).unwrap_err().contains("27, of 26 layers"));
    assert!(layers(26, i64::MIN).is_err());
}
