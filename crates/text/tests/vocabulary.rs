//! Vocabularies in the forms in which checkpoints are published, against the libraries that made them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use zoetrope_text::Tokenizer;

fn data(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).expect("a file of the test's data")
}

fn tokenizer(files: &[(&str, Vec<u8>)]) -> Result<Tokenizer, String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).expect("a file");
    }
    Tokenizer::from_files(folder.path()).map_err(|error| error.to_string())
}

/// Compares ids and texts with those of a golden file, whose texts hold no special tokens.
fn agrees(tokenizer: &Tokenizer, golden: &[u8]) -> usize {
    let golden: Value = serde_json::from_slice(golden).expect("golden");
    let rows = golden["rows"].as_array().expect("rows");
    let mut differ = 0;
    for row in rows {
        let text = row["text"].as_str().expect("text");
        let ids: Vec<u32> = serde_json::from_value(row["ids"].clone()).expect("ids");
        let own = tokenizer.encode_ordinary(text).expect("encode");
        if own != ids {
            differ += 1;
            println!("{text:?}\n  own       {own:?}\n  reference {ids:?}");
            continue;
        }
        // SentencePiece writes an unknown piece as ⁇, transformers by its name.
        let decoded = tokenizer.decode(&own, false).expect("decode").replace("<unk>", " \u{2047} ");
        if decoded != row["decoded"].as_str().expect("decoded") {
            differ += 1;
            println!("{text:?}\n  decoded   {decoded:?}\n  reference {}", row["decoded"]);
        }
    }
    assert!(rows.len() > 200, "{} rows", rows.len());
    differ
}

#[test]
fn sentencepiece_bpe_gives_the_ids_of_its_library() {
    let tokenizer = tokenizer(&[("tokenizer.model", data("sentencepiece_bpe.model"))]).expect("tokenizer");
    assert_eq!(agrees(&tokenizer, &data("sentencepiece_bpe.json")), 0);
}

#[test]
fn sentencepiece_unigram_gives_the_ids_of_its_library() {
    let tokenizer = tokenizer(&[("tokenizer.model", data("sentencepiece_unigram.model"))]).expect("tokenizer");
    assert_eq!(agrees(&tokenizer, &data("sentencepiece_unigram.json")), 0);
}

/// Text is the bytes of its tokens end to end, in every form of vocabulary.
#[test]
fn tokens_bytes_join_to_their_text() {
    let bpe = tokenizer(&[("tokenizer.model", data("sentencepiece_bpe.model"))]).expect("tokenizer");
    let unigram = tokenizer(&[("tokenizer.model", data("sentencepiece_unigram.model"))]).expect("tokenizer");
    let byte_level = Tokenizer::from_bytes(&data("toy_tokenizer.json")).expect("tokenizer");
    for (name, tokenizer) in [("bpe", bpe), ("unigram", unigram), ("byte level", byte_level)] {
        assert!(tokenizer.is_bytewise(), "{name}");
        for text in ["a word", "{\"key\": [1, 2.5], \"é中\": \"👩‍👧\\n\"}", "  two  blanks  ", "x\ny\tz"] {
            let ids = tokenizer.encode_ordinary(text).expect("encode");
            let bytes = ids.iter().map(|&id| tokenizer.token_bytes(id).expect("a decoder").expect("known"));
            let joined = String::from_utf8(bytes.flatten().collect()).expect("text");
            let decoded = tokenizer.decode(&ids, false).expect("decode");
            // SentencePiece takes the blank off the beginning that its encoder has put there.
            assert!(joined == decoded || joined == format!(" {decoded}"), "{name}: {joined:?}, not {decoded:?}");
        }
        let bound = tokenizer.id_bound();
        assert!((0..bound as u32).all(|id| tokenizer.token(id).is_some()), "{name}: no holes in these");
        assert_eq!(tokenizer.token(bound as u32), None);
        assert_eq!(tokenizer.token_bytes(bound as u32).expect("a decoder"), None);
    }
}

/// The vocabulary of Llama 2 is not in the repository; with it and its golden ids at hand they are compared.
#[test]
fn ids_of_a_published_sentencepiece_vocabulary() {
    let Ok(folder) = std::env::var("ZOETROPE_LLAMA_TOKENIZER") else { return };
    let tokenizer = Tokenizer::from_files(Path::new(&folder)).expect("published tokenizer");
    assert_eq!(agrees(&tokenizer, &fs::read(Path::new(&folder).join("ids.json")).expect("golden ids")), 0);
    assert_eq!(tokenizer.vocab_size(), 32_000);
}

/// Rules that only `tokenizer_config.json` says, and files that do not fit.
#[test]
fn rules_of_a_sentencepiece_vocabulary_come_from_its_configuration() {
    let with = |rules: Value| {
        let rules = ("tokenizer_config.json", rules.to_string().into_bytes());
        tokenizer(&[("tokenizer.model", data("sentencepiece_bpe.model")), rules]).expect("tokenizer")
    };
    let tokens = |rules: Value| {
        let tokenizer = with(rules);
        let ids = tokenizer.encode("a</s>a").expect("encode");
        ids.into_iter().map(|id| tokenizer.token(id).expect("token")).collect::<Vec<_>>()
    };
    let space_a = "\u{2581}a".to_string();
    assert_eq!(tokens(json!({})), [&space_a, "</s>", &space_a]);
    assert_eq!(tokens(json!({"legacy": true})), [&space_a, "</s>", &space_a]);
    assert_eq!(tokens(json!({"legacy": false})), [&space_a, "</s>", "a"]);
    assert_eq!(tokens(json!({"add_prefix_space": false})), ["a", "</s>", "a"]);
    let tokenizer = with(json!({"added_tokens_decoder": {"700": {"content": "<image>", "special": true}}}));
    assert_eq!((tokenizer.id("<image>"), tokenizer.id("</s>")), (Some(700), Some(2)));
    // What a person writes is never a command.
    assert!(!tokenizer.encode_ordinary("</s><image>").expect("encode").iter().any(|id| tokenizer.is_special(*id)));
}

#[test]
fn vocabularies_that_are_none_are_refused_by_file() {
    let refused = |files: &[(&str, &[u8])]| {
        let files: Vec<_> = files.iter().map(|(name, bytes)| (*name, bytes.to_vec())).collect();
        tokenizer(&files).expect_err("no tokenizer")
    };
    assert!(
        refused(&[]).ends_with("tokenizer.json: no such file, nor tokenizer.model, nor vocab.json with merges.txt")
    );
    assert!(
        refused(&[("tokenizer.model", b"version https://git-lfs")]).contains("tokenizer.model: no SentencePiece model")
    );
    assert!(refused(&[("tokenizer.model", b"")]).ends_with("tokenizer.model: 0 pieces; a vocabulary has 1 to 2000000"));
    assert!(refused(&[("vocab.json", b"{}")]).ends_with("merges.txt: no such file beside vocab.json"));
    assert!(refused(&[("vocab.json", b"[1]"), ("merges.txt", b"")]).contains("vocab.json: "));
    let half = &data("sentencepiece_bpe.model")[..4000];
    assert!(refused(&[("tokenizer.model", half)]).contains("tokenizer.model: no SentencePiece model"));
    let unknown = refused(&[("vocab.json", b"{\"a\": 0, \"b\": 1}"), ("merges.txt", b"a c\n")]);
    assert!(unknown.contains("vocab.json: ") && unknown.contains("`c`"), "{unknown}");
}

/// Files of a tokenizer written in Python are those of the toy's `tokenizer.json`, taken apart.
#[test]
fn vocab_json_with_merges_gives_the_ids_of_tokenizer_json() {
    let fast: Value = serde_json::from_slice(&data("toy_tokenizer.json")).expect("toy");
    let merges = fast["model"]["merges"].as_array().expect("merges").iter();
    let merge = |merge: &Value| match merge.as_array() {
        Some(two) => two.iter().map(|part| part.as_str().expect("text")).collect::<Vec<_>>().join(" "),
        None => merge.as_str().expect("text").to_string(),
    };
    let merges: Vec<String> = merges.map(merge).collect();
    let added: serde_json::Map<String, Value> = fast["added_tokens"]
        .as_array()
        .expect("added tokens")
        .iter()
        .map(|token| (token["id"].to_string(), token.clone()))
        .collect();
    let slow = tokenizer(&[
        ("vocab.json", fast["model"]["vocab"].to_string().into_bytes()),
        ("merges.txt", format!("#version: 0.2\n{}\n", merges.join("\n")).into_bytes()),
        (
            "tokenizer_config.json",
            json!({"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": added}).to_string().into_bytes(),
        ),
    ])
    .expect("tokenizer");
    let fast = Tokenizer::from_bytes(&data("toy_tokenizer.json")).expect("toy");
    let golden: Value = serde_json::from_slice(&data("toy_ids.json")).expect("golden");
    for row in golden["rows"].as_array().expect("rows") {
        let text = row["text"].as_str().expect("text");
        let ids: Vec<u32> = serde_json::from_value(row["ids"].clone()).expect("ids");
        assert_eq!(slow.encode(text).expect("encode"), ids, "{text:?}");
        assert_eq!(slow.decode(&ids, false), fast.decode(&ids, false), "{text:?}");
    }
}
