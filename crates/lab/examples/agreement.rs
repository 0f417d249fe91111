//! How far packed weights are from f32 on a text: relative error of the logits, and how often the likeliest next token
//! is the same, every token being given what came before it in the text. Keys and values beside packed weights are held
//! as KV says (f32, bf16 or int8), or as suits the weights.
//!
//! `cargo run --release -p zoetrope-lab --example agreement -- MODEL TEXT [TOKENS [KV]]`

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use zoetrope_models::contract::{Prompt, VideoLanguageModel};
use zoetrope_models::families::{self, Dtypes, Kind, KvDtype, Precision};
use zoetrope_models::parts::cache::Memory;

/// Tokens that are read at once.
const ROWS: usize = 256;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, text, rest @ ..] = &arguments[..] else { return Err("MODEL TEXT [TOKENS [KV]]".into()) };
    let most = rest.first().map_or(Ok(2000), |number| number.parse::<usize>())?;
    let text = std::fs::read_to_string(text)?;
    let kv_cache = match rest.get(1).map(String::as_str) {
        None => None,
        Some("f32") => Some(DType::F32.into()),
        Some("bf16") => Some(DType::BF16.into()),
        Some("int8") => Some(KvDtype::Int8),
        Some(other) => return Err(format!("KV is f32, bf16 or int8, not {other}").into()),
    };
    let open = |dtypes: Dtypes| families::open(Path::new(model), dtypes, &Device::Cpu);
    let exact = open(DType::F32.into())?;
    let mut ids = exact.tokenizer().encode(&text)?;
    ids.truncate(most);
    let want = every_row(exact.as_ref(), &ids)?;
    drop(exact);
    println!("{} tokens", ids.len());
    for kind in [Kind::Bf16, Kind::Int8, Kind::Int4] {
        let ours = every_row(open(Dtypes { weights: Precision::Packed(kind), kv_cache })?.as_ref(), &ids)?;
        let (mut same, mut off, mut all) = (0, 0.0, 0.0);
        for (ours, want) in ours.iter().zip(&want) {
            let likeliest = |logits: &Tensor| logits.argmax(1)?.to_vec1::<u32>();
            same += likeliest(ours)?.iter().zip(likeliest(want)?).filter(|(a, b)| *a == b).count();
            off += f64::from((ours - want)?.sqr()?.sum_all()?.to_scalar::<f32>()?);
            // Logits mean only their differences, so the size is that around the mean of each row.
            let centred = want.broadcast_sub(&want.mean_keepdim(1)?)?;
            all += f64::from(centred.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        let share = 100.0 * same as f64 / ids.len() as f64;
        println!(
            "{kind:?}: same likeliest token {share:.2} %, relative error of the logits {:.2e}",
            (off / all).sqrt()
        );
    }
    Ok(())
}

/// Logits after every token, `[ROWS, W]` at a time.
fn every_row(model: &dyn VideoLanguageModel, ids: &[u32]) -> Result<Vec<Tensor>, Failure> {
    let mut cache = model.new_cache(ids.len())?;
    let mut all = Vec::new();
    for ids in ids.chunks(ROWS) {
        let x = model.embed(&Prompt { ids: ids.to_vec(), ..Prompt::default() }, None)?;
        let rows: Vec<usize> = (0..ids.len()).collect();
        all.push(model.step(&x, &mut Memory::Cache(&mut cache), &rows)?);
    }
    Ok(all)
}
