//! A model's vocabulary as the grammar library takes it: the bytes of every id, in a trie.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use llguidance::ParserFactory;
use llguidance::api::ParserLimits;
use llguidance::earley::SlicedBiasComputer;
use llguidance::panic_utils::catch_unwind;
use llguidance::toktrie::{ApproximateTokEnv, INVALID_TOKEN, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie};
use zoetrope_text::Tokenizer;

use crate::error::EngineError;

/// Tokens that are longer than this never occur in a reply that follows a grammar: the trie is not that deep.
const MAX_TOKEN_BYTES: usize = 1000;

/// What a grammar may cost. The library counts work in units of its own; times are for one core of 2024.
const LIMITS: ParserLimits = ParserLimits {
    // Ways in which the text so far may go on, at most: four for each property of an object that may be left out.
    max_items_in_row: 6000,
    // 20 ms to build the lexer.
    initial_lexer_fuel: 1_000_000,
    // 15 ms for all that the lexer may have to do for a token, 3 ms for the parser.
    step_lexer_fuel: 200_000,
    step_max_items: 50_000,
    // At 1 to 2 KB each.
    max_lexer_states: 50_000,
    max_grammar_size: 250_000,
    precompute_large_lexemes: true,
    // Texts of errors without the state of the parser.
    verbose_errors: false,
};

/// What makes parsers over this vocabulary. `stop_ids` end a reply; other special tokens never occur in one.
pub(super) fn parser_factory(tokenizer: &Tokenizer, stop_ids: &[u32]) -> Result<ParserFactory, EngineError> {
    if !tokenizer.is_bytewise() {
        return Err(EngineError::caller("this model's tokenizer cannot follow a grammar: it decodes words, not bytes"));
    }
    let bytes = all_bytes(tokenizer, stop_ids)?;
    let stops: Vec<u32> = stop_ids.iter().copied().filter(|&id| (id as usize) < bytes.len()).collect();
    let end = stops.first().copied().unwrap_or(INVALID_TOKEN);
    let built = catch_unwind(AssertUnwindSafe(|| {
        let trie = TokTrie::from(&TokRxInfo::new(bytes.len() as u32, end), &bytes);
        let trie = if stops.is_empty() { trie } else { trie.with_eos_tokens(&stops) };
        // How text is cut into tokens is left to the model.
        let vocabulary: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let slices = SlicedBiasComputer::general_slices();
        let mut factory = ParserFactory::new(&vocabulary, InferenceCapabilities::default(), &slices)?;
        *factory.limits_mut() = LIMITS;
        factory.quiet();
        Ok(factory)
    }));
    built.map_err(|error| EngineError::caller(format!("the vocabulary cannot be prepared for grammars: {error}")))
}

/// The bytes of every id. Special tokens begin with a byte that no text has; ids without text have none.
fn all_bytes(tokenizer: &Tokenizer, stop_ids: &[u32]) -> Result<Vec<Vec<u8>>, EngineError> {
    let marked = |id: u32| tokenizer.is_special(id) || stop_ids.contains(&id);
    let of_id = |id: u32| {
        let mut bytes = tokenizer.token_bytes(id)?.unwrap_or_default();
        if marked(id) {
            bytes.insert(0, TokTrie::SPECIAL_TOKEN_MARKER);
        }
        if bytes.len() > MAX_TOKEN_BYTES {
            bytes.clear();
        }
        Ok(bytes)
    };
    (0..tokenizer.id_bound() as u32).map(of_id).collect()
}
