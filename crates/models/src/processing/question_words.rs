//! The tokenizer of a Q-Former that hears questions.

use zoetrope_text::BertTokenizer;

use crate::checkpoint::Checkpoint;
use crate::error::ModelResult;

/// Where its vocabulary may lie in a model folder. Published folders have none: the authors' programs fetch that of
/// google-bert/bert-base-uncased.
const PLACES: [&str; 3] = ["bert-base-uncased/vocab.txt", "bert/vocab.txt", "vocab.txt"];

/// The tokenizer of BERT with the token `[DEC]`, of `vocabulary` tokens in all.
///
/// # Errors
/// [`ModelError::Incomplete`] when there is no vocabulary, [`ModelError::File`] when it is another one.
///
/// [`ModelError::Incomplete`]: crate::error::ModelError::Incomplete
/// [`ModelError::File`]: crate::error::ModelError::File
pub fn question_words(checkpoint: &Checkpoint, vocabulary: usize) -> ModelResult<BertTokenizer> {
    for name in PLACES {
        let Some(words) = BertTokenizer::from_files(checkpoint, name, &["[DEC]"])? else { continue };
        let has = words.vocab_size();
        if has != vocabulary {
            let text = format!("{has} tokens with [DEC], the Q-Former has {vocabulary}: it is another vocabulary");
            return Err(checkpoint.error(name, text));
        }
        return Ok(words);
    }
    let text = "missing: the words of the Q-Former; put vocab.txt of google-bert/bert-base-uncased there";
    Err(checkpoint.incomplete(PLACES[0], text))
}
