//! JSON that is whole when its budget ends.
//!
//! A small model may write on in a string for as long as it may, and half a JSON text is of no use to anyone. So, near
//! the end of the budget, the shortest way to the end of the text is kept at hand: strings are closed, then arrays and
//! objects, with what a schema still requires. A token that would leave too little room for it is not taken; the reply
//! goes that way instead.

use llguidance::Matcher;
use llguidance::toktrie::{SimpleVob, TokTrie};

/// Only so many tokens before the end of the budget is anything looked at.
const HORIZON: usize = 512;
/// Tokens after which the length of the way is looked up again while it is far from the budget.
const INTERVAL: usize = 32;
/// Tokens by which the way may become longer until then.
const GROWTH: usize = 48;

/// What closes a text of JSON, outside of strings, the shortest way first.
const OUTSIDE: &[u8] = b"}]\",0123456789-ntf[{:";
/// Letters that no value, number or name outside of a string begins or goes on with.
const WITHIN_STRINGS: &[u8] = b"abcdghijkmopqvwxyz";

/// The way to the end of a reply.
#[derive(Clone, Debug, Default)]
pub(super) struct Closing {
    /// The tokens to come, from the current position; `None` while there is room enough not to know.
    way: Option<Vec<u32>>,
    /// Length of the way when it was last looked up.
    length: usize,
    /// Tokens since.
    since: usize,
}

impl Closing {
    /// The token to take at a position where `id` was chosen and `left` tokens may be taken, that one included: `id`
    /// itself unless the reply would not come to its end then.
    pub(super) fn settle(&mut self, matcher: &Matcher, id: u32, left: usize) -> u32 {
        if left > HORIZON {
            return id;
        }
        if self.way.is_none() {
            let known = self.length > 0 && self.since < INTERVAL;
            self.since += 1;
            if known {
                return id;
            }
            let Some(way) = way_to_end(matcher.clone()) else { return id };
            (self.length, self.since) = (way.len(), 0);
            if left > way.len() + GROWTH {
                return id;
            }
            self.way = Some(way);
        }
        match self.way.take() {
            Some(way) if way.len() <= left => self.follow(matcher, way, id, left),
            // The budget was too small from the beginning.
            _ => id,
        }
    }

    fn follow(&mut self, matcher: &Matcher, mut way: Vec<u32>, id: u32, left: usize) -> u32 {
        if way.first() == Some(&id) {
            way.remove(0);
            self.way = Some(way);
            return id;
        }
        let mut next = matcher.clone();
        let after = match next.consume_token(id) {
            Ok(()) if leads_to_end(next.clone(), &way) => Some(way.clone()),
            Ok(()) => way_to_end(next),
            Err(_) => None,
        };
        match after {
            Some(after) if after.len() < left => {
                self.way = Some(after);
                id
            }
            _ if way.is_empty() => end_of(matcher).unwrap_or(id),
            _ => {
                let closing = way.remove(0);
                self.way = Some(way);
                closing
            }
        }
    }
}

/// A token that ends the reply.
fn end_of(matcher: &Matcher) -> Option<u32> {
    matcher.tok_env().ok()?.tok_trie().eos_token_set().first_bit_set().map(|id| id as u32)
}

/// Whether the text is whole after these tokens.
fn leads_to_end(mut matcher: Matcher, way: &[u32]) -> bool {
    matches!(matcher.try_consume_tokens(way), Ok(taken) if taken == way.len()) && is_whole(&mut matcher)
}

fn is_whole(matcher: &mut Matcher) -> bool {
    matcher.is_stopped() && !matcher.is_error() || matcher.is_accepting().unwrap_or(false)
}

/// The tokens of a short way to the end; `None` where none is found.
fn way_to_end(mut matcher: Matcher) -> Option<Vec<u32>> {
    let vocabulary = matcher.tok_env().ok()?;
    let trie = vocabulary.tok_trie();
    let mut way = Vec::new();
    while way.len() <= HORIZON {
        if is_whole(&mut matcher) {
            return Some(way);
        }
        let forced = matcher.compute_ff_bytes();
        let next = match forced.is_empty() {
            false => trie.greedy_tokenize(&forced),
            true => vec![closing_token(&matcher.compute_mask().ok()?, trie)?],
        };
        matcher.consume_tokens(&next).ok()?;
        way.extend(next);
    }
    None
}

/// Of the tokens that may come next the one that closes most; else the shortest.
fn closing_token(allowed: &SimpleVob, trie: &TokTrie) -> Option<u32> {
    let of_byte = |byte: &u8| trie.token_id_at_bytes(&[*byte]).filter(|id| allowed.is_allowed(*id));
    let preferred = match WITHIN_STRINGS.iter().any(|byte| of_byte(byte).is_some()) {
        true => of_byte(&b'"'),
        false => OUTSIDE.iter().find_map(of_byte),
    };
    let shortest = || allowed.iter().filter(|id| trie.token_len(*id) > 0).min_by_key(|id| trie.token_len(*id));
    preferred.or_else(shortest)
}
