//! The model inside the binary: its files are laid out in a folder of their own while it loads, then removed.

use std::path::Path;

use tempfile::TempDir;

use crate::failure::Failure;

/// The files of `assets/models/zoetrope-nano`.
const FILES: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("../../../assets/models/zoetrope-nano/config.json")),
    ("generation_config.json", include_bytes!("../../../assets/models/zoetrope-nano/generation_config.json")),
    ("processor_config.json", include_bytes!("../../../assets/models/zoetrope-nano/processor_config.json")),
    ("tokenizer.json", include_bytes!("../../../assets/models/zoetrope-nano/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../../../assets/models/zoetrope-nano/tokenizer_config.json")),
    ("chat_template.jinja", include_bytes!("../../../assets/models/zoetrope-nano/chat_template.jinja")),
    ("model.safetensors", include_bytes!("../../../assets/models/zoetrope-nano/model.safetensors")),
];

/// A folder with the embedded model's files; it goes with the returned value. Loading copies the weights out of it.
pub(crate) fn unpack() -> Result<TempDir, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("zoetrope-")
        .tempdir()
        .map_err(|error| Failure::file(Path::new("the folder for temporary files"), &error))?;
    for (name, bytes) in FILES {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).map_err(|error| Failure::file(&file, &error))?;
    }
    Ok(folder)
}
