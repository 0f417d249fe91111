//! Ids to text, one at a time.
//!
//! A character may be spread over several tokens, and some decoders look at neighbors (a space before a word, a run of
//! bytes), so tokens cannot be decoded alone. A short window of tokens is decoded again with every new one; what the
//! window gave before is cut off, and the end that a later token could still change is held back.

use crate::error::TextError;
use crate::tokenizer::Tokenizer;

/// Tokens that may wait for a character to be completed; text is given out after that many whatever comes.
const MAX_WAITING: usize = 256;

/// Streaming decoder. The pieces it gives, joined, are the whole text; none is ever taken back.
#[derive(Clone, Debug)]
pub struct Detokenizer {
    tokenizer: Tokenizer,
    skip_special: bool,
    /// Tokens decoded together: `context` old ones, then those whose text is not complete yet.
    window: Vec<u32>,
    context: usize,
    /// What the window decodes to, as far as it has been given out.
    given: String,
}

impl Detokenizer {
    /// With `skip_special`, special tokens give no text.
    pub fn new(tokenizer: &Tokenizer, skip_special: bool) -> Self {
        let tokenizer = tokenizer.clone();
        Detokenizer { tokenizer, skip_special, window: Vec::new(), context: 0, given: String::new() }
    }

    /// Takes the next token; gives the text that is now certain, `None` when there is no new text.
    ///
    /// Ids that the vocabulary does not know (padding rows of an embedding) give no text.
    ///
    /// # Errors
    /// [`TextError::Bug`] when the decoder of `tokenizer.json` fails.
    pub fn push(&mut self, id: u32) -> Result<Option<String>, TextError> {
        if !self.tokenizer.shows(id, self.skip_special) {
            return Ok(None);
        }
        self.window.push(id);
        let full = self.tokenizer.decode(&self.window, self.skip_special)?;
        if !full.starts_with(&self.given) {
            return self.restart(id);
        }
        let overlong = self.window.len() - self.context > MAX_WAITING;
        let certain = if overlong { full.len() } else { self.certain(id, &full).max(self.given.len()) };
        let text = full[self.given.len()..certain].to_string();
        self.given.push_str(&text);
        if certain == full.len() && !text.is_empty() {
            self.window.drain(..self.context);
            self.context = self.window.len();
            self.given = self.tokenizer.decode(&self.window, self.skip_special)?;
        }
        Ok((!text.is_empty()).then_some(text))
    }

    /// The rest that was held back, with U+FFFD in the place of a broken character; empty most of the time.
    pub fn finish(self) -> String {
        // The window decoded before with the same tokens, so it does so again.
        let full = self.tokenizer.decode(&self.window, self.skip_special).unwrap_or_default();
        full.strip_prefix(self.given.as_str()).map(str::to_string).unwrap_or_default()
    }

    /// Bytes of `full` that no later token can change.
    fn certain(&self, last: u32, full: &str) -> usize {
        if self.tokenizer.is_byte_of_run(last) {
            // A run of byte tokens is judged as a whole when it ends.
            return 0;
        }
        // Only the last broken character can still be completed; those before it are followed by something.
        full.strip_suffix(char::REPLACEMENT_CHARACTER).map_or(full.len(), str::len)
    }

    /// A decoder changed text that was given out already: it stays, and decoding goes on from this token.
    fn restart(&mut self, id: u32) -> Result<Option<String>, TextError> {
        self.window = vec![id];
        self.context = 1;
        self.given = self.tokenizer.decode(&self.window, self.skip_special)?;
        Ok((!self.given.is_empty()).then(|| self.given.clone()))
    }
}
