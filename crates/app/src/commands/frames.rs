//! `zoetrope frames`: the frames that the model would see, as PNG at the size it sees them, and their times.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde::Serialize;
use zoetrope_engine::{MediaSource, open_file};
use zoetrope_media::Rgb;
use zoetrope_models::contract::{MediaKind, Plan, VideoLanguageModel};

use super::{limits, plan_options};
use crate::cli::{Common, FramesArgs};
use crate::failure::{self, Failure};
use crate::model;
use crate::output;
use crate::progress::Bars;

/// One picture that was written.
#[derive(Serialize)]
struct Written {
    file: String,
    media: String,
    kind: MediaKind,
    index: usize,
    time: f64,
    stamp: f64,
    source: (u32, u32),
    resized: (u32, u32),
}

/// Writes the pictures and `times.json`.
pub(crate) fn run(args: &FramesArgs, common: &Common) -> Result<(), Failure> {
    let options = plan_options(&args.media)?;
    let limits = limits(common);
    let mut sources = Vec::new();
    for file in &args.files {
        sources.push((file.display().to_string(), open_file(file, &limits)?));
    }
    let mut bars = Bars::new(common);
    let loaded = model::outline(&args.model, &mut bars)?;
    let described: Vec<_> = sources.iter().map(|(_, source)| source.source()).collect();
    let plan = loaded.model.plan(&described, &options)?;
    std::fs::create_dir_all(&args.out).map_err(|error| Failure::file(&args.out, &error))?;
    let written = write_all(loaded.model.as_ref(), &plan, &sources, &args.out, &mut bars)?;
    drop(bars);
    let times = args.out.join("times.json");
    let text = serde_json::to_string_pretty(&written).map_err(|error| Failure::new(format!("JSON: {error}")))?;
    std::fs::write(&times, text + "\n").map_err(|error| Failure::file(&times, &error))?;
    if common.json {
        return output::json(&written);
    }
    Ok(output::text(&format!("{} frames in {}\n", written.len(), args.out.display()))?)
}

fn write_all(
    model: &dyn VideoLanguageModel,
    plan: &Plan,
    sources: &[(String, Box<dyn MediaSource>)],
    out: &Path,
    bars: &mut Bars,
) -> Result<Vec<Written>, Failure> {
    let total: usize = plan.items.iter().map(|item| item.frames.len()).sum();
    let mut written = Vec::with_capacity(total);
    for (number, (item, (name, source))) in plan.items.iter().zip(sources).enumerate() {
        let indices: Vec<usize> = item.frames.iter().map(|frame| frame.index).collect();
        let mut left = item.frames.iter();
        for frame in source.frames(&indices) {
            let frame = frame.map_err(|error| failure::media(name, &error))?;
            let Some(place) = left.find(|place| place.index == frame.index) else { break };
            let file = format!("{number:02}-{:06}.png", written.len());
            png(&out.join(&file), &model.shown(item, &frame)?)?;
            written.push(Written {
                file,
                media: name.clone(),
                kind: item.kind,
                index: place.index,
                time: place.time,
                stamp: place.stamp,
                source: item.source,
                resized: item.resized,
            });
            bars.event(&zoetrope_engine::Event::Decoding { done: written.len(), total });
        }
    }
    Ok(written)
}

/// Writes a picture as PNG.
pub(super) fn png(file: &Path, picture: &Rgb) -> Result<(), Failure> {
    let out = File::create(file).map_err(|error| Failure::file(file, &error))?;
    PngEncoder::new(BufWriter::new(out))
        .write_image(&picture.data, picture.width, picture.height, ExtendedColorType::Rgb8)
        .map_err(|error| Failure::new(format!("{}: {error}", file.display())))
}
