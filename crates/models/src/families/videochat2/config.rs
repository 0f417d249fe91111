//! The numbers of a checkpoint: its `config.json`, or what the names of its files imply.

use serde_json::{Value, json};

use super::stages::{self, NAME};
use crate::checkpoint::Checkpoint;
use crate::contract::model_info::GenerationDefaults;
use crate::error::ModelResult;
use crate::layers::{DecoderConfig, QFormerConfig};
use crate::processing::{DecoderDefaults, decoder_config, generation_defaults};

/// Most tiles of a picture: each is a whole clip to the encoder.
pub(super) const MAX_TILES: usize = 64;

/// Largest side of the encoder's grid of patches.
const MAX_GRID: usize = 64;

/// Frames of evaluation, where training had 8.
const FRAMES: usize = 16;

/// The language model, which decides prompt and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LanguageModel {
    /// Vicuna-7B-v0.
    Vicuna,
    /// Mistral-7B-Instruct-v0.2.
    Mistral,
    /// Phi-3-mini.
    Phi3,
}

impl LanguageModel {
    /// The first of these that a text names; `None` when it names none.
    fn named(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        let names = [
            ("mistral", LanguageModel::Mistral),
            ("phi", LanguageModel::Phi3),
            ("vicuna", LanguageModel::Vicuna),
            ("llama", LanguageModel::Vicuna),
        ];
        names.iter().find(|(name, _)| text.contains(name)).map(|(_, model)| *model)
    }

    /// What a stage's tensors and projector are called by.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            LanguageModel::Vicuna => "llama",
            LanguageModel::Mistral => "mistral",
            LanguageModel::Phi3 => "phi",
        }
    }

    /// Sizes of the published language model, for folders that hold none of its files.
    fn published(self) -> Value {
        match self {
            LanguageModel::Vicuna => json!({
                "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "intermediate_size": 11_008,
                "vocab_size": 32_000, "rms_norm_eps": 1e-6, "max_position_embeddings": 2048
            }),
            LanguageModel::Mistral => json!({
                "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
                "intermediate_size": 14_336, "vocab_size": 32_000, "rms_norm_eps": 1e-5, "rope_theta": 1e6,
                "max_position_embeddings": 32_768
            }),
            LanguageModel::Phi3 => json!({
                "hidden_size": 3072, "num_hidden_layers": 32, "num_attention_heads": 32, "intermediate_size": 8192,
                "vocab_size": 32_064, "rms_norm_eps": 1e-5, "max_position_embeddings": 4096
            }),
        }
    }
}

/// UMT: a ViT over all patches of all frames.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VisionConfig {
    /// Width.
    pub hidden: usize,
    /// Blocks that are executed.
    pub layers: usize,
    /// Heads.
    pub heads: usize,
    /// Side of a picture in pixels.
    pub side: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Frames that the position table was made for.
    pub table_frames: usize,
}

impl VisionConfig {
    /// Patches on a side of a picture.
    pub(super) fn grid(&self) -> usize {
        self.side / self.patch
    }

    /// Values of one patch.
    pub(super) fn patch_values(&self) -> usize {
        3 * self.patch * self.patch
    }
}

/// How a checkpoint of high resolution (HD) cuts pictures into tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TileConfig {
    /// Most tiles.
    pub most: usize,
    /// Whether the whole picture follows them.
    pub whole: bool,
}

/// Everything that a checkpoint says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// Which language model.
    pub model: LanguageModel,
    /// Its sizes.
    pub language: DecoderConfig,
    /// Encoder.
    pub vision: VisionConfig,
    /// Q-Former.
    pub qformer: QFormerConfig,
    /// Queries of the first stage.
    pub queries: usize,
    /// Queries of the later stages.
    pub extra_queries: usize,
    /// Longest instruction of the Q-Former in tokens.
    pub instruction: usize,
    /// Frames of a video.
    pub frames: usize,
    /// Tiles, in HD checkpoints.
    pub tiles: Option<TileConfig>,
    /// `alpha / r` of the low-rank parts.
    pub lora_scale: f32,
    /// Published sampling defaults.
    pub generation: GenerationDefaults,
}

impl Config {
    /// Whether `config.json` is of this family: by its type, or by the name of the class that it was made for.
    pub(super) fn matches(config: &Value) -> bool {
        let plain = |value: &Value| value.as_str().map(|text| text.to_lowercase()).unwrap_or_default();
        plain(&config["model_type"]) == NAME
            || plain(&model_part(config)["model_cls"]).starts_with(NAME)
            || plain(&config["architectures"][0]).starts_with(NAME)
    }

    /// Visual tokens of a unit.
    pub(super) fn tokens(&self) -> usize {
        self.queries + self.extra_queries
    }

    /// Reads the configuration of a checkpoint.
    ///
    /// # Errors
    /// [`ModelError::File`](crate::error::ModelError::File) when it is missing or does not fit.
    pub(super) fn load(checkpoint: &Checkpoint) -> ModelResult<Self> {
        let config = match checkpoint.json("config.json")?.filter(Self::matches) {
            Some(config) => config,
            None => match stages::implied(checkpoint)? {
                Some(implied) => implied.config,
                None => checkpoint.config()?,
            },
        };
        let generation = checkpoint.json("generation_config.json")?.unwrap_or(Value::Null);
        Self::parse(&config, &generation).map_err(|what| checkpoint.error("config.json", what))
    }

    /// The configuration in JSON; an error is a sentence about it.
    fn parse(config: &Value, generation: &Value) -> Result<Self, String> {
        let own = model_part(config);
        let number = |value: &Value, name: &str, default: usize| match &value[name] {
            Value::Null => Ok(default),
            given => given.as_u64().map(|n| n as usize).ok_or_else(|| format!("{name} is {given}")),
        };
        if own["qformer_text_input"].as_bool() == Some(false) {
            return Err("qformer_text_input is false: a Q-Former that hears no instruction is not built".to_string());
        }
        if own["dynamic_config"]["padding"].as_bool() == Some(true) {
            return Err("dynamic_config.padding is true: tiles with bars are not built".to_string());
        }
        let model = language_model(config)?;
        let theirs = &own["vision_encoder"];
        let vision = vision(theirs)?;
        let tiles = match &own["dynamic_config"] {
            Value::Object(_) => Some(TileConfig {
                most: number(&own["dynamic_config"], "hd_num", 6)?,
                whole: own["dynamic_config"]["add_global"].as_bool().unwrap_or(true),
            }),
            _ => None,
        };
        let config = Config {
            model,
            language: language(config, model)?,
            qformer: qformer(&own["qformer"], vision.hidden)?,
            vision,
            queries: number(own, "num_query_token", 32)?,
            extra_queries: number(own, "extra_num_query_token", 64)?,
            instruction: number(own, "max_txt_len", 512)?,
            frames: FRAMES,
            tiles,
            lora_scale: {
                let (rank, alpha) = (number(own, "lora_r", 16)?, number(own, "lora_alpha", 32)?);
                alpha as f32 / rank.max(1) as f32
            },
            generation: generation_defaults(generation),
        };
        config.check()?;
        Ok(config)
    }

    /// Sizes that are divided by or that memory is taken for.
    fn check(&self) -> Result<(), String> {
        let v = &self.vision;
        if v.heads == 0 || !v.hidden.is_multiple_of(2 * v.heads) || v.layers == 0 {
            return Err(format!("vision width {} over {} heads in {} layers", v.hidden, v.heads, v.layers));
        }
        if v.patch == 0 || !v.side.is_multiple_of(v.patch) || !(1..=MAX_GRID).contains(&v.grid()) {
            return Err(format!("pictures of {} pixels in patches of {}", v.side, v.patch));
        }
        if !(1..=1024).contains(&v.table_frames) || !(1..=4096).contains(&self.tokens()) {
            return Err(format!("a position table of {} frames, {} queries", v.table_frames, self.tokens()));
        }
        if self.tiles.is_some_and(|tiles| !(1..=MAX_TILES).contains(&tiles.most)) {
            return Err(format!("hd_num is not from 1 to {MAX_TILES}"));
        }
        self.qformer.check()
    }
}

/// The part that says what the model is made of: files of the authors' code call it `model`, those on the hub
/// `model_config`.
fn model_part(config: &Value) -> &Value {
    ["model", "model_config"].iter().map(|name| &config[*name]).find(|part| part.is_object()).unwrap_or(config)
}

/// The language model by what a configuration names: its path, its class, its own type.
fn language_model(config: &Value) -> Result<LanguageModel, String> {
    let own = model_part(config);
    let paths = ["mistral_model_path", "phi_model_path", "llama_model_path"];
    let path = paths.iter().find(|name| own[**name].is_string()).copied();
    let llm = &own["llm"]["name"];
    let names = [path, own["model_cls"].as_str(), config["architectures"][0].as_str(), llm.as_str()];
    let types = [&config["llm_config"]["model_type"], &config["text_config"]["model_type"], &config["model_type"]];
    let all = names.into_iter().chain(types.map(Value::as_str)).flatten();
    // The class of the first release names no language model: it is Vicuna's.
    let first = own["model_cls"].as_str() == Some("VideoChat2_it");
    let found = all.clone().find_map(LanguageModel::named).or(first.then_some(LanguageModel::Vicuna));
    found.ok_or_else(|| {
        let all: Vec<&str> = all.collect();
        format!("none of {all:?} names a language model: mistral, phi or vicuna")
    })
}

fn language(config: &Value, model: LanguageModel) -> Result<DecoderConfig, String> {
    let parts = ["llm_config", "text_config"].map(|name| &config[name]);
    let given = parts.into_iter().chain([config]).find(|part| part["hidden_size"].is_number());
    let published = model.published();
    let defaults = DecoderDefaults { rope_theta: 1e4, max_positions: 2048, qkv_bias: false };
    decoder_config(given.unwrap_or(&published), defaults).map_err(|error| format!("language part: {error}"))
}

fn vision(theirs: &Value) -> Result<VisionConfig, String> {
    let number = |name: &str, default: u64| match &theirs[name] {
        Value::Null => Ok(default as usize),
        given => given.as_u64().map(|n| n as usize).ok_or_else(|| format!("vision_encoder.{name} is {given}")),
    };
    if number("tubelet_size", 1)? != 1 {
        return Err("vision_encoder.tubelet_size is not 1".to_string());
    }
    if [&theirs["vit_add_ln"], &theirs["with_ln"]] != [&Value::Null; 2]
        && (theirs["vit_add_ln"].as_bool() == Some(false) || theirs["with_ln"].as_bool() == Some(true))
    {
        return Err("vision_encoder has another final norm than vision_layernorm".to_string());
    }
    // -1 is all layers, -2 all but the last.
    let (depth, index) = (number("encoder_depth", 24)? as i64, theirs["return_index"].as_i64().unwrap_or(-2));
    let layers = usize::try_from(depth + index + 1).map_err(|_| format!("return_index {index} of {depth} layers"))?;
    Ok(VisionConfig {
        hidden: number("encoder_embed_dim", 1024)?,
        layers,
        heads: number("encoder_num_heads", 16)?,
        side: number("img_size", 224)?,
        patch: number("patch_size", 16)?,
        table_frames: number("ckpt_num_frame", 4)?,
    })
}

/// BERT-base, unless the configuration has a part of BERT's keys.
fn qformer(theirs: &Value, encoder_width: usize) -> Result<QFormerConfig, String> {
    let base = QFormerConfig::bert_base(encoder_width);
    let number = |name: &str, default: usize| match &theirs[name] {
        Value::Null => Ok(default),
        given => given.as_u64().map(|n| n as usize).ok_or_else(|| format!("qformer.{name} is {given}")),
    };
    Ok(QFormerConfig {
        hidden: number("hidden_size", base.hidden)?,
        layers: number("num_hidden_layers", base.layers)?,
        heads: number("num_attention_heads", base.heads)?,
        intermediate: number("intermediate_size", base.intermediate)?,
        vocabulary: number("vocab_size", base.vocabulary)?,
        positions: number("max_position_embeddings", base.positions)?,
        cross_attention_freq: number("cross_attention_freq", base.cross_attention_freq)?,
        ..base
    })
}
