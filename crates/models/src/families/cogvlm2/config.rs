//! The numbers of a checkpoint, from its JSON files.

use serde::Deserialize;
use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::contract::model_info::GenerationDefaults;
use crate::error::ModelResult;
use crate::layers::DecoderConfig;
use crate::processing::{DecoderDefaults, decoder_config, generation_defaults, token_ids};

/// The family's name.
pub(super) const NAME: &str = "cogvlm2";

/// What `architectures` of `config.json` says; these checkpoints have no `model_type`.
pub(super) const ARCHITECTURES: [&str; 2] = [VIDEO, IMAGE];
const VIDEO: &str = "CogVLMVideoForCausalLM";
const IMAGE: &str = "CogVLMForCausalLM";

/// Most frames of a video: what the video checkpoints were trained with. More make answers worse.
const MOST_FRAMES: usize = 24;

/// What a checkpoint's folder, or the name in its configuration, has when it is the base model: the files of the chat
/// and the base checkpoint are the same, and the authors' programs tell them apart by name, too.
const BASE_NAME: &str = "cogvlm2-video-llama3-base";

/// What the checkpoint was made for. Decides the experts and the arithmetic of the resize.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MadeFor {
    /// Videos of up to 24 frames; no experts.
    Videos,
    /// One picture; visual tokens have weights of their own.
    Pictures,
}

/// How a conversation is written: the authors' three templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Template {
    /// `Question: {question} Answer:`; the frames of a video are numbered.
    Chat,
    /// The question itself.
    Base,
    /// `Question: {question} Short answer:`.
    Vqa,
}

impl Template {
    /// Names of all, as [`Template::named`] takes them.
    pub(super) const NAMES: &[&str] = &["chat", "base", "vqa"];

    /// The template called `name`.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Template::Chat, Template::Base, Template::Vqa].into_iter().find(|template| template.name() == name)
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Template::Chat => "chat",
            Template::Base => "base",
            Template::Vqa => "vqa",
        }
    }

    /// What stands before and after a question.
    pub(super) fn around_question(self) -> (&'static str, &'static str) {
        match self {
            Template::Chat => ("Question: ", " Answer:"),
            Template::Base => ("", ""),
            Template::Vqa => ("Question: ", " Short answer:"),
        }
    }
}

/// Which frames of a video are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampling {
    /// One a second from the first frame on.
    Seconds,
    /// Spread over the first 60 seconds.
    Uniform,
    /// Spread over the whole video.
    Whole,
}

impl Sampling {
    /// Names of all, as [`Sampling::named`] takes them.
    pub(super) const NAMES: &[&str] = &["seconds", "uniform", "whole"];

    /// The sampling called `name`.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Sampling::Seconds, Sampling::Uniform, Sampling::Whole].into_iter().find(|sampling| sampling.name() == name)
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Sampling::Seconds => "seconds",
            Sampling::Uniform => "uniform",
            Sampling::Whole => "whole",
        }
    }
}

/// EVA2-CLIP-E.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VisionConfig {
    /// Width.
    pub hidden: usize,
    /// Blocks.
    pub layers: usize,
    /// Heads.
    pub heads: usize,
    /// Width inside the MLP.
    pub intermediate: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Side of the picture in pixels.
    pub side: usize,
    /// LayerNorm epsilon.
    pub eps: f64,
}

impl VisionConfig {
    /// Patches on a side; even.
    pub(super) fn grid(&self) -> usize {
        self.side / self.patch
    }

    /// Feature rows of a picture: one for each square of 2 x 2 patches.
    pub(super) fn features(&self) -> usize {
        (self.grid() / 2).pow(2)
    }

    /// Visual tokens of a picture: its features between the marks of its begin and end.
    pub(super) fn tokens(&self) -> usize {
        self.features() + 2
    }

    /// Values of a patch.
    pub(super) fn patch_values(&self) -> usize {
        3 * self.patch * self.patch
    }
}

/// Everything a checkpoint's JSON files say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// What the checkpoint was made for.
    pub made_for: MadeFor,
    /// Decoder.
    pub language: DecoderConfig,
    /// Encoder.
    pub vision: VisionConfig,
    /// Template where the caller names none.
    pub template: Template,
    /// Most frames of a video.
    pub max_frames: usize,
    /// The token that begins every sequence.
    pub bos: u32,
    /// Tokens that end a reply; the first is the one that training writes.
    pub stop: Vec<u32>,
    /// Published sampling defaults.
    pub generation: GenerationDefaults,
}

impl Config {
    /// Whether `config.json` is of this family.
    pub(super) fn matches(config: &Value) -> bool {
        made_for(config).is_some()
    }

    /// Reads `config.json` and `generation_config.json`.
    ///
    /// # Errors
    /// [`ModelError::File`](crate::error::ModelError::File) when one is missing or does not fit.
    pub(super) fn load(checkpoint: &Checkpoint) -> ModelResult<Self> {
        let config = checkpoint.config()?;
        let generation = checkpoint.json("generation_config.json")?.unwrap_or(Value::Null);
        let named_base = {
            let folder = checkpoint.path("");
            let named = config["_name_or_path"].as_str().is_some_and(|name| name.contains(BASE_NAME));
            named || folder.to_string_lossy().contains(BASE_NAME)
        };
        Self::from_json(&config, &generation, named_base).map_err(|what| checkpoint.error("config.json", what))
    }

    /// How videos are sampled where the caller says nothing.
    pub(super) fn sampling(&self) -> Sampling {
        match (self.made_for, self.template) {
            (MadeFor::Pictures, _) => Sampling::Whole,
            (MadeFor::Videos, Template::Base) => Sampling::Uniform,
            (MadeFor::Videos, _) => Sampling::Seconds,
        }
    }

    /// The configuration of these two files.
    pub(super) fn from_json(config: &Value, generation: &Value, named_base: bool) -> Result<Self, String> {
        let Some(made_for) = made_for(config) else {
            return Err(format!("architectures has none of {}", ARCHITECTURES.join(", ")));
        };
        let vision = vision(&config["vision_config"]).map_err(|error| format!("vision part: {error}"))?;
        let language = language(config, made_for).map_err(|error| format!("language part: {error}"))?;
        let template = match (made_for, config["template_version"].as_str()) {
            // All video checkpoints say "base"; the authors' programs do not read it.
            (MadeFor::Videos, _) => {
                if named_base {
                    Template::Base
                } else {
                    Template::Chat
                }
            }
            (MadeFor::Pictures, None) => Template::Chat,
            (MadeFor::Pictures, Some(name)) => {
                Template::named(name).ok_or_else(|| format!("template_version {name:?} is not supported"))?
            }
        };
        let max_frames = (language.max_positions / vision.tokens()).clamp(1, MOST_FRAMES);
        let bos = config["bos_token_id"].as_u64().and_then(|id| u32::try_from(id).ok()).unwrap_or(128_000);
        let stop = [&generation["eos_token_id"], &config["eos_token_id"]].map(token_ids);
        let stop = stop.into_iter().find(|ids| !ids.is_empty()).unwrap_or_else(|| vec![128_001]);
        let mut generation = generation_defaults(generation);
        if made_for == MadeFor::Videos {
            // The authors' video programs take the likeliest token, whatever the file says of the temperature.
            generation.top_k = generation.top_k.or(Some(1));
        }
        Ok(Config { made_for, language, vision, template, max_frames, bos, stop, generation })
    }
}

fn made_for(config: &Value) -> Option<MadeFor> {
    let names = |wanted: &str| config["architectures"].as_array()?.iter().find(|name| *name == wanted);
    match (names(VIDEO), names(IMAGE)) {
        (Some(_), _) => Some(MadeFor::Videos),
        (None, Some(_)) => Some(MadeFor::Pictures),
        (None, None) => None,
    }
}

#[derive(Deserialize)]
struct RawVision {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_heads: usize,
    intermediate_size: usize,
    num_positions: usize,
    patch_size: usize,
    image_size: usize,
    in_channels: usize,
    layer_norm_eps: f64,
    hidden_act: String,
}

fn vision(value: &Value) -> Result<VisionConfig, String> {
    let raw = RawVision::deserialize(value).map_err(|error| error.to_string())?;
    let c = VisionConfig {
        hidden: raw.hidden_size,
        layers: raw.num_hidden_layers,
        heads: raw.num_heads,
        intermediate: raw.intermediate_size,
        patch: raw.patch_size,
        side: raw.image_size,
        eps: raw.layer_norm_eps,
    };
    if raw.hidden_act != "gelu" {
        return Err(format!("activation {} is not supported", raw.hidden_act));
    }
    if c.heads == 0 || !c.hidden.is_multiple_of(c.heads) {
        return Err(format!("width {} over {} heads", c.hidden, c.heads));
    }
    if c.patch == 0 || !c.side.is_multiple_of(c.patch) || c.side == 0 || c.side > MOST_SIDE || raw.in_channels != 3 {
        let text = format!("{} channels of {} pixels in patches of {}", raw.in_channels, c.side, c.patch);
        return Err(text);
    }
    let grid = c.grid();
    if !grid.is_multiple_of(2) {
        return Err(format!("{grid} patches on a side are no pairs; CogVLM of the first generation is not supported"));
    }
    if raw.num_positions != grid * grid + 1 {
        return Err(format!(
            "num_positions is {}, {grid} x {grid} patches need {}",
            raw.num_positions,
            grid * grid + 1
        ));
    }
    Ok(c)
}

/// Largest side of a picture in pixels; published are 224 and 1344.
const MOST_SIDE: usize = 8192;

/// A Llama-3 decoder. `config.json` says less than other families' do; the rest is fixed in the authors' code.
fn language(config: &Value, made_for: MadeFor) -> Result<DecoderConfig, String> {
    let mut value = config.clone();
    let Some(fields) = value.as_object_mut() else { return Err("is no object".to_string()) };
    let key_heads = fields.get("num_multi_query_heads").cloned().unwrap_or_else(|| 8.into());
    fields.insert("num_key_value_heads".to_string(), key_heads);
    fields.entry("rms_norm_eps").or_insert_with(|| 1e-5.into());
    if let Some(activation) = fields.get("hidden_act").filter(|activation| *activation != "silu") {
        return Err(format!("activation {activation} is not supported"));
    }
    let defaults = DecoderDefaults { rope_theta: 500_000.0, max_positions: 8192, qkv_bias: false };
    let mut language = decoder_config(&value, defaults)?;
    if language.heads * language.head_dim != language.hidden {
        return Err(format!("{} heads of {} are not the width {}", language.heads, language.head_dim, language.hidden));
    }
    if made_for == MadeFor::Pictures {
        (language.experts, language.expert_qkv_bias) = (2, true);
    }
    Ok(language)
}
