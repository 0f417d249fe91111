//! Error of bf16, int8 and int4 weights against f32 on a text: relative error of the logits, and how often the most
//! likely next token agrees. Each token is predicted from the text before it. KV is the type of the KV cache beside
//! these weights (f32, bf16 or int8); the default depends on the weights. With `--language` the language part's weights
//! are those of a GGUF file, packed as `convert` packs them.
//!
//! `cargo run --release -p zoetrope-lab --example agreement -- [--language FILE.gguf] MODEL TEXT [TOKENS [KV]]`

mod reading;

use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use zoetrope_kernels::gemm::WeightType;
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::kv::KvDtype;
use zoetrope_models::loading;
use zoetrope_models::weights::{LoadOptions, Precision};

use reading::Text;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let with_language = arguments.len() > 1 && arguments[0] == "--language";
    let language = with_language.then(|| PathBuf::from(arguments.drain(..2).next_back().unwrap_or_default()));
    let [model, text, rest @ ..] = &arguments[..] else { return Err("MODEL TEXT [TOKENS [KV]]".into()) };
    let most = rest.first().map_or(Ok(2000), |number| number.parse::<usize>())?;
    let text = std::fs::read_to_string(text)?;
    let kv_dtype = match rest.get(1).map(String::as_str) {
        None => None,
        Some("f32") => Some(DType::F32.into()),
        Some("bf16") => Some(DType::BF16.into()),
        Some("int8") => Some(KvDtype::Int8),
        Some(other) => return Err(format!("KV is f32, bf16 or int8, not {other}").into()),
    };
    let checkpoint = Checkpoint::from(Path::new(model));
    let open = |options: LoadOptions| loading::open_with_language(&checkpoint, language.as_deref(), options);
    let exact = open(LoadOptions::cpu(DType::F32))?;
    let mut ids = exact.processor().tokenizer().encode(&text)?;
    ids.truncate(most);
    let want = Text::new(exact.as_ref(), ids.len())?.read(&ids)?;
    drop(exact);
    println!("{} tokens", ids.len());
    for kind in [WeightType::Bf16, WeightType::Int8, WeightType::Int4] {
        let options = LoadOptions { kv_dtype, ..LoadOptions::cpu(Precision::Packed(kind)) };
        let model = open(options)?;
        let bytes = model.weights().summary().bytes_per_token;
        let ours = Text::new(model.as_ref(), ids.len())?.read(&ids)?;
        drop(model);
        let (mut same, mut off, mut all) = (0, 0.0, 0.0);
        for (ours, want) in ours.iter().zip(&want) {
            let likeliest = |logits: &Tensor| logits.argmax(1)?.to_vec1::<u32>();
            same += likeliest(ours)?.iter().zip(likeliest(want)?).filter(|(a, b)| *a == b).count();
            off += f64::from((ours - want)?.sqr()?.sum_all()?.to_scalar::<f32>()?);
            // Logits mean only their differences, so the size is that around the mean of each row.
            let centered = want.broadcast_sub(&want.mean_keepdim(1)?)?;
            all += f64::from(centered.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        let share = 100.0 * same as f64 / ids.len() as f64;
        println!(
            "{kind:?}: same likeliest token {share:.2} %, relative error of the logits {:.2e}; {:.1} MB a token",
            (off / all).sqrt(),
            bytes as f64 / 1e6
        );
    }
    Ok(())
}
