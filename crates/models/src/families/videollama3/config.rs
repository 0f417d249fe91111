//! The numbers of a checkpoint, from either published layout's JSON files.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::contract::model_info::GenerationDefaults;
use crate::error::ModelResult;
use crate::layers::DecoderConfig;
use crate::processing::{DecoderDefaults, decoder_config, generation_defaults, token_ids};

/// Largest merge side: frames are padded to multiples of it, so that it decides their size.
pub(super) const MAX_MERGE: usize = 32;

/// The family's name.
pub(super) const NAME: &str = "videollama3";

/// Which code base's conventions the checkpoint was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Convention {
    /// The code shipped with the DAMO-NLP-SG checkpoints.
    Original,
    /// transformers' `video_llama_3`.
    Transformers,
}

/// Vision encoder with 2D-RoPE.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VisionConfig {
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
    /// Color channels.
    pub channels: usize,
    /// LayerNorm epsilon.
    pub eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
}

impl VisionConfig {
    /// Width of a head.
    pub(super) fn head_dim(&self) -> usize {
        self.hidden / self.heads
    }

    /// Values of one patch.
    pub(super) fn patch_values(&self) -> usize {
        self.channels * self.patch * self.patch
    }
}

/// Pixels a picture or frame may have after the resize, in the transformers convention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PixelRange {
    /// Least pixels.
    pub min: usize,
    /// Most pixels (of a whole video: divided by its frames).
    pub max: usize,
}

/// Processor settings of both conventions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ProcessorConfig {
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
    /// Frames per second.
    pub fps: f64,
    /// Least frames of a video (transformers convention).
    pub min_frames: usize,
    /// Most frames of a video.
    pub max_frames: usize,
    /// Mean and standard deviation of each channel, in units of full scale.
    pub mean: [f32; 3],
    /// See `mean`.
    pub std: [f32; 3],
    /// Factor from gray levels to full scale, 1/255.
    pub rescale: f64,
    /// Whether DiffFP prunes videos.
    pub prune: bool,
}

/// Everything a checkpoint's JSON files say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// Decoder.
    pub language: DecoderConfig,
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
    /// Published sampling defaults.
    pub generation: GenerationDefaults,
}

impl Config {
    /// Whether `config.json` is of this family.
    pub(super) fn matches(config: &Value) -> bool {
        matches!(config["model_type"].as_str(), Some("video_llama_3" | "videollama3_qwen2"))
    }

    /// Reads the JSON files of a checkpoint.
    ///
    /// # Errors
    /// [`ModelError::File`](crate::error::ModelError::File) when one is missing or does not fit.
    pub(super) fn load(checkpoint: &Checkpoint) -> ModelResult<Self> {
        let config = checkpoint.config()?;
        let generation = checkpoint.json("generation_config.json")?.unwrap_or(Value::Null);
        let convention = match config["model_type"].as_str() {
            Some("videollama3_qwen2") => Convention::Original,
            _ => Convention::Transformers,
        };
        let (text, vision) = match convention {
            Convention::Original => (&config, &config["vision_encoder_config"]),
            Convention::Transformers => (&config["text_config"], &config["vision_config"]),
        };
        let wrong = |what: String| checkpoint.error("config.json", what);
        let defaults = DecoderDefaults { rope_theta: 1e6, max_positions: 32_768, qkv_bias: true };
        let mut language = decoder_config(text, defaults).map_err(|error| wrong(format!("language part: {error}")))?;
        language.tied |= config["tie_word_embeddings"].as_bool().unwrap_or(false);
        let vision = self::vision(vision).map_err(|error| wrong(format!("vision part: {error}")))?;
        let processor = processor(checkpoint, convention, &config)?;
        let image_token = token(&config, &["image_token_index", "image_token_id"])
            .unwrap_or(if convention == Convention::Original { 151_665 } else { 151_655 });
        let video_token = match convention {
            Convention::Original => image_token,
            Convention::Transformers => token(&config, &["video_token_id"]).unwrap_or(151_656),
        };
        let stop = [&generation["eos_token_id"], &text["eos_token_id"], &config["eos_token_id"]]
            .into_iter()
            .map(token_ids)
            .find(|ids| !ids.is_empty())
            .unwrap_or_default();
        let generation = generation_defaults(&generation);
        let config = Config { language, vision, processor, image_token, video_token, stop, generation };
        config.check().map_err(wrong)?;
        Ok(config)
    }

    /// Sizes that the forward pass divides by.
    fn check(&self) -> Result<(), String> {
        let v = &self.vision;
        if v.heads == 0 || !v.hidden.is_multiple_of(v.heads) || !v.head_dim().is_multiple_of(4) {
            return Err(format!("vision width {} over {} heads is no multiple of 4", v.hidden, v.heads));
        }
        if v.patch == 0 || v.channels != 3 {
            return Err(format!("patches of {} pixels and {} channels", v.patch, v.channels));
        }
        let p = &self.processor;
        if p.image_merge == 0 || p.video_merge == 0 || p.max_frames == 0 || p.fps <= 0.0 {
            let text = "merge sizes, frames and frames per second must be positive";
            return Err(text.to_string());
        }
        let merge = p.image_merge.max(p.video_merge);
        if merge > MAX_MERGE {
            return Err(format!("merge size {merge} is more than the limit of {MAX_MERGE}"));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct RawVision {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    #[serde(deserialize_with = "square")]
    patch_size: usize,
    #[serde(default = "three")]
    num_channels: usize,
    #[serde(default = "small")]
    layer_norm_eps: f64,
    rope_parameters: Option<RawRope>,
}

#[derive(Deserialize)]
struct RawRope {
    rope_theta: Option<f64>,
}

/// A side, or the two equal sides of a square.
fn square<'de, D: Deserializer<'de>>(input: D) -> Result<usize, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Sides {
        One(usize),
        Two([usize; 2]),
    }
    match Sides::deserialize(input)? {
        Sides::One(side) => Ok(side),
        Sides::Two([height, width]) if height == width => Ok(height),
        Sides::Two(sides) => Err(D::Error::custom(format!("{sides:?} is no square"))),
    }
}

fn small() -> f64 {
    1e-6
}

fn three() -> usize {
    3
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
fn processor(checkpoint: &Checkpoint, convention: Convention, config: &Value) -> ModelResult<ProcessorConfig> {
    let read = |name: &str| -> ModelResult<Value> { Ok(checkpoint.json(name)?.unwrap_or(Value::Null)) };
    let whole = read("processor_config.json")?;
    let flat_image = read("preprocessor_config.json")?;
    let flat_video = read("video_preprocessor_config.json")?;
    let missing = match convention {
        Convention::Original => [(&flat_image, "preprocessor_config.json"), (&whole, "processor_config.json")],
        Convention::Transformers => [
            (if whole.is_null() { &flat_image } else { &whole }, "preprocessor_config.json or processor_config.json"),
            (
                if whole["video_processor"].is_object() { &whole } else { &flat_video },
                "video_preprocessor_config.json or processor_config.json",
            ),
        ],
    };
    // Trainers do not save them. The values of the published checkpoints are the best guess.
    for (_, name) in missing.iter().filter(|(value, _)| value.is_null()) {
        let folder = checkpoint.path("");
        tracing::warn!(
            "{}: no {name}; sizes and frames are those of the published models, which may not be what this one was \
             trained with. Copy the file from the model that it was made of",
            folder.display()
        );
    }
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
