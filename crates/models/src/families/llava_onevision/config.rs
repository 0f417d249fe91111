//! The numbers of a checkpoint, from either published layout's JSON files.

use serde::Deserialize;
use serde_json::Value;

use super::pinpoints;
use crate::checkpoint::Checkpoint;
use crate::contract::model_info::GenerationDefaults;
use crate::error::ModelResult;
use crate::layers::DecoderConfig;
use crate::processing::{DecoderDefaults, PixelArithmetic, decoder_config, generation_defaults, token_ids};

/// The family's name.
pub(super) const NAME: &str = "llava_onevision";

/// Frames of a video where no file says how many: what the benchmarks of the paper use.
const FRAMES: usize = 32;

/// Most patches on a side of a view. The published encoder has 27.
const MAX_SIDE: usize = 128;

/// Which code base's conventions the checkpoint was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Convention {
    /// The authors' code (lmms-lab checkpoints).
    Original,
    /// transformers' `llava_onevision` (llava-hf checkpoints).
    Transformers,
}

/// SigLIP.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VisionConfig {
    /// Width.
    pub hidden: usize,
    /// Encoder layers that are used; what lies above them is not read.
    pub layers: usize,
    /// Heads.
    pub heads: usize,
    /// Width inside the MLP.
    pub intermediate: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Side of a view in pixels. Pixels beyond the last whole patch are not seen.
    pub image: usize,
    /// LayerNorm epsilon.
    pub eps: f64,
}

impl VisionConfig {
    /// Patches on a side of a view.
    pub(super) fn side(&self) -> usize {
        self.image / self.patch
    }

    /// Patches of a view.
    pub(super) fn patches(&self) -> usize {
        self.side() * self.side()
    }

    /// Side of what a view's tokens are pooled to in a video.
    pub(super) fn pooled(&self) -> usize {
        self.side().div_ceil(2)
    }

    /// Values of one patch.
    pub(super) fn patch_values(&self) -> usize {
        3 * self.patch * self.patch
    }
}

/// How the only picture of a conversation is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aspect {
    /// Squashed, and in tiles.
    AnyRes,
    /// In the middle of a square.
    Pad,
}

/// Where a video's newline tokens are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Newline {
    /// One at its end (`one_token`).
    End,
    /// One at the end of each row of each frame (`grid`).
    Row,
    /// One at the end of each frame (`frame`).
    Frame,
    /// None (`no_token`).
    Nowhere,
}

/// How pixels become numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PixelConfig {
    /// Whose rounding.
    pub arithmetic: PixelArithmetic,
    /// Mean and standard deviation of each channel, in units of full scale.
    pub mean: [f32; 3],
    /// See `mean`.
    pub std: [f32; 3],
    /// Factor from gray levels to full scale, 1/255.
    pub rescale: f64,
}

/// Everything a checkpoint's JSON files say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// Whose rules apply.
    pub convention: Convention,
    /// Decoder.
    pub language: DecoderConfig,
    /// Encoder.
    pub vision: VisionConfig,
    /// Whether the projector's layers have biases.
    pub projector_bias: bool,
    /// How a picture alone is shown.
    pub aspect: Aspect,
    /// Sizes (width, height) that tiles make, in the reference's order.
    pub pinpoints: Vec<(u32, u32)>,
    /// A picture's tokens are scaled down to about this many views' where they are more.
    pub max_tiles: Option<usize>,
    /// Newlines of videos.
    pub newline: Newline,
    /// Pixels of pictures.
    pub picture: PixelConfig,
    /// Pixels of videos.
    pub video: PixelConfig,
    /// Most frames of a video.
    pub frames: usize,
    /// Frames per second that the checkpoint's processor samples, when it says.
    pub fps: Option<f64>,
    /// What the chat template writes for a picture and for a video.
    pub placeholders: [String; 2],
    /// Ids that end an answer.
    pub stop: Vec<u32>,
    /// Published sampling defaults.
    pub generation: GenerationDefaults,
}

impl Config {
    /// Whether `config.json` is of this family. `llava` is the `model_type` of others as well; of those only the
    /// original has a Qwen2 decoder and `mm_` keys.
    pub(super) fn matches(config: &Value) -> bool {
        let qwen = config["architectures"][0].as_str().is_some_and(|name| name.starts_with("LlavaQwen"));
        match config["model_type"].as_str() {
            Some("llava_onevision") => true,
            Some("llava" | "llava_qwen") => qwen && config["mm_vision_tower"].is_string(),
            _ => false,
        }
    }

    /// Reads the JSON files of a checkpoint.
    ///
    /// # Errors
    /// [`ModelError::File`](crate::error::ModelError::File) when one is missing or does not fit.
    pub(super) fn load(checkpoint: &Checkpoint) -> ModelResult<Self> {
        let config = checkpoint.config()?;
        let generation = checkpoint.json("generation_config.json")?.unwrap_or(Value::Null);
        let convention = match config["model_type"].as_str() {
            Some("llava_onevision") => Convention::Transformers,
            _ => Convention::Original,
        };
        let wrong = |what: String| checkpoint.error("config.json", what);
        let text = if convention == Convention::Original { &config } else { &config["text_config"] };
        let defaults = DecoderDefaults { rope_theta: 1e6, max_positions: 32_768, qkv_bias: true };
        let mut language = decoder_config(text, defaults).map_err(|error| wrong(format!("language part: {error}")))?;
        language.tied |= config["tie_word_embeddings"].as_bool().unwrap_or(false);
        let vision = vision(convention, &config).map_err(|error| wrong(format!("vision part: {error}")))?;
        check_projector(convention, &config).map_err(wrong)?;
        let (aspect, max_tiles) = aspect(convention, &config).map_err(wrong)?;
        let files = ProcessorFiles::read(checkpoint, convention)?;
        let listed = [&config["image_grid_pinpoints"], &files.image["image_grid_pinpoints"]];
        let listed = listed.into_iter().find(|value| !value.is_null());
        let pinpoints = pinpoints::read(listed, vision.image, convention == Convention::Transformers).map_err(wrong)?;
        files.check_size(checkpoint, vision.image)?;
        let stop = [&generation["eos_token_id"], &text["eos_token_id"], &config["eos_token_id"]]
            .into_iter()
            .map(token_ids)
            .find(|ids| !ids.is_empty())
            .unwrap_or_default();
        Ok(Config {
            projector_bias: config["multimodal_projector_bias"].as_bool().unwrap_or(true),
            newline: newline(convention, &config).map_err(wrong)?,
            picture: files.pixels(&files.image, convention, false),
            video: files.pixels(&files.video, convention, true),
            frames: files.video["num_frames"].as_u64().filter(|n| *n > 0).map_or(FRAMES, |n| n as usize),
            fps: files.video["fps"].as_f64().filter(|fps| *fps > 0.0),
            placeholders: files.placeholders,
            generation: generation_defaults(&generation),
            convention,
            language,
            vision,
            aspect,
            pinpoints,
            max_tiles,
            stop,
        })
    }
}

#[derive(Deserialize)]
struct RawVision {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    patch_size: usize,
    image_size: usize,
    #[serde(default = "small")]
    layer_norm_eps: f64,
    #[serde(default = "three")]
    num_channels: usize,
}

fn small() -> f64 {
    1e-6
}

fn three() -> usize {
    3
}

/// SigLIP so400m, patch 14, 384 pixels: the original's configuration has its name only.
const SO400M: &str = "siglip-so400m-patch14-384";

fn vision(convention: Convention, config: &Value) -> Result<VisionConfig, String> {
    let tower = config["mm_vision_tower"].as_str().unwrap_or_default();
    let raw = match (convention, &config["vision_config"]) {
        (Convention::Original, Value::Null) if tower.ends_with(SO400M) => RawVision {
            hidden_size: 1152,
            num_hidden_layers: 27,
            num_attention_heads: 16,
            intermediate_size: 4304,
            patch_size: 14,
            image_size: 384,
            layer_norm_eps: small(),
            num_channels: three(),
        },
        (Convention::Original, Value::Null) => return Err(format!("mm_vision_tower {tower:?} is not supported")),
        (_, value) => RawVision::deserialize(value).map_err(|error| error.to_string())?,
    };
    let (select, default) = match convention {
        Convention::Original => ("mm_vision_select_layer", -2),
        Convention::Transformers => ("vision_feature_layer", -1),
    };
    let layer = match &config[select] {
        Value::Null => default,
        value => value.as_i64().ok_or_else(|| format!("{select} {value} is not supported, only one layer is"))?,
    };
    // Number 0 is what the first layer is given, -1 what the last one gives.
    let all = raw.num_hidden_layers as i64;
    let layers = if layer < 0 { all.saturating_add(layer).saturating_add(1) } else { layer };
    if !(0..=all).contains(&layers) {
        return Err(format!("{select} is {layer}, of {all} layers"));
    }
    let v = VisionConfig {
        hidden: raw.hidden_size,
        layers: layers as usize,
        heads: raw.num_attention_heads,
        intermediate: raw.intermediate_size,
        patch: raw.patch_size,
        image: raw.image_size,
        eps: raw.layer_norm_eps,
    };
    if v.heads == 0 || !v.hidden.is_multiple_of(v.heads) {
        return Err(format!("width {} over {} heads", v.hidden, v.heads));
    }
    if v.patch == 0 || raw.num_channels != 3 || !(1..=MAX_SIDE).contains(&v.side()) {
        let (patch, image, channels) = (v.patch, v.image, raw.num_channels);
        return Err(format!("patches of {patch} pixels and {channels} channels in views of {image} pixels"));
    }
    Ok(v)
}

/// Refuses what is not built: other projectors and other selections of features.
fn check_projector(convention: Convention, config: &Value) -> Result<(), String> {
    let only = |key: &str, allowed: &[&str]| match config[key].as_str() {
        Some(value) if !allowed.contains(&value) => {
            Err(format!("{key} {value} is not supported, only {} is", allowed.join(" or ")))
        }
        _ => Ok(()),
    };
    match convention {
        Convention::Transformers => {
            only("projector_hidden_act", &["gelu"])?;
            only("vision_feature_select_strategy", &["full"])
        }
        Convention::Original => {
            only("mm_projector_type", &["mlp2x_gelu"])?;
            only("mm_spatial_pool_mode", &["bilinear"])?;
            only("mm_resampler_type", &["spatial_pool"])?;
            if config["add_faster_video"].as_bool() == Some(true) {
                return Err("add_faster_video is not supported".to_string());
            }
            match config["mm_patch_merge_type"].as_str() {
                Some("spatial_unpad") => Ok(()),
                other => Err(format!("mm_patch_merge_type {other:?} is not supported, only spatial_unpad is")),
            }
        }
    }
}

/// How a picture alone is shown, and of how many tiles it has tokens at most.
fn aspect(convention: Convention, config: &Value) -> Result<(Aspect, Option<usize>), String> {
    let key = match convention {
        Convention::Original => "image_aspect_ratio",
        Convention::Transformers => "vision_aspect_ratio",
    };
    let value = config[key].as_str().unwrap_or("anyres_max_9");
    let max = value.strip_prefix("anyres_max_").and_then(|number| number.parse().ok());
    match (value, max, convention) {
        (_, Some(max @ 1..=4096), _) => Ok((Aspect::AnyRes, Some(max))),
        ("anyres", _, Convention::Original) => Ok((Aspect::AnyRes, None)),
        ("pad", _, Convention::Original) => Ok((Aspect::Pad, None)),
        _ => Err(format!("{key} {value} is not supported")),
    }
}

fn newline(convention: Convention, config: &Value) -> Result<Newline, String> {
    match (convention, config["mm_newline_position"].as_str()) {
        (Convention::Transformers, _) | (_, None | Some("one_token")) => Ok(Newline::End),
        (_, Some("grid")) => Ok(Newline::Row),
        (_, Some("frame")) => Ok(Newline::Frame),
        (_, Some("no_token")) => Ok(Newline::Nowhere),
        (_, Some(other)) => Err(format!("mm_newline_position {other} is not supported")),
    }
}

/// The image and video parts of the processor's files; null where there are none.
struct ProcessorFiles {
    image: Value,
    video: Value,
    placeholders: [String; 2],
}

impl ProcessorFiles {
    /// From `processor_config.json`, or `preprocessor_config.json` and `video_preprocessor_config.json`. The original
    /// has none of them.
    fn read(checkpoint: &Checkpoint, convention: Convention) -> ModelResult<Self> {
        let read = |name: &str| -> ModelResult<Value> { Ok(checkpoint.json(name)?.unwrap_or(Value::Null)) };
        let mut whole = read("processor_config.json")?;
        let [mut image, mut video] = ["image_processor", "video_processor"].map(|key| whole[key].take());
        if image.is_null() {
            image = read("preprocessor_config.json")?;
        }
        if video.is_null() {
            video = read("video_preprocessor_config.json")?;
        }
        if image.is_null() && convention == Convention::Transformers {
            // Trainers do not save it. The values of the published checkpoints are the best guess.
            tracing::warn!(
                "{}: no preprocessor_config.json or processor_config.json; pixels are normalized as those of the \
                 published models, which may not be what this one was trained with",
                checkpoint.path("").display()
            );
        }
        let placeholders = [("image_token", "<image>"), ("video_token", "<video>")]
            .map(|(key, usual)| whole[key].as_str().filter(|text| !text.is_empty()).unwrap_or(usual).to_string());
        Ok(ProcessorFiles { image, video, placeholders })
    }

    /// Views have the size that the encoder takes.
    fn check_size(&self, checkpoint: &Checkpoint, side: usize) -> ModelResult<()> {
        for (name, part) in [("pictures", &self.image), ("videos", &self.video)] {
            for key in ["height", "width", "shortest_edge"] {
                if let Some(given) = part["size"][key].as_u64().filter(|given| *given != side as u64) {
                    let text = format!("{name} are resized to {given} pixels, the encoder takes {side}");
                    return Err(checkpoint.error("preprocessor_config.json", text));
                }
            }
        }
        Ok(())
    }

    /// What the part `own` says of pixels; a video's part may leave it to the picture's.
    fn pixels(&self, own: &Value, convention: Convention, video: bool) -> PixelConfig {
        let of = |key: &str| if own[key].is_null() { &self.image[key] } else { &own[key] };
        let triple = |key: &str| [0, 1, 2].map(|i| of(key)[i].as_f64().unwrap_or(0.5) as f32);
        let pillow = own["image_processor_type"].as_str().is_some_and(|name| name.ends_with("Pil"));
        PixelConfig {
            arithmetic: match convention {
                Convention::Original => PixelArithmetic::OldPillow,
                Convention::Transformers if pillow && !video => PixelArithmetic::Pillow,
                Convention::Transformers => PixelArithmetic::Torchvision,
            },
            mean: triple("image_mean"),
            std: triple("image_std"),
            rescale: of("rescale_factor").as_f64().filter(|factor| *factor > 0.0).unwrap_or(1.0 / 255.0),
        }
    }
}
