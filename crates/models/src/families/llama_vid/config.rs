//! The numbers of a checkpoint. `config.json` says those of the decoder; vision encoder and Q-Former are always
//! EVA-ViT-G and BERT-base, unless `vision_config` and `qformer_config` say otherwise, which no published file does.

use serde::Deserialize;
use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::contract::model_info::GenerationDefaults;
use crate::error::{ModelError, ModelResult};
use crate::layers::{DecoderConfig, QFormerConfig};
use crate::processing::{DecoderDefaults, decoder_config, generation_defaults, token_ids};

/// The family's name.
pub(super) const NAME: &str = "llama_vid";

/// The class that published checkpoints name. Their `model_type`, `llava`, is that of other models too.
const ARCHITECTURE: &str = "LlavaLlamaAttForCausalLM";

/// Most patches on a side of a picture: 448 pixels are 32 of them.
const MAX_GRID: usize = 64;

/// EVA-ViT-G.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VisionConfig {
    /// Width E.
    pub hidden: usize,
    /// Blocks that run. The file of EVA-CLIP has 40, of which the last is not used.
    pub layers: usize,
    /// Heads.
    pub heads: usize,
    /// Width inside the MLP.
    pub intermediate: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Side of a picture in pixels.
    pub image: usize,
    /// LayerNorm epsilon.
    pub eps: f64,
}

impl VisionConfig {
    /// Side of a picture in patches.
    pub(super) fn grid(&self) -> usize {
        self.image / self.patch
    }

    /// Feature rows of a frame: a class token, then its patches.
    pub(super) fn rows(&self) -> usize {
        1 + self.grid() * self.grid()
    }

    /// Values of a patch.
    pub(super) fn patch_values(&self) -> usize {
        3 * self.patch * self.patch
    }
}

/// How patches become content tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compress {
    /// `null`: every patch is a token.
    Nothing,
    /// `grid:k`: averages over squares, about `k x k` of them.
    Grid(usize),
    /// `mean`: one token, the mean of all patches.
    Mean,
}

/// The mean and the standard deviation that CLIP's pictures are normalized with, in units of full scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Normalization {
    /// Mean of each channel.
    pub mean: [f32; 3],
    /// Standard deviation of each channel.
    pub std: [f32; 3],
}

/// Everything that the JSON files say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// Decoder.
    pub language: DecoderConfig,
    /// Encoder.
    pub vision: VisionConfig,
    /// Q-Former.
    pub qformer: QFormerConfig,
    /// Its learned queries.
    pub queries: usize,
    /// Whether features are normalized before the Q-Former looks at them (`vlm_att_ln`).
    pub feature_norm: bool,
    /// How patches become content tokens.
    pub compress: Compress,
    /// Whether the checkpoint was trained on films: features and subtitles of hours.
    pub film: bool,
    /// Whether a still picture is padded to a square.
    pub pad: bool,
    /// How pixels are normalized.
    pub normalization: Normalization,
    /// Ids that end an answer.
    pub stop: Vec<u32>,
    /// Published sampling defaults.
    pub generation: GenerationDefaults,
}

impl Config {
    /// Whether `config.json` is of this family.
    pub(super) fn matches(config: &Value) -> bool {
        let named = config["architectures"].as_array().is_some_and(|all| all.iter().any(|one| one == ARCHITECTURE));
        named || config["bert_type"].is_string()
    }

    /// Reads the JSON files of a checkpoint.
    ///
    /// # Errors
    /// [`ModelError::File`] when one is missing or does not fit, [`ModelError::Unsupported`] for variants that nobody
    /// published.
    pub(super) fn load(checkpoint: &Checkpoint) -> ModelResult<Self> {
        let config = checkpoint.config()?;
        let generation = checkpoint.json("generation_config.json")?.unwrap_or(Value::Null);
        let preprocessor = checkpoint.json("preprocessor_config.json")?.unwrap_or(Value::Null);
        let wrong = |what: String| checkpoint.error("config.json", what);
        refuse_variants(&config)?;
        let vision = vision(&config, &preprocessor).map_err(wrong)?;
        let width = number(&config, "mm_hidden_size").map_err(wrong)?.unwrap_or(vision.hidden);
        if width != vision.hidden {
            return Err(wrong(format!("mm_hidden_size is {width}, the vision encoder is {} wide", vision.hidden)));
        }
        let bert = config["bert_type"].as_str().unwrap_or_default();
        let stop = [&generation["eos_token_id"], &config["eos_token_id"]].into_iter().map(token_ids);
        let compress_type = config["compress_type"].as_str();
        Ok(Config {
            language: language(&config).map_err(wrong)?,
            qformer: qformer(&config, bert, vision.hidden).map_err(wrong)?,
            vision,
            queries: number(&config, "num_query").map_err(wrong)?.filter(|queries| *queries > 0).unwrap_or(32),
            feature_norm: bert.contains("pretrain"),
            compress: compress(compress_type).map_err(wrong)?,
            film: compress_type.is_some_and(|word| word.contains("concat")),
            pad: config["image_aspect_ratio"].as_str() == Some("pad"),
            normalization: normalization(&preprocessor),
            stop: stop.into_iter().find(|ids| !ids.is_empty()).unwrap_or_default(),
            generation: generation_defaults(&generation),
        })
    }
}

/// What the reference's code has and no published checkpoint uses.
fn refuse_variants(config: &Value) -> ModelResult<()> {
    let bert = config["bert_type"].as_str().unwrap_or_default();
    let refused = |what: &str| Err(ModelError::Unsupported(what.to_string()));
    if !bert.contains("qformer") {
        return refused(&format!("bert_type {bert:?}; only text-guided Q-Formers (qformer_pretrain) are read"));
    }
    match config["mm_projector_type"].as_str() {
        Some("mlp2x_gelu") | None => {}
        Some(other) => return refused(&format!("mm_projector_type {other}; only mlp2x_gelu is read")),
    }
    match config["mm_vision_select_feature"].as_str() {
        Some("patch") | None => {}
        Some(other) => return refused(&format!("mm_vision_select_feature {other}; only patch is read")),
    }
    for key in ["mm_use_im_start_end", "mm_use_im_patch_token"] {
        if config[key].as_bool() == Some(true) {
            return refused(&format!("{key}; no published checkpoint has tokens around its pictures"));
        }
    }
    Ok(())
}

/// An integer that may be missing.
fn number(config: &Value, key: &str) -> Result<Option<usize>, String> {
    match &config[key] {
        Value::Null => Ok(None),
        value => match value.as_u64().and_then(|number| usize::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("{key} is {value}, not a whole number")),
        },
    }
}

/// `max_position_embeddings` are the positions of the base model. Linear scaling stretches them.
fn language(config: &Value) -> Result<DecoderConfig, String> {
    let defaults = DecoderDefaults { rope_theta: 1e4, max_positions: 4096, qkv_bias: false };
    let mut language = decoder_config(config, defaults)?;
    language.max_positions = (language.max_positions as f64 * language.rope_scaling.max(1.0)) as usize;
    Ok(language)
}

#[derive(Deserialize)]
struct RawVision {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    patch_size: usize,
}

fn vision(config: &Value, preprocessor: &Value) -> Result<VisionConfig, String> {
    let raw = match &config["vision_config"] {
        Value::Null => RawVision {
            hidden_size: 1408,
            num_hidden_layers: 39,
            num_attention_heads: 16,
            intermediate_size: 6144,
            patch_size: 14,
        },
        value => RawVision::deserialize(value).map_err(|error| format!("vision part: {error}"))?,
    };
    let vision = VisionConfig {
        hidden: raw.hidden_size,
        layers: raw.num_hidden_layers,
        heads: raw.num_attention_heads,
        intermediate: raw.intermediate_size,
        patch: raw.patch_size,
        image: image_side(config, preprocessor)?,
        eps: 1e-6,
    };
    let (e, h) = (vision.hidden, vision.heads);
    if e == 0 || h == 0 || !e.is_multiple_of(h) {
        return Err(format!("vision width {e} over {h} heads"));
    }
    if vision.patch == 0 || vision.grid() == 0 || vision.grid() > MAX_GRID {
        let (image, patch) = (vision.image, vision.patch);
        return Err(format!("pictures of {image} pixels in patches of {patch}; 1 to {MAX_GRID} may stand on a side"));
    }
    Ok(vision)
}

/// The side of a picture: what `preprocessor_config.json` says, else the end of the name of the published processor
/// (`clip-patch14-336`), else 224.
fn image_side(config: &Value, preprocessor: &Value) -> Result<usize, String> {
    let side = |value: &Value| value.as_u64().or_else(|| value["shortest_edge"].as_u64());
    if let Some(side) = side(&preprocessor["size"]).or_else(|| side(&config["vision_config"]["image_size"])) {
        return usize::try_from(side).map_err(|_| format!("pictures of {side} pixels"));
    }
    let name = config["image_processor"].as_str().unwrap_or_default().trim_end_matches('/');
    Ok(name.rsplit('-').next().and_then(|end| end.parse().ok()).unwrap_or(224))
}

#[derive(Deserialize)]
struct RawQFormer {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
}

/// BERT-base; `bert_type` may end in the number of layers that are kept (`...layer:6`).
fn qformer(config: &Value, bert: &str, width: usize) -> Result<QFormerConfig, String> {
    let mut qformer = QFormerConfig::bert_base(width);
    if !config["qformer_config"].is_null() {
        let raw =
            RawQFormer::deserialize(&config["qformer_config"]).map_err(|error| format!("Q-Former part: {error}"))?;
        qformer.hidden = raw.hidden_size;
        qformer.layers = raw.num_hidden_layers;
        qformer.heads = raw.num_attention_heads;
        qformer.intermediate = raw.intermediate_size;
        qformer.vocabulary = raw.vocab_size;
        qformer.positions = raw.max_position_embeddings;
    }
    if let Some(freq) = number(config, "cross_att_freq")? {
        qformer.cross_attention_freq = freq;
    }
    if bert.contains("layer") {
        let layers = bert.rsplit(':').next().and_then(|layers| layers.parse().ok());
        qformer.layers = layers.ok_or_else(|| format!("bert_type {bert:?} names no number of layers"))?;
    }
    qformer.check()?;
    Ok(qformer)
}

/// The reference looks for words in the name, `grid` first.
fn compress(name: Option<&str>) -> Result<Compress, String> {
    match name {
        None => Ok(Compress::Nothing),
        Some(name) if name.contains("grid") => {
            let side = name.rsplit("grid:").next().and_then(|side| side.parse().ok());
            let wrong = || format!("compress_type {name:?} names no grid of 2 or more");
            side.filter(|side| (2..=MAX_GRID).contains(side)).map(Compress::Grid).ok_or_else(wrong)
        }
        Some(name) if name.contains("mean") => Ok(Compress::Mean),
        // The reference ignores other words.
        Some(_) => Ok(Compress::Nothing),
    }
}

/// CLIP's, where the checkpoint's folder says nothing else.
fn normalization(preprocessor: &Value) -> Normalization {
    let triple = |key: &str, default: [f64; 3]| {
        let one = |channel: usize| preprocessor[key][channel].as_f64().unwrap_or(default[channel]) as f32;
        [one(0), one(1), one(2)]
    };
    Normalization {
        mean: triple("image_mean", [0.481_454_66, 0.457_827_5, 0.408_210_73]),
        std: triple("image_std", [0.268_629_54, 0.261_302_58, 0.275_777_11]),
    }
}
