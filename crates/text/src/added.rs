//! Added tokens: strings that stand for one id whatever the vocabulary's own rules say (`<|im_end|>`, `<image>`).
//!
//! The `tokenizers` crate would find them anywhere; here they are found only in text that may give commands. The rules
//! for a match (leftmost, then longest; whole words; swallowed white space) are that crate's, so that trusted text
//! gives identical ids.

use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, Input, MatchKind};
use serde::Deserialize;

use crate::error::TextError;

/// One added token as `tokenizer.json` and `tokenizer_config.json` describe it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct AddedToken {
    pub(crate) content: String,
    /// Only between characters that are not part of a word.
    #[serde(default)]
    pub(crate) single_word: bool,
    /// Swallows white space before it.
    #[serde(default)]
    pub(crate) lstrip: bool,
    /// Swallows white space after it.
    #[serde(default)]
    pub(crate) rstrip: bool,
    /// Is looked for after normalization instead of before it.
    #[serde(default)]
    pub(crate) normalized: bool,
    /// Is left out when a decoder skips special tokens.
    #[serde(default)]
    pub(crate) special: bool,
}

impl AddedToken {
    /// A token known only by its text: special, matched as it stands.
    pub(crate) fn plain(content: String) -> Self {
        AddedToken { content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }
    }
}

/// A stretch of text: an added token with its id, or `None` for text that the vocabulary's own rules encode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextRun {
    pub(crate) id: Option<u32>,
    pub(crate) range: Range<usize>,
}

/// The searcher of one kind of added token (before or after normalization).
#[derive(Debug)]
pub(crate) struct Searcher {
    automaton: AhoCorasick,
    ids: Vec<u32>,
    tokens: Vec<AddedToken>,
}

impl Searcher {
    /// `patterns` are the texts to look for, each with its id and rules; `None` when there is none but empty ones.
    pub(crate) fn new(patterns: Vec<(String, u32, AddedToken)>) -> Result<Option<Self>, TextError> {
        let patterns: Vec<_> = patterns.into_iter().filter(|(text, ..)| !text.is_empty()).collect();
        if patterns.is_empty() {
            return Ok(None);
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(patterns.iter().map(|(text, ..)| text))
            .map_err(|error| TextError::Bug(format!("searcher of {} added tokens: {error}", patterns.len())))?;
        let ids = patterns.iter().map(|(_, id, _)| *id).collect();
        let tokens = patterns.into_iter().map(|(.., token)| token).collect();
        Ok(Some(Searcher { automaton, ids, tokens }))
    }

    /// Cuts all of `text` into runs. Tokens are found only inside `trusted` (ascending byte ranges on character
    /// boundaries that do not touch); the white space they swallow may be anyone's.
    pub(crate) fn cut(&self, text: &str, trusted: &[Range<usize>]) -> Vec<TextRun> {
        let mut runs = Vec::new();
        let mut done = 0;
        for gap in trusted {
            for found in self.automaton.find_iter(Input::new(text).range(gap.clone())) {
                let index = found.pattern().as_usize();
                let token = &self.tokens[index];
                let (mut start, mut end) = (found.start(), found.end());
                // White space swallowed by the token before may reach into this one.
                if start < done || (token.single_word && !alone(text, start, end)) {
                    continue;
                }
                if token.lstrip {
                    start = text[..start].trim_end().len().max(done);
                }
                if token.rstrip {
                    end = text.len() - text[end..].trim_start().len();
                }
                if done < start {
                    runs.push(TextRun { id: None, range: done..start });
                }
                runs.push(TextRun { id: Some(self.ids[index]), range: start..end });
                done = end;
            }
        }
        if done < text.len() {
            runs.push(TextRun { id: None, range: done..text.len() });
        }
        runs
    }
}

/// Whether `start..end` has no word character on either side.
fn alone(text: &str, start: usize, end: usize) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    !text[..start].ends_with(word) && !text[end..].starts_with(word)
}

/// The parts of `0..length` that no range of `untrusted` covers. Ranges may overlap and come in any order.
pub(crate) fn gaps(length: usize, untrusted: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut sorted: Vec<_> = untrusted.iter().filter(|range| range.start < range.end).cloned().collect();
    sorted.sort_by_key(|range| range.start);
    let mut gaps = Vec::new();
    let mut at = 0;
    for range in sorted {
        if at < range.start {
            gaps.push(at..range.start);
        }
        at = at.max(range.end);
    }
    if at < length {
        gaps.push(at..length);
    }
    gaps
}

/// All added tokens by text and by id.
#[derive(Debug, Default)]
pub(crate) struct AddedTokens {
    by_text: HashMap<String, u32>,
    by_id: HashMap<u32, AddedToken>,
}

impl AddedTokens {
    /// Adds a token or replaces the rules of one that is there under the same id. Two texts under one id, or one text
    /// under two ids, are an error: the checkpoint contradicts itself.
    pub(crate) fn insert(&mut self, id: u32, token: AddedToken) -> Result<(), String> {
        if let Some(other) = self.by_id.get(&id).filter(|other| other.content != token.content) {
            return Err(format!("id {id} is given to both {:?} and {:?}", other.content, token.content));
        }
        if let Some(&other) = self.by_text.get(&token.content).filter(|&&other| other != id) {
            return Err(format!("added token {:?} has both id {other} and id {id}", token.content));
        }
        self.by_text.insert(token.content.clone(), id);
        self.by_id.insert(id, token);
        Ok(())
    }

    pub(crate) fn id(&self, text: &str) -> Option<u32> {
        self.by_text.get(text).copied()
    }

    pub(crate) fn get(&self, id: u32) -> Option<&AddedToken> {
        self.by_id.get(&id)
    }

    /// All tokens, by ascending id.
    pub(crate) fn sorted(&self) -> Vec<(u32, &AddedToken)> {
        let mut all: Vec<_> = self.by_id.iter().map(|(&id, token)| (id, token)).collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searcher(tokens: &[(&str, u32)]) -> Searcher {
        let patterns = tokens.iter().map(|&(t, id)| (t.to_string(), id, AddedToken::plain(t.to_string()))).collect();
        Searcher::new(patterns).expect("automaton").expect("not empty")
    }

    #[test]
    fn gaps_are_what_is_left() {
        assert_eq!(gaps(10, &[]), vec![0..10]);
        assert_eq!(gaps(10, &[2..4, 3..5, 9..10]), vec![0..2, 5..9]);
        assert_eq!(gaps(10, std::slice::from_ref(&(5..5))), vec![0..10]);
        assert_eq!(gaps(4, std::slice::from_ref(&(0..4))), Vec::<Range<usize>>::new());
        assert_eq!(gaps(9, &[6..8, 0..3]), vec![3..6, 8..9]);
    }

    #[test]
    fn a_token_that_reaches_into_untrusted_text_gives_way_to_one_that_does_not() {
        let s = searcher(&[("ab", 1), ("abc", 2), ("bc", 3)]);
        let ids = |text: &str, untrusted: &[Range<usize>]| -> Vec<Option<u32>> {
            s.cut(text, &gaps(text.len(), untrusted)).into_iter().map(|piece| piece.id).collect()
        };
        assert_eq!(ids("abc", &[]), vec![Some(2)]);
        assert_eq!(ids("abc", &[Range { start: 2, end: 3 }]), vec![Some(1), None]);
        assert_eq!(ids("abc", &[Range { start: 0, end: 1 }]), vec![None, Some(3)]);
    }

    #[test]
    fn contradictions_are_refused() {
        let mut added = AddedTokens::default();
        added.insert(7, AddedToken::plain("<a>".into())).expect("first");
        added.insert(7, AddedToken::plain("<a>".into())).expect("same again");
        assert!(added.insert(7, AddedToken::plain("<b>".into())).is_err());
        assert!(added.insert(8, AddedToken::plain("<a>".into())).is_err());
    }
}
