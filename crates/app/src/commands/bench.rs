//! `zoetrope bench [CLIP]`: one table of speeds beside the machine's roofline.

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use zoetrope_engine::{EngineError, Limits, open_file};
use zoetrope_lab::bench::{self, Roofline, Speed, Workload};
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_system::process_memory;

use super::request::limits;
use crate::cli::{BenchArgs, Common};
use crate::failure::Failure;
use crate::model;
use crate::output;
use crate::progress::Bars;

/// Most pixels of all frames that are encoded.
const MOST_PIXELS: usize = 100_000_000;

/// Measures and prints.
pub(crate) fn run(args: &BenchArgs, common: &Common) -> Result<(), Failure> {
    let mut bars = Bars::new(common);
    let clock = Instant::now();
    let loaded = match args.random_weights {
        true => model::load_random(&args.model, &mut bars)?,
        false => model::load(&args.model, &mut bars)?,
    };
    let loading = clock.elapsed().as_secs_f64();
    let model = loaded.model.as_ref();
    let positions = model.processor().info().max_positions;
    if args.prompt + args.answer > positions {
        let text = format!("--prompt {} and --answer {} are more than {positions} positions", args.prompt, args.answer);
        return Err(Failure::usage(text, "lower them, or measure a model with more positions"));
    }
    let pixels = args.frames * args.side * args.side;
    if pixels > MOST_PIXELS {
        let text = format!("{} frames of --side {} have more than {MOST_PIXELS} pixels", args.frames, args.side);
        return Err(Failure::usage(text, "lower --frames or --side"));
    }
    let side = args.side as u32;
    let workload = Workload {
        frames: args.frames,
        size: (side, side),
        prompt: args.prompt,
        answer: args.answer,
        sequences: args.sequences,
        repeats: args.repeats,
    };
    let frames_per_second = args.clip.as_deref().map(|clip| decode(clip, &limits(common))).transpose()?;
    bars.spin("measuring the machine".to_string());
    let roofline = bench::roofline(model.weights())?;
    let speeds = measure(model, &workload, &mut bars)?;
    bars.clear();
    let (held_as, kv_cache) = (model.weights().held_as().name(), model.weights().kv_dtype().name());
    let peak = process_memory::peak();
    if common.json {
        return output::json(&serde_json::json!({
            "model": loaded.name, "weights": held_as, "kv_cache": kv_cache, "loading_s": loading,
            "frames_decoded_a_second": frames_per_second, "speeds": speeds,
            "roofline": roofline, "peak_memory_bytes": peak,
        }));
    }
    let mut text = format!(
        "{}, weights {held_as}, keys and values {kv_cache}, {}, loaded in {loading:.1} s\n",
        loaded.name, roofline.place
    );
    table(&mut text, frames_per_second, &speeds, &roofline, peak);
    Ok(output::text(&text)?)
}

fn measure(model: &dyn VideoLanguageModel, workload: &Workload, bars: &mut Bars) -> Result<Vec<Speed>, Failure> {
    let mut speeds = vec![bench::matmul(model.weights(), workload.repeats)?];
    bars.spin("encoding".to_string());
    speeds.push(bench::encode(model, workload)?);
    bars.spin("prefill and decode".to_string());
    speeds.extend(bench::prefill_and_decode(model, workload)?);
    if workload.sequences > 1 {
        bars.spin(format!("decoding {} sequences", workload.sequences));
        speeds.extend(bench::decode_together(model, workload)?);
    }
    Ok(speeds)
}

/// Frames of a clip decoded a second, one after the other, at full size.
fn decode(clip: &Path, limits: &Limits) -> Result<f64, Failure> {
    let source = open_file(clip, limits)?;
    let indices: Vec<usize> = (0..source.metadata().timeline.len()).collect();
    let clock = Instant::now();
    let mut frames = 0;
    for frame in source.frames(&indices) {
        frame.map_err(|error| EngineError::Media { name: clip.display().to_string(), error })?;
        frames += 1;
    }
    Ok(f64::from(frames) / clock.elapsed().as_secs_f64())
}

fn table(text: &mut String, decoded: Option<f64>, speeds: &[Speed], roofline: &Roofline, peak: Option<u64>) {
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{:<18} {:>10}  {:<10} {:>9}  {:>6}  of the roofline",
        "work", "rate", "unit", "GFLOP/s", "GB/s"
    );
    if let Some(rate) = decoded {
        let _ = writeln!(text, "{:<18} {rate:>10.1}  {:<10}", "decode", "frames/s");
    }
    for speed in speeds {
        let Speed { work, unit, rate, giga_operations, giga_bytes } = speed;
        let bytes = if *giga_bytes > 0.0 { format!("{giga_bytes:.1}") } else { String::new() };
        let share = roofline.share(speed).map_or(String::new(), |share| format!("{:.0} %", 100.0 * share));
        let _ = writeln!(text, "{work:<18} {rate:>10.1}  {unit:<10} {giga_operations:>9.1}  {bytes:>6}  {share}");
    }
    let top = roofline.giga_operations.map_or("?".to_string(), |n| format!("{n:.1}"));
    let _ = writeln!(text, "{:<18} {:>10}  {:<10} {top:>9}  {:>6.1}", "roofline", "", "", roofline.giga_bytes);
    if let Some(peak) = peak {
        let _ = writeln!(text, "peak memory {:.2} GB", peak as f64 / 1e9);
    }
}
