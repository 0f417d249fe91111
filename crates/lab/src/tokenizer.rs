//! Training of a small tokenizer in the manner of Qwen2: NFC, the Qwen2 split pattern with single digits, byte-level
//! BPE, special tokens at the end. The files it writes load in this project and in `transformers`.

use std::path::Path;

use serde_json::json;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, TokenizerBuilder};

/// Special tokens, in the order of their ids; the last one has the highest id.
pub const SPECIALS: [&str; 7] = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
];

/// How text is cut before pairs are merged (Qwen2).
const PATTERN: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// The chat template of the transformers port of VideoLLaMA3: no default system message, a line for every medium.
pub const CHAT_TEMPLATE: &str = concat!(
    "{%- for message in messages -%}",
    "{{- '<|im_start|>' + message['role'] + '\\n' -}}",
    "{%- if message['content'] is string -%}{{- message['content'] -}}",
    "{%- else -%}",
    "{%- for item in message['content'] -%}",
    "{%- if item['type'] == 'image' -%}{{- '<|image_pad|>\\n' -}}",
    "{%- elif item['type'] == 'video' -%}{{- '<|video_pad|>\\n' -}}",
    "{%- elif item['type'] == 'text' -%}{{- item['text'] -}}",
    "{%- endif -%}",
    "{%- endfor -%}",
    "{%- endif -%}",
    "{{- '<|im_end|>\\n' -}}",
    "{%- endfor -%}",
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
);

/// Why a tokenizer could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The wished number of tokens leaves no room for the 256 bytes and the special tokens.
    #[error("a vocabulary of {0} tokens is too small, it takes at least {1}")]
    Vocabulary(usize, usize),
    /// The library refused.
    #[error("tokenizer: {0}")]
    Library(String),
    /// A file could not be written.
    #[error("cannot write {0}: {1}")]
    Write(String, std::io::Error),
}

impl From<tokenizers::Error> for TrainError {
    fn from(error: tokenizers::Error) -> Self {
        TrainError::Library(error.to_string())
    }
}

/// `tokenizer.json` of at most `vocabulary` tokens (special ones included) learnt from `texts`; the same bytes for
/// the same texts. Ids: 256 bytes, merges from the most frequent on, special tokens.
pub fn train(texts: impl Iterator<Item = String> + Send, vocabulary: usize) -> Result<Vec<u8>, TrainError> {
    let least = 256 + SPECIALS.len();
    if vocabulary < least {
        return Err(TrainError::Vocabulary(vocabulary, least));
    }
    let split = Split::new(SplitPattern::Regex(PATTERN.to_string()), SplitDelimiterBehavior::Isolated, false)?;
    let bytes = ByteLevel::new(false, false, false);
    let mut tokenizer = TokenizerBuilder::<BPE, NFC, Sequence, ByteLevel, ByteLevel>::new()
        .with_model(BPE::default())
        .with_normalizer(Some(NFC))
        .with_pre_tokenizer(Some(Sequence::new(vec![split.into(), bytes.into()])))
        .with_post_processor(Some(bytes))
        .with_decoder(Some(bytes))
        .build()?;
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(vocabulary - SPECIALS.len())
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    tokenizer.train(&mut trainer, texts)?;
    let specials = SPECIALS.map(|text| AddedToken::from(text.to_string(), true));
    tokenizer.add_special_tokens(specials)?;
    Ok(tokenizer.to_string(true)?.into_bytes())
}

/// `tokenizer_config.json`: what `transformers` needs beside `tokenizer.json`, for at most `positions` tokens.
pub fn config(positions: usize) -> serde_json::Value {
    json!({
        "add_bos_token": false,
        "add_prefix_space": false,
        "additional_special_tokens": SPECIALS[1..],
        "bos_token": null,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": false,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": positions,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": false,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": null
    })
}

/// Writes `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja` into `folder`.
pub fn write(folder: &Path, tokenizer: &[u8], positions: usize) -> Result<(), TrainError> {
    let config = format!("{:#}\n", config(positions));
    let files: [(&str, &[u8]); 3] = [
        ("tokenizer.json", tokenizer),
        ("tokenizer_config.json", config.as_bytes()),
        ("chat_template.jinja", CHAT_TEMPLATE.as_bytes()),
    ];
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(|error| TrainError::Write(path.display().to_string(), error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::corpus;

    fn load(bytes: &[u8]) -> tokenizers::Tokenizer {
        tokenizers::Tokenizer::from_bytes(bytes).unwrap()
    }

    #[test]
    fn training_is_deterministic_and_fills_the_vocabulary() {
        let first = train(corpus(1, 300), 700).unwrap();
        assert_eq!(first, train(corpus(1, 300), 700).unwrap());
        let tokenizer = load(&first);
        assert_eq!(tokenizer.get_vocab_size(true), 700);
        for (offset, special) in SPECIALS.iter().enumerate() {
            assert_eq!(tokenizer.token_to_id(special), Some((700 - SPECIALS.len() + offset) as u32));
        }
    }

    #[test]
    fn any_text_comes_back() {
        let tokenizer = load(&train(corpus(1, 300), 700).unwrap());
        for text in
            ["What colour is the circle?", "Time 12.5s:", "Grüße, 東京 🦊\n\ttab", "  two  spaces ", "it's 2026"]
        {
            let ids = tokenizer.encode(text, false).unwrap();
            assert_eq!(tokenizer.decode(ids.get_ids(), false).unwrap(), text);
        }
        let digits = tokenizer.encode("2026", false).unwrap();
        assert_eq!(digits.get_ids().len(), 4);
    }

    #[test]
    fn drawn_words_are_short_in_tokens() {
        let tokenizer = load(&train(corpus(1, 2000), 900).unwrap());
        let count = |text: &str| tokenizer.encode(text, false).unwrap().get_ids().len();
        assert!(count("What colour is the circle?") <= 6);
        assert!(count("Which appears first, the red circle or the blue square?") <= 12);
        assert_eq!(count("circle"), 1);
        let outside = "The weather will probably change before the evening comes.";
        assert!(count(outside) * 2 <= outside.len(), "{} tokens for {} bytes", count(outside), outside.len());
    }

    #[test]
    fn special_tokens_are_one_id() {
        let tokenizer = load(&train(corpus(1, 100), 400).unwrap());
        let ids = tokenizer.encode("<|im_start|>user\n<|image_pad|>\n", false).unwrap();
        let id = |text: &str| tokenizer.token_to_id(text).unwrap();
        assert_eq!(ids.get_ids()[0], id("<|im_start|>"));
        assert!(ids.get_ids().contains(&id("<|image_pad|>")));
    }

    #[test]
    fn too_small_a_vocabulary_is_refused() {
        assert!(matches!(train(corpus(1, 1), 100), Err(TrainError::Vocabulary(100, 263))));
    }
}
