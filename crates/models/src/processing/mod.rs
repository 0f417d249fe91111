//! What processors of several families share: views of frames, prompts, the JSON of checkpoints.

mod gguf_names;
mod hf_config;
mod placements;
mod prompt_builder;
mod views;

pub use gguf_names::GgufNames;
pub use hf_config::{DecoderDefaults, decoder_config, generation_defaults, token_ids};
pub use placements::in_order;
pub use prompt_builder::PromptBuilder;
pub use views::{Resample, view_image, write_view_patches};
