//! Text to ids with the vocabulary of a checkpoint.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use tokenizers::tokenizer::normalizer::Range as TextRange;
use tokenizers::{Decoder, Model, NormalizedString, Normalizer, OffsetType, PreTokenizedString, PreTokenizer, Token};

use crate::added::{AddedToken, AddedTokens, Searcher, TextRun, gaps};
use crate::error::TextError;
use crate::files::TextFiles;
use crate::token_bytes::ByteDecoder;
use crate::vocabulary::{self, Vocabulary, insert, parse};

/// Longest text that is encoded, in bytes, unless [`Tokenizer::with_limit`] says otherwise.
pub const MAX_TEXT_BYTES: usize = 1_000_000;

/// A file that may add tokens to the vocabulary.
const EXTRA: &str = "added_tokens.json";

/// A tokenizer; copies are cheap and share the vocabulary.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: Arc<Inner>,
    limit: usize,
}

#[derive(Debug)]
struct Inner {
    /// Vocabulary, normalizer, pre-tokenizer and decoder; its own handling of added tokens is not used.
    base: tokenizers::Tokenizer,
    added: AddedTokens,
    /// Looks for added tokens in the text as it is.
    raw: Option<Searcher>,
    /// Looks for added tokens in the normalized text.
    normalized: Option<Searcher>,
    /// What the decoder is given for added tokens that were normalized.
    decoded_as: HashMap<u32, String>,
    vocab_size: usize,
    byte_runs: bool,
    /// How a token alone is decoded, where that is possible.
    byte_decoder: Option<ByteDecoder>,
}

/// The only part of `tokenizer_config.json` that is read here.
#[derive(Deserialize)]
struct ConfigPart {
    #[serde(default)]
    added_tokens_decoder: Option<HashMap<String, AddedToken>>,
}

impl Tokenizer {
    /// Reads the vocabulary (`tokenizer.json`, else `tokenizer.model` of SentencePiece, else `vocab.json` with
    /// `merges.txt`), and the added tokens of `tokenizer_config.json` and `added_tokens.json` if they exist, from a
    /// folder or other [`TextFiles`].
    ///
    /// # Errors
    /// [`TextError::File`] when a file is missing, damaged or contradicts another, [`TextError::Limit`] for a huge one.
    pub fn from_files(files: &(impl TextFiles + ?Sized)) -> Result<Self, TextError> {
        let read = |name: &str| files.read(name, vocabulary::MAX_FILE_BYTES, vocabulary::FILE_UNIT);
        let in_file = |name: &'static str| move |what: String| TextError::file(files.path(name), what);
        let rules = read(vocabulary::RULES)?;
        let Vocabulary { base, mut added, file } = vocabulary::read(files, rules.as_deref())?;
        if let Some(bytes) = rules {
            add_from_config(&mut added, &base, &bytes).map_err(in_file(vocabulary::RULES))?;
        }
        if let Some(bytes) = read(EXTRA)? {
            add_from_map(&mut added, &base, &bytes).map_err(in_file(EXTRA))?;
        }
        Self::build(base, added).map_err(in_file(file))
    }

    /// A tokenizer from the bytes of a `tokenizer.json`.
    ///
    /// # Errors
    /// [`TextError::File`] when they are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TextError> {
        let in_file = |what: String| TextError::file("tokenizer.json", what);
        let (base, added) = parse(bytes).map_err(in_file)?;
        Self::build(base, added).map_err(in_file)
    }

    /// This tokenizer with another limit on the length of a text, in bytes.
    #[must_use]
    pub fn with_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    pub(crate) fn build(base: tokenizers::Tokenizer, added: AddedTokens) -> Result<Self, String> {
        let (mut raw, mut normalized, mut decoded_as) = (Vec::new(), Vec::new(), HashMap::new());
        for (id, token) in added.sorted() {
            if !token.normalized {
                raw.push((token.content.clone(), id, token.clone()));
                continue;
            }
            let mut text = NormalizedString::from(token.content.as_str());
            if let Some(normalizer) = base.get_normalizer() {
                normalizer.normalize(&mut text).map_err(|error| format!("added token {:?}: {error}", token.content))?;
            }
            if text.get() != token.content {
                decoded_as.insert(id, text.get().to_string());
            }
            normalized.push((text.get().to_string(), id, token.clone()));
        }
        let model = base.get_model();
        let new = added.sorted().iter().filter(|(_, token)| model.token_to_id(&token.content).is_none()).count();
        let decoder = base.get_decoder().map(serde_json::to_value).transpose().map_err(|error| error.to_string())?;
        let inner = Inner {
            raw: Searcher::new(raw).map_err(|error| error.to_string())?,
            normalized: Searcher::new(normalized).map_err(|error| error.to_string())?,
            vocab_size: model.get_vocab_size() + new,
            byte_runs: decoder.as_ref().is_some_and(|json| json.to_string().contains("\"ByteFallback\"")),
            byte_decoder: decoder.as_ref().and_then(ByteDecoder::new),
            decoded_as,
            added,
            base,
        };
        Ok(Tokenizer { inner: Arc::new(inner), limit: MAX_TEXT_BYTES })
    }

    /// Ids of a text that may give commands: special and other added tokens in it are obeyed. Nothing is put before or
    /// after the text.
    ///
    /// # Errors
    /// [`TextError::Limit`] when the text is too long.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        self.encode_marked(text, &[])
    }

    /// Ids of a text that may not give commands: special and other added tokens in it are ordinary characters.
    ///
    /// # Errors
    /// [`TextError::Limit`] when the text is too long.
    #[allow(clippy::single_range_in_vec_init, reason = "one range that covers the whole text is meant")]
    pub fn encode_ordinary(&self, text: &str) -> Result<Vec<u32>, TextError> {
        self.encode_marked(text, &[0..text.len()])
    }

    /// Ids of a whole prompt in which the byte ranges `untrusted` came from callers. Added tokens are recognized only
    /// where they do not overlap such a range; what lies between recognized tokens is encoded in one piece, so that
    /// ordinary text gets exactly the ids it would get from the reference tokenizer.
    ///
    /// # Errors
    /// [`TextError::Limit`] when the text is too long; [`TextError::Caller`] when a range does not lie on characters.
    pub fn encode_marked(&self, text: &str, untrusted: &[Range<usize>]) -> Result<Vec<u32>, TextError> {
        Ok(self.encode_offsets(text, untrusted)?.into_iter().map(|(id, _)| id).collect())
    }

    /// Ids as [`Tokenizer::encode_marked`] gives them, each with the bytes of `text` that it stands for. A character
    /// that several tokens make belongs to each of them.
    ///
    /// # Errors
    /// As for [`Tokenizer::encode_marked`].
    pub fn encode_offsets(
        &self,
        text: &str,
        untrusted: &[Range<usize>],
    ) -> Result<Vec<(u32, Range<usize>)>, TextError> {
        if text.len() > self.limit {
            return Err(TextError::Limit { what: "bytes of text", number: text.len(), limit: self.limit });
        }
        for range in untrusted {
            if text.get(range.clone()).is_none() {
                let (length, Range { start, end }) = (text.len(), range);
                return Err(TextError::Caller(format!(
                    "untrusted range {start}..{end} is not in a text of {length} bytes"
                )));
            }
        }
        self.encode_pieces(text, untrusted).map_err(|error| TextError::Bug(format!("tokenizer: {error}")))
    }

    fn encode_pieces(&self, text: &str, untrusted: &[Range<usize>]) -> tokenizers::Result<Vec<(u32, Range<usize>)>> {
        let inner = &*self.inner;
        let mut pieces = PreTokenizedString::from(text);
        if let Some(searcher) = &inner.raw {
            let trusted = gaps(text.len(), untrusted);
            pieces.split(|_, piece| slices(&piece, searcher.cut(piece.get(), &trusted)))?;
        }
        let normalizer = inner.base.get_normalizer();
        pieces.split(|_, mut piece| {
            normalizer.map(|normalizer| normalizer.normalize(&mut piece)).transpose()?;
            match &inner.normalized {
                Some(searcher) => slices(&piece, searcher.cut(piece.get(), &trusted_after(&piece, untrusted))),
                None => Ok(vec![(piece, None)]),
            }
        })?;
        if let Some(pre_tokenizer) = inner.base.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut pieces)?;
        }
        let model = inner.base.get_model();
        pieces.tokenize(|piece| {
            let tokens = model.tokenize(piece.get())?;
            if untrusted.is_empty() { Ok(tokens) } else { self.escape_special_tokens(tokens) }
        })?;
        let encoding = pieces.into_encoding(None, 0, OffsetType::Byte)?;
        let offsets = encoding.get_offsets().iter().map(|&(start, end)| start..end);
        Ok(encoding.get_ids().iter().copied().zip(offsets).collect())
    }

    /// Some vocabularies contain their special tokens as ordinary entries, so that text alone can give them. Where that
    /// happened the text is encoded character by character.
    fn escape_special_tokens(&self, tokens: Vec<Token>) -> tokenizers::Result<Vec<Token>> {
        let forged = |token: &Token| {
            let special = self.inner.added.get(token.id).filter(|added| added.special);
            special.is_some_and(|added| added.content == token.value && added.content.chars().count() > 1)
                && Some(token.value.as_str()) != self.unknown_token()
        };
        if !tokens.iter().any(forged) {
            return Ok(tokens);
        }
        let mut safe = Vec::with_capacity(tokens.len());
        for token in tokens {
            if !forged(&token) {
                safe.push(token);
                continue;
            }
            let start = token.offsets.0;
            for (at, character) in token.value.char_indices() {
                let of_character = self.inner.base.get_model().tokenize(character.encode_utf8(&mut [0; 4]))?;
                let place = (start + at, start + at + character.len_utf8());
                safe.extend(of_character.into_iter().map(|part| Token { offsets: place, ..part }));
            }
        }
        Ok(safe)
    }

    /// The token that unknown text becomes: it may come from ordinary text.
    fn unknown_token(&self) -> Option<&str> {
        match self.inner.base.get_model() {
            tokenizers::ModelWrapper::BPE(model) => model.get_unk_token().as_deref(),
            tokenizers::ModelWrapper::WordPiece(model) => Some(model.unk_token.as_str()),
            tokenizers::ModelWrapper::WordLevel(model) => Some(model.unk_token.as_str()),
            tokenizers::ModelWrapper::Unigram(_) => None,
        }
    }

    /// The id of a token written exactly so.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.added.id(token).or_else(|| self.inner.base.get_model().token_to_id(token))
    }

    /// The token of an id as the vocabulary writes it (byte-level vocabularies write a space as `Ġ`).
    pub fn token(&self, id: u32) -> Option<String> {
        let added = self.inner.added.get(id).map(|token| token.content.clone());
        added.or_else(|| self.inner.base.get_model().id_to_token(id))
    }

    /// Number of tokens, added ones included. Embeddings often have more rows than that.
    pub fn vocab_size(&self) -> usize {
        self.inner.vocab_size
    }

    /// One more than the largest id. Ids below it may be unknown.
    pub fn id_bound(&self) -> usize {
        let added = self.inner.added.sorted().last().map(|(id, _)| *id);
        let own = self.inner.base.get_model().get_vocab().into_values().max();
        own.max(added).map_or(0, |largest| largest as usize + 1)
    }

    /// Whether a decoder that skips special tokens leaves this one out.
    pub fn is_special(&self, id: u32) -> bool {
        self.inner.added.get(id).is_some_and(|token| token.special)
    }

    /// Text of ids; bytes that are no text become U+FFFD, ids that the vocabulary does not know give nothing.
    ///
    /// # Errors
    /// [`TextError::Bug`] when the decoder of `tokenizer.json` fails.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, TextError> {
        let shown = ids.iter().filter(|&&id| self.shows(id, skip_special));
        let tokens: Vec<String> = shown.filter_map(|&id| self.decoded_token(id)).collect();
        match self.inner.base.get_decoder() {
            Some(decoder) => decoder.decode(tokens).map_err(|error| TextError::Bug(format!("decoder: {error}"))),
            None => Ok(tokens.join(" ")),
        }
    }

    /// What the decoder is given for an id.
    pub(crate) fn decoded_token(&self, id: u32) -> Option<String> {
        self.inner.decoded_as.get(&id).cloned().or_else(|| self.token(id))
    }

    pub(crate) fn byte_decoder(&self) -> Option<&ByteDecoder> {
        self.inner.byte_decoder.as_ref()
    }

    /// Whether an id gives text at all.
    pub(crate) fn shows(&self, id: u32, skip_special: bool) -> bool {
        !(skip_special && self.is_special(id)) && self.token(id).is_some()
    }

    /// Whether a token stands for one byte in a vocabulary whose decoder judges runs of bytes as a whole.
    pub(crate) fn is_byte_of_run(&self, id: u32) -> bool {
        self.inner.byte_runs
            && self
                .inner
                .base
                .get_model()
                .id_to_token(id)
                .is_some_and(|token| token.len() == 6 && token.starts_with("<0x") && token.ends_with('>'))
    }
}

/// A normalized text cut into pieces, added tokens with their ids.
type Slices = Vec<(NormalizedString, Option<Vec<Token>>)>;

fn slices(text: &NormalizedString, pieces: Vec<TextRun>) -> tokenizers::Result<Slices> {
    let slice = |piece: TextRun| {
        let part = text.slice(TextRange::Normalized(piece.range)).ok_or("an added token broke a character")?;
        let tokens = piece.id.map(|id| vec![Token::new(id, part.get().to_string(), (0, part.len()))]);
        Ok((part, tokens))
    };
    pieces.into_iter().map(slice).collect()
}

/// The parts of a normalized piece that stem from trusted bytes only.
fn trusted_after(piece: &NormalizedString, untrusted: &[Range<usize>]) -> Vec<Range<usize>> {
    if untrusted.is_empty() {
        return gaps(piece.len(), &[]);
    }
    let shift = piece.offsets_original().0;
    let mut marked = Vec::new();
    for (at, character) in piece.get().char_indices() {
        let range = at..at + character.len_utf8();
        let source = piece.convert_offsets(TextRange::Normalized(range.clone()));
        let foreign = source.is_none_or(|source| {
            untrusted.iter().any(|bad| bad.start < source.end + shift && source.start + shift < bad.end)
        });
        if foreign {
            marked.push(range);
        }
    }
    gaps(piece.len(), &marked)
}

fn add_from_config(added: &mut AddedTokens, base: &tokenizers::Tokenizer, bytes: &[u8]) -> Result<(), String> {
    let part: ConfigPart = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    for (id, token) in part.added_tokens_decoder.unwrap_or_default() {
        let id = id.parse().map_err(|_| format!("added_tokens_decoder: {id:?} is not an id"))?;
        insert(added, base, id, token)?;
    }
    Ok(())
}

fn add_from_map(added: &mut AddedTokens, base: &tokenizers::Tokenizer, bytes: &[u8]) -> Result<(), String> {
    let map: HashMap<String, u32> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    for (content, id) in map {
        // Only the text is known here: rules given by another file stay.
        if added.id(&content) != Some(id) {
            insert(added, base, id, AddedToken::plain(content))?;
        }
    }
    Ok(())
}
