//! Greedy tokens of a language part, to lay beside those of another program (`reference/llama_cpp_greedy.py`).
//!
//! IN is a JSON list of `{"prompt": [ids], "answer": [ids]}`. OUT gets a list of `{"greedy": [[id, lead], ...],
//! "given": [[id, lead], ...]}`: first TOKENS tokens after the prompt, each given our own before it, then the likeliest
//! token at each place of the answer, given the answer's before it. A lead is how far the logit is above the second.
//!
//! `cargo run --release -p zoetrope-lab --example greedy -- MODEL GGUF DTYPE TOKENS IN OUT`

mod reading;

use std::path::Path;

use candle_core::DType;
use serde::{Deserialize, Serialize};
use zoetrope_kernels::gemm::WeightType;
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::loading;
use zoetrope_models::weights::{LoadOptions, Precision};

use reading::Text;

type Failure = Box<dyn std::error::Error>;

#[derive(Deserialize)]
struct Asked {
    prompt: Vec<u32>,
    answer: Vec<u32>,
}

#[derive(Serialize)]
struct Likeliest {
    greedy: Vec<(u32, f32)>,
    given: Vec<(u32, f32)>,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, gguf, dtype, tokens, asked, out] = &arguments[..] else {
        return Err("MODEL GGUF DTYPE TOKENS IN OUT".into());
    };
    let packed = WeightType::ALL.into_iter().find(|kind| kind.name() == dtype);
    let packed = packed.ok_or_else(|| format!("DTYPE is f32, bf16, int8 or int4, not {dtype}"))?;
    let precision = Precision::Packed(packed);
    let options = LoadOptions { kv_dtype: Some(DType::F32.into()), ..LoadOptions::cpu(precision) };
    let (checkpoint, tokens) = (Checkpoint::from(Path::new(model)), tokens.parse::<usize>()?);
    let model = loading::open_with_language(&checkpoint, Some(Path::new(gguf)), options)?;
    let asked: Vec<Asked> = serde_json::from_slice(&std::fs::read(asked)?)?;
    let one = |asked: &Asked| -> Result<Likeliest, Failure> {
        let mut text = Text::new(model.as_ref(), asked.prompt.len() + tokens)?;
        let (mut greedy, mut next) = (Vec::new(), asked.prompt.clone());
        while greedy.len() < tokens {
            let best = likeliest(&mut text, &next)?.pop().ok_or("an empty prompt")?;
            greedy.push(best);
            next = vec![best.0];
        }
        let (first, whole) = (asked.prompt.len() - 1, [&asked.prompt[..], &asked.answer].concat());
        let mut given = likeliest(&mut Text::new(model.as_ref(), whole.len())?, &whole[..whole.len() - 1])?;
        given.drain(..first.min(given.len()));
        Ok(Likeliest { greedy, given })
    };
    let found = asked.iter().map(one).collect::<Result<Vec<Likeliest>, Failure>>()?;
    Ok(std::fs::write(out, serde_json::to_vec(&found)?)?)
}

/// The likeliest token after each of `ids`, which follow what `text` has, and its lead.
fn likeliest(text: &mut Text<'_>, ids: &[u32]) -> Result<Vec<(u32, f32)>, Failure> {
    let mut all = Vec::new();
    for logits in text.read(ids)? {
        all.extend(logits.to_dtype(DType::F32)?.to_vec2::<f32>()?.iter().map(|row| leader(row)));
    }
    Ok(all)
}

/// The index of the largest value, and how far it is above the second.
fn leader(row: &[f32]) -> (u32, f32) {
    let (mut first, mut second) = ((0, f32::NEG_INFINITY), f32::NEG_INFINITY);
    for (at, &value) in row.iter().enumerate() {
        if value > first.1 {
            (second, first) = (first.1, (at as u32, value));
        } else if value > second {
            second = value;
        }
    }
    (first.0, first.1 - second)
}
