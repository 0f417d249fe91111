//! The streaming detokenizer: pieces join to the whole text, nothing is taken back, no character is broken.

use serde_json::{Value, json};
use zoetrope_text::{Detokenizer, Tokenizer};

fn toy() -> Tokenizer {
    Tokenizer::from_bytes(include_bytes!("data/toy_tokenizer.json")).expect("toy tokenizer")
}

/// Pieces after every token, and what `finish` gives after every prefix of `ids`.
fn stream(tokenizer: &Tokenizer, ids: &[u32]) -> (Vec<Option<String>>, Vec<String>) {
    let mut stream = Detokenizer::new(tokenizer, false);
    let mut ends = vec![stream.clone().finish()];
    let mut pieces = Vec::new();
    for &id in ids {
        pieces.push(stream.push(id).expect("push"));
        ends.push(stream.clone().finish());
    }
    (pieces, ends)
}

/// What holds for any ids: whatever was given out stays the beginning of the text, whichever tokens follow.
fn check(tokenizer: &Tokenizer, ids: &[u32]) {
    let (pieces, ends) = stream(tokenizer, ids);
    let mut given = String::new();
    for length in 0..=ids.len() {
        let whole = tokenizer.decode(&ids[..length], false).expect("decode");
        if length > 0 {
            given.push_str(pieces[length - 1].as_deref().unwrap_or_default());
        }
        assert!(whole.starts_with(&given), "{given:?} is not the beginning of {whole:?}");
        assert_eq!(format!("{given}{}", ends[length]), whole, "after {length} of {ids:?}");
    }
}

#[test]
fn every_split_of_long_characters_gives_whole_characters() {
    let tokenizer = toy();
    for text in ["é", "中文", "👩‍👩‍👧 family", "a👍🏽b", "नमस्ते", "\u{FFFD}x\u{FFFD}", "x\u{FFFD}"]
    {
        let ids = tokenizer.encode_ordinary(text).expect("encode");
        check(&tokenizer, &ids);
        // One token a byte: the hardest split there is.
        let bytes: Vec<u32> = text.bytes().map(|byte| byte_id(&tokenizer, byte)).collect();
        check(&tokenizer, &bytes);
        let (pieces, ends) = stream(&tokenizer, &bytes);
        let whole: String = pieces.iter().flatten().map(String::as_str).collect();
        assert_eq!(format!("{whole}{}", ends[bytes.len()]), text);
        if !text.contains('\u{FFFD}') {
            assert!(pieces.iter().flatten().all(|piece| !piece.contains('\u{FFFD}')), "{pieces:?}");
            assert_eq!(pieces.iter().flatten().count(), text.chars().count(), "one piece a character");
        }
    }
}

fn byte_id(tokenizer: &Tokenizer, byte: u8) -> u32 {
    let found = (0..tokenizer.vocab_size() as u32).find(|&id| {
        let token = tokenizer.token(id).expect("token");
        token.chars().count() == 1 && token.starts_with(byte_char(byte))
    });
    found.expect("a token for every byte")
}

/// The character by which byte-level vocabularies write a byte.
fn byte_char(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&other| !printable(other)).count() as u32;
    char::from_u32(256 + before).expect("a character")
}

#[test]
fn any_bytes_at_all_stream_to_their_lossy_text() {
    let tokenizer = toy();
    let ids: Vec<u32> = (0..=255).map(|byte| byte_id(&tokenizer, byte)).collect();
    // A fixed xorshift sequence, so that a failure repeats.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let leads = [0x80, 0xBF, 0xC3, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x91, 0xFF, b'a', b' '];
    for _ in 0..300 {
        let bytes: Vec<usize> = (0..1 + next(12)).map(|_| leads[next(leads.len())] as usize).collect();
        check(&tokenizer, &bytes.iter().map(|&byte| ids[byte]).collect::<Vec<_>>());
    }
    let endless = vec![ids[0x80]; 2000];
    check(&tokenizer, &endless[..300]);
    let (pieces, _) = stream(&tokenizer, &endless);
    assert!(pieces.iter().flatten().map(|piece| piece.chars().count()).sum::<usize>() >= 1999);
}

#[test]
fn special_and_unknown_ids_give_nothing_when_skipped() {
    let tokenizer = toy();
    let end = tokenizer.id("<|im_end|>").expect("id");
    let ids = [tokenizer.id("a").expect("id"), end, 999_999, tokenizer.id("b").expect("id")];
    let collect = |skip| -> Vec<Option<String>> {
        let mut stream = Detokenizer::new(&tokenizer, skip);
        ids.iter().map(|&id| stream.push(id).expect("push")).collect()
    };
    let text = |text: &str| Some(text.to_string());
    assert_eq!(collect(true), vec![text("a"), None, None, text("b")]);
    assert_eq!(collect(false), vec![text("a"), text("<|im_end|>"), None, text("b")]);
}

/// The form of Llama vocabularies: a mark for spaces, single bytes for the rest, a stripped space at the beginning.
fn llama_like() -> Tokenizer {
    let mut vocab = json!({"<unk>": 0, "<s>": 1, "</s>": 2});
    for byte in 0..=255u32 {
        vocab[format!("<0x{byte:02X}>")] = json!(3 + byte);
    }
    for (index, piece) in ["▁", "▁the", "▁man", "s", "x"].iter().enumerate() {
        vocab[*piece] = json!(259 + index);
    }
    let json = json!({
        "version": "1.0", "added_tokens": [], "pre_tokenizer": null, "post_processor": null,
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
                       {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "vocab": vocab, "merges": []}
    });
    Tokenizer::from_bytes(json.to_string().as_bytes()).expect("tokenizer")
}

#[test]
fn runs_of_bytes_are_given_out_when_they_end() {
    let tokenizer = llama_like();
    let id = |token: &str| tokenizer.id(token).expect(token);
    let euro = [id("<0xE2>"), id("<0x82>"), id("<0xAC>")];
    let ids =
        [&[id("▁the"), id("▁man"), id("s")], &euro[..], &[id("▁the")], &euro[..2], &[id("x")], &euro[..]].concat();
    check(&tokenizer, &ids);
    // A byte that spoils the run changes all of it, so none of it may be out before.
    check(&tokenizer, &[&euro[..], &[id("<0x80>"), id("x")]].concat());
    let (pieces, _) = stream(&tokenizer, &ids);
    let expected: Vec<Value> = pieces.iter().map(|piece| json!(piece)).collect();
    assert_eq!(
        expected[..7],
        [json!("the"), json!(" man"), json!("s"), Value::Null, Value::Null, Value::Null, json!("€ the")]
    );
}
