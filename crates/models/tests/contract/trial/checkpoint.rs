//! The files of a toy checkpoint, without weights.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use zoetrope_models::checkpoint::Checkpoint;

const CONFIG: &str = r#"{
  "model_type": "trial",
  "vision_config": {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "patch_size": 4, "grid": 4, "max_frames": 8, "layer_norm_eps": 1e-6
  },
  "queries": 3,
  "lora": {"r": 2, "alpha": 4},
  "text_config": {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 40, "vocab_size": 272, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "rope_scaling": {"type": "linear", "factor": 4.0}, "max_position_embeddings": 2048,
    "tie_word_embeddings": true, "experts": 2
  }
}"#;

static TOKENIZER: LazyLock<String> = LazyLock::new(|| tokenizer().to_string());
static FILES: LazyLock<[(&str, &[u8]); 2]> =
    LazyLock::new(|| [("config.json", CONFIG.as_bytes()), ("tokenizer.json", TOKENIZER.as_bytes())]);

/// Configuration and tokenizer.
pub(crate) fn checkpoint() -> Checkpoint {
    Checkpoint::Embedded { name: "trial", files: &*FILES }
}

/// A `tokenizer.json` of all bytes, a few merges and the special tokens of the templates.
fn tokenizer() -> Value {
    let bytes = byte_characters();
    let mut vocabulary = Map::new();
    let merged = ["##", "###", "ĊĊ"].map(str::to_string);
    for (id, entry) in bytes.iter().map(|character| character.to_string()).chain(merged).enumerate() {
        vocabulary.insert(entry, json!(id));
    }
    let special = |(number, content): (usize, &str)| {
        let id = vocabulary.len() + number;
        json!({
            "id": id, "content": content, "special": true, "normalized": false,
            "single_word": false, "lstrip": false, "rstrip": false
        })
    };
    let added: Vec<Value> = ["<s>", "</s>", "<|media|>", "<|/media|>"].into_iter().enumerate().map(special).collect();
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": added, "pre_tokenizer": byte_level, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": vocabulary, "merges": [["#", "#"], ["##", "#"], ["Ċ", "Ċ"]]
        }
    })
}

/// The character that stands for each byte in byte-level vocabularies (GPT-2): printable bytes stand for themselves.
fn byte_characters() -> Vec<char> {
    let printable = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut others = 256..;
    let code = |byte: u8| if printable(byte) { u32::from(byte) } else { others.next().unwrap() };
    (0..=255).map(code).map(|code| char::from_u32(code).unwrap()).collect()
}
