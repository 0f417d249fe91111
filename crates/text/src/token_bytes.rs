//! The bytes of single tokens, as the decoder of `tokenizer.json` would write them.
//!
//! Most decoders work token by token: byte-level BPE writes every byte as a letter, SentencePiece writes a space as
//! `▁` and a byte without a piece as `<0x0A>`. For those, text is the bytes of its tokens end to end, which is what a
//! grammar over bytes needs. Others look at neighbors (WordPiece puts spaces between words).

use serde_json::Value;

use crate::error::TextError;
use crate::tokenizer::Tokenizer;

/// One step of a decoder, done on a token alone.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Letters that stand for bytes.
    ByteLevel,
    /// A text in the place of another.
    Replace { from: String, to: String },
    /// `<0x0A>` is a byte.
    ByteFallback,
}

/// A decoder that works token by token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ByteDecoder(Vec<Step>);

impl ByteDecoder {
    /// The decoder of this JSON; `None` when it looks at more than one token.
    pub(crate) fn new(decoder: &Value) -> Option<Self> {
        let step = |step: Step| Some(vec![step]);
        let steps = match decoder["type"].as_str()? {
            "Sequence" => {
                let decoders = decoder["decoders"].as_array()?.iter().map(ByteDecoder::new);
                decoders.collect::<Option<Vec<_>>>()?.into_iter().flat_map(|part| part.0).collect()
            }
            "ByteLevel" => step(Step::ByteLevel)?,
            "ByteFallback" => step(Step::ByteFallback)?,
            "Replace" => {
                let from = decoder["pattern"]["String"].as_str().filter(|from| !from.is_empty())?;
                step(Step::Replace { from: from.to_string(), to: decoder["content"].as_str()?.to_string() })?
            }
            "Metaspace" => {
                let from = decoder["replacement"].as_str().filter(|from| !from.is_empty())?;
                step(Step::Replace { from: from.to_string(), to: " ".to_string() })?
            }
            // These join tokens, or take the blank before the first one.
            "Fuse" | "Strip" => Vec::new(),
            _ => return None,
        };
        Some(ByteDecoder(steps))
    }

    fn decode(&self, token: &str) -> Vec<u8> {
        let mut text = token.to_string();
        for step in &self.0 {
            match step {
                // As the library does: a token with any other letter is text.
                Step::ByteLevel => {
                    return text.chars().map(byte_of_letter).collect::<Option<_>>().unwrap_or(text.into());
                }
                Step::Replace { from, to } => text = text.replace(from, to),
                Step::ByteFallback => {
                    if let Some(byte) = byte_of_name(&text) {
                        return vec![byte];
                    }
                }
            }
        }
        text.into_bytes()
    }
}

/// The byte that `<0x0A>` names.
fn byte_of_name(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok())?
}

/// The byte that byte-level BPE writes as this letter (GPT-2): printable bytes of Latin-1 stand for themselves, the
/// others, in order, are the letters from U+0100 on.
fn byte_of_letter(letter: char) -> Option<u8> {
    let code = u32::from(letter);
    let byte = match code {
        0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => code,
        0x100..=0x120 => code - 0x100,
        0x121..=0x142 => code - 0x121 + 0x7F,
        0x143 => 0xAD,
        _ => return None,
    };
    u8::try_from(byte).ok()
}

impl Tokenizer {
    /// Whether text is the bytes of its tokens end to end, but for the one blank that SentencePiece takes off its
    /// beginning.
    pub fn is_bytewise(&self) -> bool {
        self.byte_decoder().is_some()
    }

    /// The bytes that a token writes, which need not be whole characters; `None` for an id that the vocabulary does
    /// not know. A special token gives its name. Where decoding looks at neighbors it is what the token gives alone.
    ///
    /// # Errors
    /// [`TextError::Bug`] when the decoder of `tokenizer.json` fails.
    pub fn token_bytes(&self, id: u32) -> Result<Option<Vec<u8>>, TextError> {
        let Some(token) = self.decoded_token(id) else { return Ok(None) };
        match self.byte_decoder() {
            Some(decoder) => Ok(Some(decoder.decode(&token))),
            None => Ok(Some(self.decode(&[id], false)?.into_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_byte_has_a_letter_of_its_own() {
        let letters: Vec<char> =
            (0..0x150).filter_map(char::from_u32).filter(|&c| byte_of_letter(c).is_some()).collect();
        let mut bytes: Vec<u8> = letters.iter().filter_map(|&letter| byte_of_letter(letter)).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert_eq!(
            "Ċ Ġ Ã ©".split(' ').map(|c| byte_of_letter(c.chars().next()?)).collect::<Option<Vec<u8>>>(),
            Some(vec![b'\n', b' ', 0xC3, 0xA9])
        );
    }

    #[test]
    fn decoders_that_look_at_neighbors_are_told_apart() {
        let sentencepiece = json!({"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]});
        let decoder = ByteDecoder::new(&sentencepiece).expect("bytewise");
        assert_eq!(decoder.decode("\u{2581}a\u{2581}"), b" a ");
        assert_eq!(decoder.decode("<0xE2>"), [0xE2]);
        assert_eq!(decoder.decode("<0xZZ>"), b"<0xZZ>");
        let byte_level = ByteDecoder::new(&json!({"type": "ByteLevel"})).expect("bytewise");
        assert_eq!(byte_level.decode("Ġé"), [b' ', 0xE9]);
        assert_eq!(byte_level.decode("<|end of|>"), b"<|end of|>", "a blank is no letter of a byte");
        for other in [
            json!({"type": "WordPiece", "prefix": "##"}),
            json!({"type": "BPEDecoder", "suffix": "</w>"}),
            json!({"type": "Replace", "pattern": {"Regex": "x"}, "content": ""}),
            json!(null),
        ] {
            assert_eq!(ByteDecoder::new(&other), None, "{other}");
        }
    }
}
