//! Byte-level BPE of tokenizers written in Python: `vocab.json`, and `merges.txt` with the merges by rank.

use serde_json::{Value, json};

/// What GPT-2 splits at before it merges; and what Qwen2 splits at: each digit on its own, line ends together.
const QWEN2_SPLIT: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The `tokenizer.json` that a `vocab.json` and the text of a `merges.txt` amount to, with the rules of the class that
/// `rules` (`tokenizer_config.json`) names: Qwen2's or else GPT-2's.
pub(super) fn tokenizer_json(tokens: &Value, merges: &str, rules: &Value) -> Value {
    let is_qwen2 = rules["tokenizer_class"].as_str().is_some_and(|class| class.starts_with("Qwen2"));
    let prefix = rules["add_prefix_space"].as_bool().unwrap_or(false);
    let byte_level = |use_regex: bool| {
        json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": false,
        "use_regex": use_regex})
    };
    let split = json!({"type": "Split", "pattern": {"Regex": QWEN2_SPLIT}, "behavior": "Isolated", "invert": false});
    let (normalizer, pre_tokenizer) = match is_qwen2 {
        true => (json!({"type": "NFC"}), json!({"type": "Sequence", "pretokenizers": [split, byte_level(false)]})),
        false => (Value::Null, byte_level(true)),
    };
    // The first line may be a comment with the version of the format.
    let comment = usize::from(merges.starts_with("#version"));
    let merges: Vec<&str> = merges.lines().skip(comment).filter(|line| !line.is_empty()).collect();
    json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "decoder": byte_level(true),
        "model": {"type": "BPE", "vocab": tokens, "merges": merges},
    })
}
