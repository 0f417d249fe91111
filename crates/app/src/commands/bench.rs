//! `zoetrope bench [CLIP]`: one table of speeds beside the machine's ceilings.

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use zoetrope_engine::{EngineError, Limits, open_file};
use zoetrope_lab::speed::{self, Ceilings, Load, Speed};

use super::limits;
use crate::cli::{BenchArgs, Common};
use crate::failure::Failure;
use crate::model;
use crate::output;
use crate::progress::Bars;

/// Measures and prints.
pub(crate) fn run(args: &BenchArgs, common: &Common) -> Result<(), Failure> {
    let mut bars = Bars::new(common);
    let clock = Instant::now();
    let loaded = model::load(&args.model, &mut bars)?;
    let loading = clock.elapsed().as_secs_f64();
    let (model, side) = (loaded.model.as_ref(), args.side as u32);
    let load = Load {
        frames: args.frames,
        size: (side, side),
        prompt: args.prompt,
        answer: args.answer,
        repeats: args.repeats,
    };
    let decoded = args.clip.as_deref().map(|clip| decoding(clip, &limits(common))).transpose()?;
    let info = model.info();
    bars.spin("measuring the machine".to_string());
    let ceilings = speed::ceilings(&info.weights);
    let mut speeds = vec![speed::product(&info.weights, args.repeats)?];
    bars.spin("encoding".to_string());
    speeds.push(speed::encoding(model, &load)?);
    bars.spin("reading and writing".to_string());
    speeds.extend(speed::language(model, &load)?);
    bars.clear();
    let peak = peak_memory();
    if common.json {
        return output::json(&serde_json::json!({
            "model": loaded.name, "weights": info.weights, "kv_cache": info.kv_cache, "level": speed::level(),
            "loading_s": loading, "frames_decoded_a_second": decoded, "speeds": speeds, "ceilings": ceilings,
            "peak_memory_bytes": peak,
        }));
    }
    let mut text = format!(
        "{}, weights {}, keys and values {}, {} threads, level {}, loaded in {loading:.1} s\n",
        loaded.name,
        info.weights,
        info.kv_cache,
        ceilings.threads,
        speed::level()
    );
    table(&mut text, decoded, &speeds, &ceilings, peak);
    Ok(output::text(&text)?)
}

/// Frames of a clip decoded a second, one after the other, at full size.
fn decoding(clip: &Path, limits: &Limits) -> Result<f64, Failure> {
    let source = open_file(clip, limits)?;
    let indices: Vec<usize> = (0..source.source().times.len()).collect();
    let clock = Instant::now();
    let mut frames = 0;
    for frame in source.frames(&indices) {
        frame.map_err(|error| EngineError::Media { name: clip.display().to_string(), error })?;
        frames += 1;
    }
    Ok(f64::from(frames) / clock.elapsed().as_secs_f64())
}

fn table(text: &mut String, decoded: Option<f64>, speeds: &[Speed], ceilings: &Ceilings, peak: Option<u64>) {
    // Writing to a string does not fail.
    let _ =
        writeln!(text, "{:<18} {:>10}  {:<10} {:>9}  {:>6}  of the ceiling", "work", "rate", "unit", "GFLOP/s", "GB/s");
    if let Some(rate) = decoded {
        let _ = writeln!(text, "{:<18} {rate:>10.1}  {:<10}", "decode", "frames/s");
    }
    for speed in speeds {
        let Speed { work, unit, rate, giga_operations, giga_bytes } = speed;
        let bytes = if *giga_bytes > 0.0 { format!("{giga_bytes:.1}") } else { String::new() };
        let share = ceilings.share(speed).map_or(String::new(), |share| format!("{:.0} %", 100.0 * share));
        let _ = writeln!(text, "{work:<18} {rate:>10.1}  {unit:<10} {giga_operations:>9.1}  {bytes:>6}  {share}");
    }
    let top = ceilings.giga_operations.map_or("?".to_string(), |n| format!("{n:.1}"));
    let _ = writeln!(text, "{:<18} {:>10}  {:<10} {top:>9}  {:>6.1}", "ceiling", "", "", ceilings.giga_bytes);
    if let Some(peak) = peak {
        let _ = writeln!(text, "peak memory {:.2} GB", peak as f64 / 1e9);
    }
}

/// Most memory this process has held, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}
