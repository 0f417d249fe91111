//! `tokenizer.json`, as the `tokenizers` crate writes it.

use serde::Deserialize;
use tokenizers::Model;
use zoetrope_system::panics::caught;

use crate::added::{AddedToken, AddedTokens};

/// The only part of `tokenizer.json` that is read here.
#[derive(Deserialize)]
struct AddedPart {
    #[serde(default)]
    added_tokens: Option<Vec<AddedEntry>>,
}

#[derive(Deserialize)]
struct AddedEntry {
    id: u32,
    #[serde(flatten)]
    token: AddedToken,
}

/// The vocabulary with its rules, and the tokens added to it.
pub(crate) fn parse(bytes: &[u8]) -> Result<(tokenizers::Tokenizer, AddedTokens), String> {
    let part: AddedPart = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    // The library panics where a part of the file is not as it expects.
    let read = caught(|| tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| error.to_string()));
    let base = read.unwrap_or_else(|text| Err(format!("the tokenizers library gave up on it ({text})")))?;
    let mut added = AddedTokens::default();
    for AddedEntry { id, token } in part.added_tokens.unwrap_or_default() {
        insert(&mut added, &base, id, token)?;
    }
    Ok((base, added))
}

/// Adds a token under the vocabulary's own id where it has one.
pub(crate) fn insert(
    added: &mut AddedTokens,
    base: &tokenizers::Tokenizer,
    id: u32,
    token: AddedToken,
) -> Result<(), String> {
    match base.get_model().token_to_id(&token.content) {
        Some(own) if own != id => {
            Err(format!("added token {:?} has id {id}, but {own} in the vocabulary", token.content))
        }
        _ => added.insert(id, token),
    }
}
