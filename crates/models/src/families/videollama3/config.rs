//! The numbers of a checkpoint, from either published layout's JSON files.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::contract::SamplingDefaults;
use crate::error::ModelError;

/// Which code base's conventions the checkpoint was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// The code shipped with the DAMO-NLP-SG checkpoints.
    Original,
    /// transformers' `video_llama_3`.
    Transformers,
}

/// Qwen2 decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct LanguageConfig {
    /// Width D.
    pub hidden: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Width inside the MLP.
    pub intermediate: usize,
    /// Vocabulary rows.
    pub vocabulary: usize,
    /// RMSNorm epsilon.
    pub eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Positions the checkpoint was made for.
    pub max_positions: usize,
    /// Whether the output matrix is the embedding matrix.
    pub tied: bool,
}

/// Vision encoder with 2D-RoPE.
#[derive(Clone, Debug, PartialEq)]
pub struct VisionConfig {
    /// Width.
    pub hidden: usize,
    /// Encoder layers.
    pub layers: usize,
    /// Heads.
    pub heads: usize,
    /// Width inside the MLP.
    pub intermediate: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Colour channels.
    pub channels: usize,
    /// LayerNorm epsilon.
    pub eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
}

impl VisionConfig {
    /// Width of a head.
    pub fn head_dim(&self) -> usize {
        self.hidden / self.heads
    }

    /// Values of one patch.
    pub fn patch_values(&self) -> usize {
        self.channels * self.patch * self.patch
    }
}

/// Pixels a picture or frame may have after the resize, in the transformers convention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelRange {
    /// Least pixels.
    pub min: usize,
    /// Most pixels (of a whole video: divided by its frames).
    pub max: usize,
}

/// Processor settings of both conventions.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessorConfig {
    /// Whose rules apply.
    pub convention: Convention,
    /// Original: least tokens of an item.
    pub min_tokens: usize,
    /// Original: most tokens of a request.
    pub max_tokens: usize,
    /// Transformers: limits of a picture.
    pub image_pixels: PixelRange,
    /// Transformers: limits of a video.
    pub video_pixels: PixelRange,
    /// Merge side of pictures.
    pub image_merge: usize,
    /// Merge side of videos.
    pub video_merge: usize,
    /// Frames a second.
    pub fps: f64,
    /// Least frames of a video (transformers convention).
    pub min_frames: usize,
    /// Most frames of a video.
    pub max_frames: usize,
    /// Mean and standard deviation of each channel, in units of full scale.
    pub mean: [f32; 3],
    /// See `mean`.
    pub std: [f32; 3],
    /// Factor from grey levels to full scale, 1/255.
    pub rescale: f64,
    /// Whether DiffFP prunes videos.
    pub prune: bool,
}

/// Everything a checkpoint's JSON files say.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Decoder.
    pub language: LanguageConfig,
    /// Encoder.
    pub vision: VisionConfig,
    /// Processor.
    pub processor: ProcessorConfig,
    /// Id of the placeholder of one visual token of a picture.
    pub image_token: u32,
    /// Id of the placeholder of one visual token of a video (the same in the original).
    pub video_token: u32,
    /// Ids that end an answer.
    pub stop: Vec<u32>,
    /// Published sampling settings.
    pub sampling: SamplingDefaults,
}

impl Config {
    /// Whether `config.json` (already parsed) is of this family.
    pub fn claims(config: &Value) -> bool {
        matches!(config["model_type"].as_str(), Some("video_llama_3" | "videollama3_qwen2"))
    }

    /// Reads the JSON files of a checkpoint folder.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let config = read_json(folder, "config.json")?.ok_or_else(|| missing(folder, "config.json"))?;
        let generation = read_json(folder, "generation_config.json")?.unwrap_or(Value::Null);
        let convention = match config["model_type"].as_str() {
            Some("videollama3_qwen2") => Convention::Original,
            _ => Convention::Transformers,
        };
        let (text, vision) = match convention {
            Convention::Original => (&config, &config["vision_encoder_config"]),
            Convention::Transformers => (&config["text_config"], &config["vision_config"]),
        };
        let read = |what: &str, value: &Value| ModelError::File {
            file: folder.join("config.json"),
            what: format!("{what}: {value}"),
        };
        let mut language = language(text).map_err(|e| read("language part", &Value::String(e)))?;
        language.tied |= config["tie_word_embeddings"].as_bool().unwrap_or(false);
        let vision = self::vision(vision).map_err(|e| read("vision part", &Value::String(e)))?;
        let processor = processor(folder, convention, &config)?;
        let image_token = token(&config, &["image_token_index", "image_token_id"])
            .unwrap_or(if convention == Convention::Original { 151_665 } else { 151_655 });
        let video_token = match convention {
            Convention::Original => image_token,
            Convention::Transformers => token(&config, &["video_token_id"]).unwrap_or(151_656),
        };
        let stop = [&generation["eos_token_id"], &text["eos_token_id"], &config["eos_token_id"]]
            .into_iter()
            .map(ids)
            .find(|ids| !ids.is_empty())
            .unwrap_or_default();
        let config =
            Config { language, vision, processor, image_token, video_token, stop, sampling: sampling(&generation) };
        config.check().map_err(|what| ModelError::File { file: folder.join("config.json"), what })?;
        Ok(config)
    }

    /// Sizes that the forward pass divides by.
    fn check(&self) -> Result<(), String> {
        let (l, v) = (&self.language, &self.vision);
        if l.heads == 0 || l.kv_heads == 0 || l.heads % l.kv_heads != 0 || !l.head_dim.is_multiple_of(2) {
            return Err(format!("{} heads of {} over {} key heads do not fit", l.heads, l.head_dim, l.kv_heads));
        }
        if v.heads == 0 || v.hidden % v.heads != 0 || !v.head_dim().is_multiple_of(4) {
            return Err(format!("vision width {} over {} heads is no multiple of 4", v.hidden, v.heads));
        }
        if v.patch == 0 || v.channels != 3 {
            return Err(format!("patches of {} pixels and {} channels", v.patch, v.channels));
        }
        let p = &self.processor;
        if p.image_merge == 0 || p.video_merge == 0 || p.max_frames == 0 || p.fps <= 0.0 {
            let text = "merge sizes, frames and frames a second must be positive";
            return Err(text.to_string());
        }
        Ok(())
    }
}

fn missing(folder: &Path, name: &str) -> ModelError {
    ModelError::File { file: folder.join(name), what: "missing from the model folder".to_string() }
}

fn read_json(folder: &Path, name: &str) -> Result<Option<Value>, ModelError> {
    let file = folder.join(name);
    match std::fs::read(&file) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| ModelError::File { file, what: format!("not valid JSON: {error}") }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ModelError::File { file, what: error.to_string() }),
    }
}

#[derive(Deserialize)]
struct RawLanguage {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    intermediate_size: usize,
    vocab_size: usize,
    #[serde(default = "small")]
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_parameters: Option<RawRope>,
    rope_scaling: Option<Value>,
    #[serde(default = "positions")]
    max_position_embeddings: usize,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    use_sliding_window: bool,
}

#[derive(Deserialize)]
struct RawRope {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

#[derive(Deserialize)]
struct RawVision {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    patch_size: usize,
    #[serde(default = "three")]
    num_channels: usize,
    #[serde(default = "small")]
    layer_norm_eps: f64,
    rope_parameters: Option<RawRope>,
}

fn small() -> f64 {
    1e-6
}

fn positions() -> usize {
    32_768
}

fn three() -> usize {
    3
}

fn language(value: &Value) -> Result<LanguageConfig, String> {
    let raw = RawLanguage::deserialize(value).map_err(|error| error.to_string())?;
    if raw.use_sliding_window || raw.rope_scaling.as_ref().is_some_and(|v| !v.is_null()) {
        return Err("sliding windows and rope scaling are not supported".to_string());
    }
    let kind = raw.rope_parameters.as_ref().and_then(|r| r.rope_type.as_deref());
    if let Some(kind) = kind.filter(|kind| *kind != "default") {
        return Err(format!("rope type {kind} is not supported"));
    }
    if raw.num_attention_heads == 0 {
        return Err("num_attention_heads is 0".to_string());
    }
    Ok(LanguageConfig {
        hidden: raw.hidden_size,
        layers: raw.num_hidden_layers,
        heads: raw.num_attention_heads,
        kv_heads: raw.num_key_value_heads.unwrap_or(raw.num_attention_heads),
        head_dim: raw.head_dim.unwrap_or(raw.hidden_size / raw.num_attention_heads),
        intermediate: raw.intermediate_size,
        vocabulary: raw.vocab_size,
        eps: raw.rms_norm_eps,
        rope_theta: raw.rope_parameters.and_then(|r| r.rope_theta).or(raw.rope_theta).unwrap_or(1e6),
        max_positions: raw.max_position_embeddings,
        tied: raw.tie_word_embeddings,
    })
}

fn vision(value: &Value) -> Result<VisionConfig, String> {
    let raw = RawVision::deserialize(value).map_err(|error| error.to_string())?;
    Ok(VisionConfig {
        hidden: raw.hidden_size,
        layers: raw.num_hidden_layers,
        heads: raw.num_attention_heads,
        intermediate: raw.intermediate_size,
        patch: raw.patch_size,
        channels: raw.num_channels,
        eps: raw.layer_norm_eps,
        rope_theta: raw.rope_parameters.and_then(|r| r.rope_theta).unwrap_or(1e4),
    })
}

/// Settings from `processor_config.json` (nested or flat), `preprocessor_config.json`,
/// `video_preprocessor_config.json`.
fn processor(folder: &Path, convention: Convention, config: &Value) -> Result<ProcessorConfig, ModelError> {
    let whole = read_json(folder, "processor_config.json")?.unwrap_or(Value::Null);
    let flat_image = read_json(folder, "preprocessor_config.json")?.unwrap_or(Value::Null);
    let flat_video = read_json(folder, "video_preprocessor_config.json")?.unwrap_or(Value::Null);
    let (image, video) = match convention {
        Convention::Original => (&flat_image, &whole),
        Convention::Transformers => (
            if whole["image_processor"].is_object() { &whole["image_processor"] } else { &flat_image },
            if whole["video_processor"].is_object() { &whole["video_processor"] } else { &flat_video },
        ),
    };
    let number = |value: &Value, key: &str| value[key].as_u64().map(|n| n as usize);
    let triple = |key: &str| -> [f32; 3] {
        let one = |i: usize| image[key][i].as_f64().unwrap_or(0.5) as f32;
        [one(0), one(1), one(2)]
    };
    let original = convention == Convention::Original;
    let prune = if original { &config["use_token_compression"] } else { &video["use_token_compression"] };
    Ok(ProcessorConfig {
        convention,
        min_tokens: number(image, "min_tokens").unwrap_or(16),
        max_tokens: number(image, "max_tokens").unwrap_or(16_384),
        image_pixels: pixels(image, PixelRange { min: 3_136, max: 1_003_520 }),
        video_pixels: pixels(video, PixelRange { min: 100_352, max: 602_112 }),
        image_merge: number(
            if original { video } else { image },
            if original { "image_merge_size" } else { "merge_size" },
        )
        .unwrap_or(1),
        video_merge: number(video, if original { "video_merge_size" } else { "merge_size" }).unwrap_or(2),
        fps: video["fps"].as_f64().unwrap_or(1.0),
        min_frames: number(video, "min_frames").unwrap_or(4),
        max_frames: number(video, "max_frames").unwrap_or(180),
        mean: triple("image_mean"),
        std: triple("image_std"),
        rescale: image["rescale_factor"].as_f64().unwrap_or(1.0 / 255.0),
        prune: prune.as_bool().unwrap_or(true),
    })
}

/// `min_pixels`/`max_pixels` of old files override `size`; both mean areas.
fn pixels(value: &Value, default: PixelRange) -> PixelRange {
    let number = |v: &Value| v.as_u64().map(|n| n as usize);
    let min = number(&value["min_pixels"]).or(number(&value["size"]["shortest_edge"]));
    let max = number(&value["max_pixels"]).or(number(&value["size"]["longest_edge"]));
    PixelRange { min: min.unwrap_or(default.min), max: max.unwrap_or(default.max) }
}

fn token(config: &Value, keys: &[&str]) -> Option<u32> {
    keys.iter().find_map(|key| config[*key].as_u64()).and_then(|id| u32::try_from(id).ok())
}

fn ids(value: &Value) -> Vec<u32> {
    let one = |v: &Value| v.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Value::Array(items) => items.iter().filter_map(one).collect(),
        other => one(other).into_iter().collect(),
    }
}

fn sampling(generation: &Value) -> SamplingDefaults {
    SamplingDefaults {
        do_sample: generation["do_sample"].as_bool(),
        temperature: generation["temperature"].as_f64(),
        top_p: generation["top_p"].as_f64(),
        top_k: generation["top_k"].as_u64().map(|n| n as usize),
        repetition_penalty: generation["repetition_penalty"].as_f64(),
    }
}
