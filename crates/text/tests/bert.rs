//! BERT's tokenizer against transformers (`reference/make_bert_goldens.py`).

use std::path::{Path, PathBuf};

use serde_json::Value;
use zoetrope_text::{BertTokenizer, TextError, TextFiles, TruncationSide};

/// A `vocab.txt` in memory.
struct Vocab(String);

impl TextFiles for Vocab {
    fn read(&self, name: &str, limit: u64, what: &'static str) -> Result<Option<Vec<u8>>, TextError> {
        let length = self.0.len();
        if length as u64 > limit {
            return Err(TextError::Limit { what, number: length, limit: limit as usize });
        }
        Ok((name == "vocab.txt").then(|| self.0.clone().into_bytes()))
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new("folder").join(name)
    }
}

fn golden() -> (Value, Vocab) {
    let golden: Value = serde_json::from_str(include_str!("golden/bert.json")).expect("golden file");
    let lines: Vec<&str> = golden["vocab"].as_array().expect("lines").iter().filter_map(Value::as_str).collect();
    let vocab = Vocab(lines.join("\n") + "\n");
    (golden, vocab)
}

fn bert(vocab: &Vocab) -> BertTokenizer {
    BertTokenizer::from_files(vocab, "vocab.txt", &["[DEC]"]).expect("vocabulary").expect("file")
}

#[test]
fn ids_of_difficult_texts_are_those_of_the_reference_whichever_end_is_left_out() {
    let (golden, vocab) = golden();
    let bert = bert(&vocab);
    assert_eq!(bert.vocab_size() as u64, golden["size"].as_u64().expect("size"));
    let rows = golden["rows"].as_array().expect("rows");
    assert!(rows.len() > 100, "{} rows", rows.len());
    for row in rows {
        let text = row["text"].as_str().expect("text");
        let side = if row["side"] == "left" { TruncationSide::Left } else { TruncationSide::Right };
        let longest = row["longest"].as_u64().expect("longest") as usize;
        let want: Vec<u32> = serde_json::from_value(row["ids"].clone()).expect("ids");
        assert_eq!(bert.encode(text, longest, side).expect("encode"), want, "{text:?}, {longest} from the {side:?}");
    }
}

#[test]
fn an_added_token_is_the_one_after_the_last_line_and_text_cannot_say_it() {
    let (golden, vocab) = golden();
    let bert = bert(&vocab);
    let lines = golden["vocab"].as_array().expect("lines").len() as u32;
    assert_eq!(bert.id("[DEC]"), Some(lines));
    let (cls, sep) = (bert.id("[CLS]").expect("cls"), bert.id("[SEP]").expect("sep"));
    let ids = bert.encode("[DEC] [SEP]", 512, TruncationSide::Left).expect("encode");
    assert!(!ids.contains(&lines));
    assert_eq!((ids[0], ids[ids.len() - 1]), (cls, sep));
    assert_eq!(ids.iter().filter(|&&id| id == sep).count(), 1);
}

#[test]
fn windows_lines_are_read_and_wrong_vocabularies_refused_with_their_path() {
    let (_, vocab) = golden();
    let windows = Vocab(vocab.0.replace('\n', "\r\n"));
    let ids = |vocab: &Vocab| bert(vocab).encode("the man", 512, TruncationSide::Left).expect("encode");
    assert_eq!(ids(&windows), ids(&vocab));
    assert!(BertTokenizer::from_files(&vocab, "none.txt", &[]).expect("no file").is_none());
    for token in ["[CLS]", "[SEP]", "[UNK]"] {
        let without = Vocab(vocab.0.replace(&format!("{token}\n"), ""));
        let error = BertTokenizer::from_files(&without, "vocab.txt", &[]).expect_err("refused").to_string();
        assert!(error.contains("vocab.txt") && error.contains(token), "{error}");
    }
}
