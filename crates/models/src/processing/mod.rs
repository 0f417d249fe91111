//! What processors of several families share: views of frames, which frames, prompts, the JSON of checkpoints.

mod frame_sampling;
mod gguf_names;
mod hf_config;
mod pixel_arithmetic;
mod placements;
mod prompt_builder;
mod question_words;
mod shares;
mod templated;
mod views;

pub use frame_sampling::{every_nth, first_to_last, frames_at_rate, linspace, window_starts};
pub use gguf_names::GgufNames;
pub use hf_config::{DecoderDefaults, decoder_config, generation_defaults, token_ids};
pub use pixel_arithmetic::{PixelArithmetic, unit_gray_levels};
pub use placements::{check_spans, in_order};
pub use prompt_builder::PromptBuilder;
pub use question_words::question_words;
pub use shares::{BudgetShare, plan_in_shares};
pub use templated::TemplatedPrompt;
pub use views::{Resample, view_image, view_images, write_view_patches};
