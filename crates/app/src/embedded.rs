//! The model inside the binary.

use zoetrope_models::checkpoint::Checkpoint;

macro_rules! nano {
    ($file:literal) => {
        ($file, include_bytes!(concat!("../../../assets/models/zoetrope-nano/", $file)))
    };
}

/// What the model is called.
pub(crate) const EMBEDDED_NAME: &str = "zoetrope-nano";

/// The files of `assets/models/zoetrope-nano`.
pub(crate) const EMBEDDED: Checkpoint = Checkpoint::Embedded {
    name: EMBEDDED_NAME,
    files: &[
        nano!("config.json"),
        nano!("generation_config.json"),
        nano!("processor_config.json"),
        nano!("tokenizer.json"),
        nano!("tokenizer_config.json"),
        nano!("chat_template.jinja"),
        nano!("model.safetensors"),
    ],
};
