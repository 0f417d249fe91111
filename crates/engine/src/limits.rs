//! What one request may cost; every number is checked before memory is taken for it. Numbers are inclusive.

use std::time::Duration;

use crate::error::EngineError;

/// Limits of one conversation with safe defaults for one person at a laptop.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Pictures and videos of a conversation.
    pub media: usize,
    /// Characters of the text of one message.
    pub characters: usize,
    /// Visual tokens of a conversation, before pruning.
    pub visual_tokens: usize,
    /// Tokens of the whole prompt; the checkpoint's own maximum applies as well.
    pub prompt_tokens: usize,
    /// Tokens of one answer.
    pub answer_tokens: usize,
    /// Bytes of keys and values.
    pub cache_bytes: usize,
    /// Wall time of one answer, from opening the media to the last token.
    pub wall_time: Duration,
    /// How media files are opened, with the limits of one file.
    pub files: zoetrope_media::OpenOptions,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            media: 64,
            characters: 100_000,
            visual_tokens: 65_536,
            prompt_tokens: 131_072,
            answer_tokens: 8_192,
            cache_bytes: 8 << 30,
            wall_time: Duration::from_secs(4 * 3600),
            files: zoetrope_media::OpenOptions::default(),
        }
    }
}

/// Fails with both numbers when `number` is more than `limit`.
pub fn check_limit(what: &'static str, number: usize, limit: usize) -> Result<(), EngineError> {
    if number <= limit {
        return Ok(());
    }
    Err(EngineError::Limit { what, number: number as u64, limit: limit as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_inclusive_and_its_error_names_both_numbers() {
        assert!(check_limit("prompt tokens", 7, 7).is_ok());
        let text = check_limit("prompt tokens", 8, 7).map_err(|e| e.to_string());
        assert_eq!(text, Err("prompt tokens: 8 is more than the limit of 7".to_string()));
    }
}
