//! What a token costs; run by hand, as times depend on the machine:
//! `cargo test --release -p zoetrope-engine speed -- --ignored --nocapture`.

use std::hint::black_box;
use std::time::Instant;

use serde_json::{Map, Value, json};
use zoetrope_text::Tokenizer;

use super::super::{Constraint, GrammarCompiler};
use super::Noise;
use crate::generate::{Sampler, Sampling, token_logprobs};

/// A byte-level vocabulary of so many tokens: all bytes, then made-up words, with and without a blank before them.
fn vocabulary(size: usize) -> Tokenizer {
    let mut vocab = Map::new();
    let letters = (0..0x180u32)
        .filter_map(char::from_u32)
        .filter(|c| matches!(u32::from(*c), 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF | 0x100..=0x143));
    for letter in letters {
        vocab.insert(letter.to_string(), json!(vocab.len()));
    }
    let parts = ["an", "er", "st", "in", "o", "u", "tion", "le", "re", "ca", "mo", "\"", "\":", "},", "12", "é", "-"];
    let mut noise = Noise(5);
    while vocab.len() < size - 1 {
        let start = if noise.next() < 0.5 { "Ġ" } else { "" };
        let count = 1 + (noise.next() * 5.0) as usize;
        let word: String =
            (0..count).map(|_| parts[(noise.next() * parts.len() as f32) as usize % parts.len()]).collect();
        let id = vocab.len();
        vocab.entry(format!("{start}{word}").replace('é', "Ã©")).or_insert(json!(id));
    }
    let end = json!({"id": vocab.len(), "content": "<end>", "special": true, "normalized": false, "single_word": false,
        "lstrip": false, "rstrip": false});
    let decoder = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false});
    let json: Value = json!({"version": "1.0", "added_tokens": [end], "decoder": decoder,
        "model": {"type": "BPE", "vocab": vocab, "merges": []}});
    Tokenizer::from_bytes(&serde_json::to_vec(&json).expect("JSON")).expect("a tokenizer")
}

fn micros(count: usize, mut work: impl FnMut(usize)) -> f64 {
    let begun = Instant::now();
    (0..count).for_each(&mut work);
    begun.elapsed().as_secs_f64() * 1e6 / count as f64
}

#[test]
#[ignore = "prints times"]
fn speed_of_a_choice() {
    for width in [4096, 152_064] {
        let tokenizer = vocabulary(width);
        let mut noise = Noise(9);
        // Like those of a model: few are near the largest.
        let rows: Vec<Vec<f32>> =
            (0..8).map(|_| (0..width).map(|_| -3.0 * noise.next().max(1e-7).ln()).collect()).collect();
        let default = Sampling::default;
        let warm = || Sampling { temperature: 0.8, ..default() };
        for (name, sampling) in [
            ("greedy", default()),
            ("greedy, penalties", Sampling { presence_penalty: 0.5, ..default() }),
            ("temperature", warm()),
            ("top-k 50", Sampling { top_k: Some(50), ..warm() }),
            ("top-p 0.9", Sampling { top_p: Some(0.9), ..warm() }),
            ("top-k 50, top-p 0.9", Sampling { top_k: Some(50), top_p: Some(0.9), ..warm() }),
            ("min-p 0.05", Sampling { min_p: Some(0.05), ..warm() }),
        ] {
            let mut sampler = Sampler::new(&sampling, &[]).expect("valid");
            let time = micros(200, |at| _ = black_box(sampler.pick(&rows[at % 8]).expect("a token")));
            println!("W {width:>6} {name:24} {time:>8.1} us");
        }
        let time = micros(50, |at| _ = black_box(token_logprobs(&tokenizer, &rows[at % 8], 7, 20).expect("told")));
        println!("W {width:>6} {:24} {time:>8.1} us", "20 log-probabilities");
    }
}

#[test]
#[ignore = "prints times"]
fn speed_of_a_grammar() {
    let properties = json!({"color": {"enum": ["red", "green", "blue"]}, "sure": {"type": "integer", "minimum": 0,
        "maximum": 100}, "what": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}},
        "box": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}});
    let schema = json!({"type": "object", "properties": properties, "required": ["color", "sure", "what", "tags", "box"],
        "additionalProperties": false});
    for width in [4096, 152_064] {
        let tokenizer = vocabulary(width);
        let end = width as u32 - 1;
        let compiler = GrammarCompiler::of_tokenizer(&tokenizer, &[end]);
        let begun = Instant::now();
        compiler.compile(&Constraint::JsonObject).expect("a grammar");
        println!("W {width:>6} vocabulary {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
        for (name, constraint) in [
            ("schema", Constraint::JsonSchema(schema.clone())),
            ("any object", Constraint::JsonObject),
            ("choice", Constraint::Choice(["up", "down", "left", "right"].map(String::from).to_vec())),
            ("regex", Constraint::Regex("[a-z ]{5,200}".into())),
        ] {
            let begun = Instant::now();
            let grammar = compiler.compile(&constraint).expect("a grammar");
            let compile = begun.elapsed().as_secs_f64() * 1e3;
            let begin = micros(100, |_| _ = black_box(grammar.begin()));
            let (mut tokens, mut seconds, mut worst, mut noise) = (0, 0.0, 0f64, Noise(3));
            for _ in 0..20 {
                let mut state = grammar.begin();
                for step in 0..120 {
                    if state.is_complete() {
                        break;
                    }
                    let begun = Instant::now();
                    let allowed: Vec<u32> = state.allowed().expect("a mask").to_vec();
                    let time = begun.elapsed().as_secs_f64();
                    let ids: Vec<u32> =
                        (0..width as u32).filter(|id| allowed[*id as usize / 32] >> (id % 32) & 1 == 1).collect();
                    let shortest = ids.iter().find(|id| **id == 1 || **id == 92).filter(|_| step % 10 == 9);
                    let pick = shortest.copied().unwrap_or(ids[(noise.next() * ids.len() as f32) as usize % ids.len()]);
                    let begun = Instant::now();
                    state.take(pick).expect("allowed");
                    let time = time + begun.elapsed().as_secs_f64();
                    (tokens, seconds, worst) = (tokens + 1, seconds + time, worst.max(time));
                }
            }
            let mean = seconds * 1e6 / f64::from(tokens);
            println!(
                "W {width:>6} {name:12} compile {compile:>6.2} ms, copy {begin:>6.1} us, token {mean:>7.1} us, worst {:>7.1} us, {tokens} tokens",
                worst * 1e6
            );
        }
    }
}
