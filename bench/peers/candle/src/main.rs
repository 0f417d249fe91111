//! How fast candle runs the parts of a VideoLLaMA3-2B here: one matrix product, the encoder, a prompt and an answer.
//!
//! Does the work of `zoetrope bench --frames 1 --side 448 --prompt 1024 --answer 32`: candle-transformers' SigLIP and
//! Qwen2 in the same shapes with noise for weights, and its quantized Qwen2 on a GGUF file. Batch 1, medians after one
//! warm-up. `RAYON_NUM_THREADS` says how many threads. Prints one JSON object a line. Run it in this folder:
//! `cargo run --release -- --gguf FILE`.

mod noise;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use candle_core::quantized::gguf_file::Content;
use candle_core::utils::get_num_threads;
use candle_core::{DType, Device, Module, Tensor};
use candle_transformers::models::{quantized_qwen2, qwen2, siglip};
use clap::Parser;
use serde_json::json;

#[derive(Parser)]
struct Args {
    /// Any of product, vision, language, gguf.
    #[arg(long, value_delimiter = ',', default_value = "product,vision,language,gguf")]
    work: Vec<String>,
    /// Data types of weights and values: f32, bf16, f16.
    #[arg(long, value_delimiter = ',', default_value = "f32,bf16")]
    dtypes: Vec<DType>,
    /// A Qwen2 file for the work `gguf`, which is left out without it.
    #[arg(long)]
    gguf: Option<PathBuf>,
    /// Tokens of the prompt.
    #[arg(long, default_value_t = 1024)]
    prompt: usize,
    /// Tokens of the answer.
    #[arg(long, default_value_t = 32)]
    answer: usize,
    /// Repetitions; the median counts.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
}

fn seconds(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let clock = Instant::now();
    work()?;
    Ok(clock.elapsed().as_secs_f64())
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// The median of the seconds that `work` takes, after one run that does not count.
fn measure(repeats: usize, work: impl Fn() -> Result<()>) -> Result<f64> {
    work()?;
    Ok(median((0..repeats.max(1)).map(|_| seconds(&work)).collect::<Result<_>>()?))
}

/// 1e9 operations per second of the encoder's widest product, `x_th w_ih^T`.
fn product(dtype: DType, args: &Args) -> Result<Rates> {
    let (t, h, i) = (1024, 1152, 4304);
    let (x_th, w_ih) = (noise::tensor((t, h), dtype)?, noise::tensor((i, h), dtype)?);
    let taken = measure(args.repeats, || {
        x_th.matmul(&w_ih.t()?)?;
        Ok(())
    })?;
    Ok(vec![("giga_operations_per_s", 2.0 * (t * h * i) as f64 / taken / 1e9)])
}

/// Patches a second of one picture of 448 x 448: 27 layers of 1152, 4304 inside, 16 heads.
fn vision(dtype: DType, args: &Args) -> Result<Rates> {
    let config = siglip::VisionConfig::paligemma_3b_448();
    let model = siglip::VisionModel::new(&config, false, noise::weights(dtype))?;
    let picture = noise::tensor((1, 3, config.image_size, config.image_size), dtype)?;
    let taken = measure(args.repeats, || {
        model.forward(&picture)?;
        Ok(())
    })?;
    Ok(vec![("patches_per_s", config.num_patches() as f64 / taken)])
}

/// What both Qwen2 models of candle-transformers do.
trait Decoder {
    /// The logits of the last token; the first one stands at position `at`.
    fn step(&mut self, ids: &Tensor, at: usize) -> candle_core::Result<Tensor>;
    fn forget(&mut self);
}

impl Decoder for qwen2::ModelForCausalLM {
    fn step(&mut self, ids: &Tensor, at: usize) -> candle_core::Result<Tensor> {
        self.forward(ids, at)
    }

    fn forget(&mut self) {
        self.clear_kv_cache();
    }
}

impl Decoder for quantized_qwen2::ModelWeights {
    fn step(&mut self, ids: &Tensor, at: usize) -> candle_core::Result<Tensor> {
        self.forward(ids, at)
    }

    fn forget(&mut self) {
        self.clear_kv_cache();
    }
}

/// Tokens a second of the prompt and of the answer after it.
fn language(model: &mut dyn Decoder, args: &Args) -> Result<Rates> {
    let ids: Vec<u32> = (0..args.prompt).map(|n| (n * 7919 % 151_936) as u32).collect();
    let prompt = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
    let one = prompt.narrow(1, 0, 1)?;
    let (mut read, mut written) = (Vec::new(), Vec::new());
    for _ in 0..=args.repeats.max(1) {
        model.forget();
        read.push(seconds(|| Ok(model.step(&prompt, 0).map(drop)?))?);
        written
            .push(seconds(|| (0..args.answer).try_for_each(|n| Ok(model.step(&one, args.prompt + n).map(drop)?)))?);
    }
    // The first one warms up.
    let rate = |tokens: usize, all: &[f64]| tokens as f64 / median(all[1..].to_vec());
    Ok(vec![("prompt_tokens_per_s", rate(args.prompt, &read)), ("answer_tokens_per_s", rate(args.answer, &written))])
}

/// The decoder with noise for weights, 1.5 thousand million of them.
fn noisy(dtype: DType) -> Result<qwen2::ModelForCausalLM> {
    let config = qwen2::Config {
        vocab_size: 151_936,
        hidden_size: 1536,
        intermediate_size: 8960,
        num_hidden_layers: 28,
        num_attention_heads: 12,
        num_key_value_heads: 2,
        max_position_embeddings: 4096,
        sliding_window: 4096,
        max_window_layers: 28,
        tie_word_embeddings: true,
        rope_theta: 1e6,
        rms_norm_eps: 1e-6,
        use_sliding_window: false,
        hidden_act: candle_nn::Activation::Silu,
    };
    Ok(qwen2::ModelForCausalLM::new(&config, noise::weights(dtype))?)
}

fn packed(path: &Path) -> Result<quantized_qwen2::ModelWeights> {
    let mut file = File::open(path)?;
    let content = Content::read(&mut file)?;
    Ok(quantized_qwen2::ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?)
}

/// Units and how many of them a second.
type Rates = Vec<(&'static str, f64)>;

/// One line: what was measured of `what`, or why candle cannot do it.
fn print(work: &str, what: &str, measured: Result<Rates>) {
    let mut line = json!({"work": work, "of": what, "threads": get_num_threads(), "candle": "0.11.1"});
    match measured {
        Ok(rates) => rates.into_iter().for_each(|(unit, rate)| line[unit] = json!(rate)),
        // The first line; a backtrace may follow.
        Err(error) => line["error"] = json!(error.to_string().lines().next()),
    }
    println!("{line}");
}

fn main() {
    let args = Args::parse();
    let asked = |work: &str| args.work.iter().any(|one| one == work);
    for &dtype in &args.dtypes {
        let name = dtype.as_str();
        if asked("product") {
            print("product", name, product(dtype, &args));
        }
        if asked("vision") {
            print("vision", name, vision(dtype, &args));
        }
        if asked("language") {
            print("language", name, noisy(dtype).and_then(|mut model| language(&mut model, &args)));
        }
    }
    if let Some(path) = args.gguf.as_deref().filter(|_| asked("gguf")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        print("gguf", &name, packed(path).and_then(|mut model| language(&mut model, &args)));
    }
}
