//! Replies of random models: whatever the logits are, what comes out follows the grammar.

mod hostile;
mod json_schema;
mod speed;
mod vocabularies;

use zoetrope_text::Tokenizer;

use super::{Constraint, GrammarCompiler};
use crate::error::EngineError;
use crate::generate::{Sampler, Sampling};

/// The tokenizer of the default model: byte-level BPE of 800 ids, of which 795 and 793 end a reply.
fn nano() -> Tokenizer {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/models/zoetrope-nano/tokenizer.json");
    Tokenizer::from_bytes(&std::fs::read(file).expect("the default model")).expect("its tokenizer")
}

fn compiler() -> GrammarCompiler {
    GrammarCompiler::of_tokenizer(&nano(), &[795, 793])
}

/// Numbers that look random, from a seed (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }
}

/// The text that a model of random logits writes, and whether it ended within `budget` tokens. Tokens that close
/// something become likelier with time, as no text would end otherwise.
fn write(tokenizer: &Tokenizer, sampling: &Sampling, stop_ids: &[u32], seed: u64, budget: usize) -> (String, bool) {
    let mut noise = Noise(seed * 2 + 1);
    let bound = tokenizer.id_bound();
    let closes: Vec<bool> = (0..bound as u32)
        .map(|id| {
            let bytes = tokenizer.token_bytes(id).expect("a decoder").unwrap_or_default();
            stop_ids.contains(&id) || bytes.len() == 1 && b"\"]}".contains(&bytes[0])
        })
        .collect();
    let mut sampler = Sampler::new(sampling, &[]).expect("valid").with_stop_ids(stop_ids);
    let mut bytes = Vec::new();
    for step in 0..budget {
        // A few rows more than there are ids, as embeddings have.
        let logits: Vec<f32> = (0..bound + 32)
            .map(|id| 8.0 * noise.next() + if *closes.get(id).unwrap_or(&false) { step as f32 * 0.2 } else { 0.0 })
            .collect();
        let id = sampler.pick(&logits).expect("a token");
        if stop_ids.contains(&id) {
            return (text(bytes), true);
        }
        bytes.extend(tokenizer.token_bytes(id).expect("a decoder").expect("a known id"));
        if sampler.is_complete() {
            return (text(bytes), true);
        }
    }
    (text(bytes), false)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn following(constraint: &Constraint, compiler: &GrammarCompiler) -> Sampling {
    let grammar = compiler.compile(constraint).unwrap_or_else(|error| panic!("{constraint:?}: {error}"));
    Sampling { temperature: 1.0, grammar: Some(grammar), ..Sampling::default() }
}

/// Many replies under a constraint; all of them ended.
fn replies(constraint: &Constraint, count: u64) -> Vec<String> {
    let (tokenizer, compiler) = (nano(), compiler());
    let sampling = following(constraint, &compiler);
    (0..count)
        .map(|seed| {
            let sampling = Sampling { seed, ..sampling.clone() };
            let (text, ended) = write(&tokenizer, &sampling, &[795, 793], seed, 600);
            assert!(ended, "no end: {text}");
            text
        })
        .collect()
}

fn refusal(constraint: &Constraint) -> String {
    compiler().compile(constraint).map(|_| ()).map_err(|error: EngineError| error.to_string()).expect_err("refused")
}

#[test]
fn a_choice_gives_each_of_its_texts_and_nothing_else() {
    let texts = ["up", "upper", "down", "\"quoted\" \\ back", "é中\n\u{7F}"].map(String::from);
    let replies = replies(&Constraint::Choice(texts.to_vec()), 200);
    assert!(replies.iter().all(|reply| texts.contains(reply)), "{replies:?}");
    assert!(texts.iter().all(|text| replies.contains(text)), "{replies:?}");
}

#[test]
fn a_regular_expression_is_matched_as_a_whole() {
    for rx in ["[0-9]{1,2}:[0-5][0-9]", "^[0-9]{1,2}:[0-5][0-9]$"] {
        for reply in replies(&Constraint::Regex(rx.to_string()), 50) {
            let (hours, minutes) = reply.split_once(':').expect("a colon");
            assert!(hours.len() <= 2 && hours.parse::<u8>().is_ok(), "{reply}");
            assert!(minutes.len() == 2 && minutes.parse::<u8>().expect("a number") < 60, "{reply}");
        }
    }
    let replies = replies(&Constraint::Regex(r"a/b\$|(left|right)\.?".to_string()), 60);
    assert!(
        replies.iter().all(|reply| ["a/b$", "left", "left.", "right", "right."].contains(&&reply[..])),
        "{replies:?}"
    );
}

#[test]
fn a_lark_grammar_and_llguidances_own_are_followed() {
    let lark = "start: sum\nsum: NUMBER | \"(\" sum \"+\" sum \")\"\nNUMBER: /[1-9]/\n";
    let own = serde_json::json!({"grammars": [{"lark_grammar": lark}]}).to_string();
    for grammar in [lark.to_string(), own] {
        for reply in replies(&Constraint::Lark(grammar), 20) {
            let count = |c: char| reply.matches(c).count();
            assert!(count('(') == count(')') && count('(') == count('+'), "{reply}");
            assert!(reply.chars().all(|c| "()+123456789".contains(c)), "{reply}");
        }
    }
}

#[test]
fn constraints_that_cannot_be_read_are_the_callers_errors() {
    let regex = |text: &str| refusal(&Constraint::Regex(text.to_string()));
    for text in ["(", "a{2,1}", "(?=x)", ""] {
        assert!(regex(text).starts_with("regular expression: "), "{}", regex(text));
    }
    let lark = refusal(&Constraint::Lark("start: missing".to_string()));
    assert!(lark.starts_with("grammar: ") && lark.contains("missing"), "{lark}");
    assert_eq!(refusal(&Constraint::Choice(Vec::new())), "choice: no text, or an empty one");
    assert_eq!(refusal(&Constraint::Choice(vec!["a".into(), String::new()])), "choice: no text, or an empty one");
}
