//! Other kinds of vocabularies than that of the default model.

use serde_json::{Value, json};
use zoetrope_text::Tokenizer;

use super::super::{Constraint, GrammarCompiler};
use super::{following, write};
use crate::generate::Sampling;

fn tokenizer(json: &Value) -> Tokenizer {
    Tokenizer::from_bytes(&serde_json::to_vec(json).expect("JSON")).expect("a tokenizer")
}

fn special(id: u32, content: &str) -> Value {
    json!({"id": id, "content": content, "special": true, "normalized": false, "single_word": false, "lstrip": false,
        "rstrip": false})
}

/// Byte-level BPE of these tokens.
fn byte_level(vocab: &Value) -> Tokenizer {
    let decoder = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false});
    tokenizer(&json!({"version": "1.0", "added_tokens": [], "decoder": decoder,
        "model": {"type": "BPE", "vocab": vocab, "merges": []}}))
}

/// A vocabulary of SentencePiece: 0 unknown, 1 and 2 control, then the 256 bytes, then pieces.
fn sentencepiece() -> Tokenizer {
    let bytes = (0..=255u8).map(|byte| format!("<0x{byte:02X}>"));
    let pieces = ["\u{2581}", "a", "b", "\u{2581}a", "{", "}", "\"", ":", "12", "é"].map(String::from);
    let all = ["<unk>", "<s>", "</s>"].map(String::from).into_iter().chain(bytes).chain(pieces);
    let vocab: serde_json::Map<String, Value> = all.zip(0..).map(|(piece, id)| (piece, json!(id))).collect();
    tokenizer(&json!({
        "version": "1.0",
        "added_tokens": [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "vocab": vocab, "merges": [], "unk_token": "<unk>", "byte_fallback": true},
    }))
}

#[test]
fn a_vocabulary_with_byte_fallback_spells_what_it_has_no_pieces_for() {
    let tokenizer = sentencepiece();
    let compiler = GrammarCompiler::of_tokenizer(&tokenizer, &[2]);
    let schema = json!({"type": "object", "properties": {"中 a": {"enum": ["é", "a b", 12]}}, "required": ["中 a"],
        "additionalProperties": false});
    let sampling = following(&Constraint::JsonSchema(schema), &compiler);
    let mut seen = Vec::new();
    for seed in 0..40 {
        let (text, ended) = write(&tokenizer, &Sampling { seed, ..sampling.clone() }, &[2], seed, 100);
        assert!(ended, "{text}");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        seen.push(value["中 a"].clone());
    }
    for value in [json!("é"), json!("a b"), json!(12)] {
        assert!(seen.contains(&value), "{seen:?}");
    }
}

/// A stop id ends a reply even where the tokenizer does not call it special, and its text is no text of the reply.
#[test]
fn stop_ids_are_no_text() {
    let tokenizer = byte_level(&json!({"a": 0, "b": 1, "ab": 2, "stop": 3}));
    let compiler = GrammarCompiler::of_tokenizer(&tokenizer, &[3, 77]);
    let sampling = following(&Constraint::Regex("[a-z]*".to_string()), &compiler);
    let mut lengths = Vec::new();
    for seed in 0..30 {
        let (text, ended) = write(&tokenizer, &Sampling { seed, ..sampling.clone() }, &[3], seed, 100);
        assert!(ended && text.chars().all(|c| "ab".contains(c)), "{text}");
        lengths.push(text.len());
    }
    assert!(lengths.iter().any(|&length| length > 3), "{lengths:?}");
}

#[test]
fn a_grammar_that_the_vocabulary_cannot_spell_is_refused() {
    let tokenizer = byte_level(&json!({"a": 0, "b": 1}));
    let compiler = GrammarCompiler::of_tokenizer(&tokenizer, &[]);
    let refused = |constraint| compiler.compile(&constraint).map(|_| ()).expect_err("refused").to_string();
    let text = refused(Constraint::Regex("[0-9]+".to_string()));
    assert_eq!(text, "regular expression: no token of the model's vocabulary goes on with it");
    compiler.compile(&Constraint::Regex("[ab]".to_string())).expect("a grammar");
}

#[test]
fn a_tokenizer_whose_decoder_looks_at_neighbors_is_refused() {
    let tokenizer = tokenizer(&json!({"version": "1.0", "added_tokens": [], "decoder":
        {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "vocab": {"[UNK]": 0, "a": 1, "##b": 2}, "unk_token": "[UNK]",
            "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}}));
    let compiler = GrammarCompiler::of_tokenizer(&tokenizer, &[0]);
    let text = compiler.compile(&Constraint::JsonObject).map(|_| ()).expect_err("refused").to_string();
    assert!(text.contains("tokenizer cannot follow a grammar"), "{text}");
}
