//! SentencePiece vocabularies as the `tokenizers` crate takes them: BPE (Llama, Vicuna, Mistral) and unigram.
//!
//! SentencePiece joins the two neighbors whose joint piece has the best score, BPE the pair of the lowest rank: merges
//! are listed by the score of what they make.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use prost::Message;
use serde_json::{Map, Value, json};

use super::sentencepiece_file::{Normalizer, PieceType, SentencePieceFile, VocabularyPiece};

/// Most pieces of a vocabulary.
const MAX_PIECES: usize = 2_000_000;
/// Most bytes of a piece, of which every way to cut it in two is tried.
const MAX_PIECE_BYTES: usize = 1024;

/// `TrainerSpec.model_type`.
const UNIGRAM: i32 = 1;
const BPE: i32 = 2;

/// What stands for a space.
const SPACE: &str = "\u{2581}";

/// The `tokenizer.json` that the bytes of a `tokenizer.model` amount to. `rules` is `tokenizer_config.json`: `legacy`
/// (a space before every run of text, not only the first) and `add_prefix_space`.
pub(super) fn tokenizer_json(bytes: &[u8], rules: &Value) -> Result<Value, String> {
    let file = SentencePieceFile::decode(bytes).map_err(|error| format!("no SentencePiece model: {error}"))?;
    let pieces = &file.pieces;
    if pieces.is_empty() || pieces.len() > MAX_PIECES {
        return Err(format!("{} pieces; a vocabulary has 1 to {MAX_PIECES}", pieces.len()));
    }
    let of_type = |piece_type: PieceType| move |piece: &&VocabularyPiece| piece.r#type() == piece_type;
    let unknown = pieces.iter().position(|piece| piece.r#type() == PieceType::Unknown);
    let has_bytes = pieces.iter().filter(of_type(PieceType::Byte)).count() == 256;
    let normalizer = file.normalizer.clone().unwrap_or_default();
    let model = match file.trainer.unwrap_or_default().model_type() {
        BPE => {
            let unknown = unknown.map(|id| pieces[id].piece());
            let (vocab, merges) = (ids(pieces)?, merges(pieces)?);
            json!({"type": "BPE", "vocab": vocab, "merges": merges, "unk_token": unknown, "fuse_unk": true,
                "byte_fallback": has_bytes})
        }
        UNIGRAM => {
            let vocab: Vec<Value> = pieces.iter().map(|piece| json!([piece.piece(), piece.score()])).collect();
            json!({"type": "Unigram", "unk_id": unknown, "vocab": vocab, "byte_fallback": has_bytes})
        }
        other => return Err(format!("model type {other} of SentencePiece; unigram (1) and BPE (2) are read")),
    };
    let prefix = rules["add_prefix_space"].as_bool().unwrap_or(normalizer.add_dummy_prefix());
    let legacy = rules["legacy"].as_bool().unwrap_or(true);
    Ok(json!({
        "version": "1.0",
        "added_tokens": added(pieces),
        "normalizer": normalizers(&normalizer, prefix && legacy),
        // `Prepend` of the normalizer is before every run of text, this is before the first one alone.
        "pre_tokenizer": {"type": "Metaspace", "replacement": SPACE, "split": false,
            "prepend_scheme": if prefix && !legacy { "first" } else { "never" }},
        "decoder": decoders(prefix),
        "model": model,
    }))
}

/// Ids of all pieces by text.
fn ids(pieces: &[VocabularyPiece]) -> Result<Map<String, Value>, String> {
    let mut ids = Map::new();
    for (id, piece) in pieces.iter().enumerate() {
        if ids.insert(piece.piece().to_string(), id.into()).is_some() {
            return Err(format!("piece {:?} is there twice", piece.piece()));
        }
    }
    Ok(ids)
}

/// Every way in which a piece is made of two others, the best first.
fn merges(pieces: &[VocabularyPiece]) -> Result<Vec<[&str; 2]>, String> {
    let normal = |piece: &&VocabularyPiece| matches!(piece.r#type(), PieceType::Normal | PieceType::Unused);
    let known: HashMap<&str, usize> =
        pieces.iter().enumerate().filter(|(_, piece)| normal(piece)).map(|(id, piece)| (piece.piece(), id)).collect();
    let mut merges = Vec::new();
    for piece in pieces.iter().filter(normal) {
        let text = piece.piece();
        if text.len() > MAX_PIECE_BYTES {
            return Err(format!("a piece of {} bytes; at most {MAX_PIECE_BYTES} are read", text.len()));
        }
        for (at, _) in text.char_indices().skip(1) {
            let (left, right) = text.split_at(at);
            if let (Some(_), Some(_)) = (known.get(left), known.get(right)) {
                merges.push((piece.score(), left, right));
            }
        }
    }
    // Stable: of equal scores the piece with the lower id comes first, as SentencePiece numbers them by rank.
    merges.sort_by(|a, b| b.0.total_cmp(&a.0));
    Ok(merges.into_iter().map(|(_, left, right)| [left, right]).collect())
}

/// Pieces that are found in text as they stand, and those that text never makes.
fn added(pieces: &[VocabularyPiece]) -> Vec<Value> {
    let mut added = Vec::new();
    for (id, piece) in pieces.iter().enumerate() {
        let special = match piece.r#type() {
            PieceType::Unknown | PieceType::Control => true,
            PieceType::UserDefined => false,
            _ => continue,
        };
        added.push(json!({"id": id, "content": piece.piece(), "special": special, "normalized": false,
            "single_word": false, "lstrip": false, "rstrip": false}));
    }
    added
}

fn normalizers(normalizer: &Normalizer, prefix: bool) -> Value {
    let mut all = Vec::new();
    let table = normalizer.precompiled_charsmap();
    if !table.is_empty() {
        all.push(json!({"type": "Precompiled", "precompiled_charsmap": BASE64.encode(table)}));
    }
    if normalizer.remove_extra_whitespaces() {
        for (pattern, content) in [("^ +| +$", ""), (" {2,}", " ")] {
            all.push(json!({"type": "Replace", "pattern": {"Regex": pattern}, "content": content}));
        }
    }
    if prefix {
        all.push(json!({"type": "Prepend", "prepend": SPACE}));
    }
    json!({"type": "Sequence", "normalizers": all})
}

fn decoders(prefix: bool) -> Value {
    let mut all = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefix {
        all.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    json!({"type": "Sequence", "decoders": all})
}
