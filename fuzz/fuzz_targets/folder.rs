//! The embedded model's folder with one of its files replaced by other bytes.

use std::path::PathBuf;

/// The small files of the embedded model.
const FILES: [(&str, &[u8]); 5] = [
    ("config.json", include_bytes!("../../assets/models/zoetrope-nano/config.json")),
    ("chat_template.jinja", include_bytes!("../../assets/models/zoetrope-nano/chat_template.jinja")),
    ("processor_config.json", include_bytes!("../../assets/models/zoetrope-nano/processor_config.json")),
    ("tokenizer.json", include_bytes!("../../assets/models/zoetrope-nano/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../../assets/models/zoetrope-nano/tokenizer_config.json")),
];

/// A folder of this process in which `name` is `data`; its other files are written once.
pub fn with(name: &str, data: &[u8]) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("zoetrope-fuzz-{}", std::process::id()));
    if !folder.exists() {
        std::fs::create_dir(&folder).expect("a folder in the temporary folder");
        for (name, bytes) in FILES {
            std::fs::write(folder.join(name), bytes).expect("a small file");
        }
    }
    std::fs::write(folder.join(name), data).expect("the file");
    folder
}
