//! Writes what this crate makes of a file, for comparison with other tools (reference/compare_media.py).
//!
//! `compare FILE INFO.json RGB.raw [STEP]`: info, times and every STEP-th frame (all without STEP) as raw RGB. With
//! `compare FILE uniform N` it takes N frames spread evenly and reports wall time and memory on standard output.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use zoetrope_media::{MediaError, OpenOptions, open};

fn main() {
    // The AV1 decoder runs in this program started again.
    if std::env::args().nth(1).as_deref() == Some(zoetrope_media::decoder_process::ARGUMENT) {
        zoetrope_media::decoder_process::run(std::io::stdin().lock(), std::io::stdout().lock()).ok();
        return;
    }
    if let Err(error) = run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        let kind = format!("{error:?}");
        let kind = kind.split([' ', '(', '{']).next().unwrap_or_default();
        eprintln!("{kind}: {error}");
        std::process::exit(1);
    }
}

fn run(arguments: &[String]) -> Result<(), MediaError> {
    match arguments {
        [file, mode, count] if mode == "uniform" => uniform(file, count.parse().unwrap_or(180)),
        [file, info, raw, rest @ ..] => dump(file, info, raw, rest.first().and_then(|s| s.parse().ok()).unwrap_or(1)),
        _ => Err(MediaError::Caller("usage: compare FILE INFO.json RGB.raw [STEP] | compare FILE uniform N".into())),
    }
}

fn dump(file: &str, info: &str, raw: &str, step: usize) -> Result<(), MediaError> {
    let clip = open(Path::new(file), &OpenOptions::default())?;
    let indices: Vec<usize> = (0..clip.times().len()).step_by(step.max(1)).collect();
    let mut out = std::io::BufWriter::new(std::fs::File::create(raw)?);
    let mut frames = clip.frames(&indices)?;
    let mut given = Vec::new();
    for frame in &mut frames {
        let frame = frame?;
        given.push((frame.index, frame.image.width, frame.image.height));
        out.write_all(&frame.image.data)?;
    }
    let times: Vec<_> = clip.times().iter().map(|t| (t.ticks, t.scale)).collect();
    let text = serde_json::json!({
        "info": clip.info(), "times": times, "end": clip.end(), "given": given,
        "repeated": frames.repeated(), "lost": frames.lost(), "damaged": frames.damaged(),
    });
    std::fs::write(info, text.to_string())?;
    Ok(())
}

fn uniform(file: &str, count: usize) -> Result<(), MediaError> {
    let idle = status("VmHWM:");
    let start = Instant::now();
    let clip = open(Path::new(file), &OpenOptions::default())?;
    let opened = start.elapsed().as_secs_f64();
    let total = clip.times().len();
    let indices: Vec<usize> = (0..count).map(|i| i * total / count).collect();
    let mut sum = 0u64;
    for frame in clip.frames(&indices)? {
        sum += u64::from(frame?.image.data[0]);
    }
    let wall = start.elapsed().as_secs_f64();
    println!("frames {count} of {total}, open {opened:.3} s, wall {wall:.2} s, sum {sum}");
    println!("peak memory {:.1} MB, of which idle {:.1} MB", status("VmHWM:") / 1024.0, idle / 1024.0);
    Ok(())
}

/// A number of /proc/self/status in kB; zero where there is none.
fn status(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix(name));
    line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(0.0)
}
