//! BERT's tokenizer (arXiv 1810.04805): WordPiece over lower-cased words, made from a `vocab.txt`.

use std::collections::HashMap;

use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

use crate::added::{AddedToken, AddedTokens};
use crate::error::TextError;
use crate::files::TextFiles;
use crate::tokenizer::Tokenizer;

/// Largest `vocab.txt` that is read, in bytes.
const MAX_VOCAB_BYTES: u64 = 64 << 20;

/// Tokens that every vocabulary of BERT has.
const UNKNOWN: &str = "[UNK]";
const FIRST: &str = "[CLS]";
const LAST: &str = "[SEP]";
const SPECIAL: [&str; 5] = ["[PAD]", UNKNOWN, FIRST, LAST, "[MASK]"];

/// Which end of a long text is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TruncationSide {
    /// Its beginning.
    Left,
    /// Its end.
    Right,
}

/// The tokenizer of `bert-base-uncased`: accents and case are dropped, Chinese characters and punctuation stand alone,
/// a word that the vocabulary cannot spell is `[UNK]`. Texts are people's: a `[SEP]` in one is four ordinary tokens.
#[derive(Clone, Debug)]
pub struct BertTokenizer {
    words: Tokenizer,
    first: u32,
    last: u32,
}

impl BertTokenizer {
    /// From the file `name`, a token a line, and tokens that come after these (`[DEC]`); `None` when there is no such
    /// file.
    ///
    /// # Errors
    /// [`TextError::File`] when it is no text or lacks `[CLS]`, `[SEP]` or `[UNK]`, [`TextError::Limit`] for a huge
    /// one.
    pub fn from_files(
        files: &(impl TextFiles + ?Sized),
        name: &str,
        added: &[&str],
    ) -> Result<Option<Self>, TextError> {
        let Some(bytes) = files.read(name, MAX_VOCAB_BYTES, "bytes of a vocabulary")? else { return Ok(None) };
        Self::from_vocab(&bytes, added).map(Some).map_err(|what| TextError::file(files.path(name), what))
    }

    /// A tokenizer from the bytes of a `vocab.txt`; an error is a sentence about it.
    fn from_vocab(bytes: &[u8], added: &[&str]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
        // Of two equal lines the last one counts, as in the reference.
        let lines = text.lines().map(|line| line.strip_suffix('\r').unwrap_or(line));
        let vocab: HashMap<String, u32> = lines.zip(0..).map(|(token, id)| (token.to_string(), id)).collect();
        let find = |token: &str| vocab.get(token).copied().ok_or_else(|| format!("no {token} among its lines"));
        let (first, last, _) = (find(FIRST)?, find(LAST)?, find(UNKNOWN)?);
        let mut special = AddedTokens::default();
        let new = added.iter().filter(|token| !vocab.contains_key(**token)).zip(text.lines().count() as u32..);
        let known = SPECIAL.iter().chain(added).filter_map(|token| Some((token, *vocab.get(*token)?)));
        for (token, id) in known.chain(new) {
            special.insert(id, AddedToken::plain(token.to_string()))?;
        }
        // The library's own type of a vocabulary, empty.
        let mut table = WordPiece::read_bytes(&[]).map_err(|error| error.to_string())?;
        table.extend(vocab);
        let model = WordPiece::builder().vocab(table).unk_token(UNKNOWN.to_string()).build();
        let mut base = tokenizers::Tokenizer::new(model.map_err(|error| error.to_string())?);
        base.with_normalizer(Some(BertNormalizer::new(true, true, None, true))).map_err(|error| error.to_string())?;
        base.with_pre_tokenizer(Some(BertPreTokenizer));
        Ok(BertTokenizer { words: Tokenizer::build(base, special)?, first, last })
    }

    /// Number of tokens, added ones included.
    pub fn vocab_size(&self) -> usize {
        self.words.vocab_size()
    }

    /// The id of a token written exactly so.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.words.id(token)
    }

    /// Ids of a text between `[CLS]` and `[SEP]`: at most `longest` in all, and no fewer than those two.
    ///
    /// # Errors
    /// [`TextError::Limit`] when the text is too long to be looked at.
    pub fn encode(&self, text: &str, longest: usize, side: TruncationSide) -> Result<Vec<u32>, TextError> {
        let words = self.words.encode_ordinary(text)?;
        let spare = words.len().saturating_sub(longest.saturating_sub(2));
        let kept = match side {
            TruncationSide::Left => &words[spare..],
            TruncationSide::Right => &words[..words.len() - spare],
        };
        Ok([&[self.first], kept, &[self.last]].concat())
    }
}
