//! The vocabulary of a checkpoint, in whichever form it is published.

mod byte_level;
mod fast;
mod sentencepiece;
mod sentencepiece_file;

use serde_json::{Value, json};

pub(crate) use fast::{insert, parse};

use crate::added::AddedTokens;
use crate::error::TextError;
use crate::files::TextFiles;

/// Largest file of a vocabulary that is read, in bytes.
pub(crate) const MAX_FILE_BYTES: u64 = 256 << 20;
/// What its errors call them.
pub(crate) const FILE_UNIT: &str = "bytes of a tokenizer file";

/// Everything in one file, as the `tokenizers` crate writes it.
const FAST: &str = "tokenizer.json";
/// SentencePiece.
const SENTENCEPIECE: &str = "tokenizer.model";
/// Byte-level BPE: tokens, and the merges by rank.
const TOKENS: &str = "vocab.json";
const MERGES: &str = "merges.txt";
/// Which rules go with a vocabulary, and tokens that are added to it.
pub(crate) const RULES: &str = "tokenizer_config.json";

/// A vocabulary with its rules, the tokens added to it, and the file that errors name.
pub(crate) struct Vocabulary {
    pub(crate) base: tokenizers::Tokenizer,
    pub(crate) added: AddedTokens,
    pub(crate) file: &'static str,
}

/// Reads `tokenizer.json`, else `tokenizer.model`, else `vocab.json` with `merges.txt`. The last two get the rules
/// that the tokenizer class of `tokenizer_config.json`, whose bytes are `rules`, has in transformers.
///
/// # Errors
/// [`TextError::File`] when there is none, or it is damaged.
pub(crate) fn read(files: &(impl TextFiles + ?Sized), rules: Option<&[u8]>) -> Result<Vocabulary, TextError> {
    let bytes = |name: &str| files.read(name, MAX_FILE_BYTES, FILE_UNIT);
    let in_file = |name: &'static str| move |what: String| TextError::file(files.path(name), what);
    if let Some(fast) = bytes(FAST)? {
        let (base, added) = parse(&fast).map_err(in_file(FAST))?;
        return Ok(Vocabulary { base, added, file: FAST });
    }
    let rules: Value = match rules {
        Some(rules) => serde_json::from_slice(rules).map_err(|error| in_file(RULES)(error.to_string()))?,
        None => json!({}),
    };
    let (json, file) = if let Some(model) = bytes(SENTENCEPIECE)? {
        (sentencepiece::tokenizer_json(&model, &rules).map_err(in_file(SENTENCEPIECE))?, SENTENCEPIECE)
    } else if let Some(tokens) = bytes(TOKENS)? {
        let tokens = serde_json::from_slice(&tokens).map_err(|error| in_file(TOKENS)(error.to_string()))?;
        let merges = bytes(MERGES)?.ok_or_else(|| in_file(MERGES)("no such file beside vocab.json".to_string()))?;
        let merges = String::from_utf8(merges).map_err(|error| in_file(MERGES)(error.to_string()))?;
        (byte_level::tokenizer_json(&tokens, &merges, &rules), TOKENS)
    } else {
        let text = "no such file, nor tokenizer.model, nor vocab.json with merges.txt";
        return Err(in_file(FAST)(text.to_string()));
    };
    let json = serde_json::to_vec(&json).map_err(|error| in_file(file)(error.to_string()))?;
    let (base, added) = parse(&json).map_err(in_file(file))?;
    Ok(Vocabulary { base, added, file })
}
