//! `zoetrope frames`: the frames that the model would see, as PNG at the size it sees them, and their times.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde::Serialize;
use zoetrope_engine::{EngineError, Event, FrameFaults, PlannedFrames, open_file};
use zoetrope_media::Rgb;
use zoetrope_models::contract::media_plan::{MediaKind, View};
use zoetrope_models::loading;

use super::request::{media_limits, plan_options};
use crate::cli::{Common, FramesArgs};
use crate::failure::Failure;
use crate::model;
use crate::output;
use crate::progress::Bars;

/// Decoded frames that wait to be written.
const AHEAD: usize = 2;

/// One view of a frame, written as a picture.
#[derive(Serialize)]
struct WrittenView<'p> {
    file: String,
    media: &'p str,
    kind: MediaKind,
    index: usize,
    /// Seconds from the start of the first frame.
    time: f64,
    /// Seconds on the file's own clock.
    source_time: f64,
    prompt_time: f64,
    source: (u32, u32),
    view: &'p View,
    /// Of all planned frames of this media.
    #[serde(flatten)]
    faults: FrameFaults,
}

/// Writes the pictures and `times.json`.
pub(crate) fn run(args: &FramesArgs, common: &Common) -> Result<(), Failure> {
    let options = plan_options(&args.media)?;
    let limits = media_limits(&args.media, common);
    let mut sources = Vec::new();
    for file in &args.files {
        sources.push((file.display().to_string(), open_file(file, &limits)?));
    }
    let mut bars = Bars::new(common);
    let checkpoint = model::outline(args.model.source(), &mut bars)?;
    let processor = loading::open_processor(&checkpoint)?;
    let metadata: Vec<_> = sources.iter().map(|(_, source)| source.metadata()).collect();
    let plans = processor.plan(&[], &metadata, &options)?;
    std::fs::create_dir_all(&args.out).map_err(|error| Failure::file(&args.out, &error))?;
    let (mut written, total) = (Vec::new(), plans.iter().map(|plan| plan.frames.len()).sum());
    let mut done = 0;
    for (number, ((name, source), plan)) in sources.iter().zip(&plans).enumerate() {
        let (first, mut frames) = (written.len(), PlannedFrames::new(name, source, plan, AHEAD));
        for frame in &mut frames {
            let (planned, frame) = frame?;
            for (view_number, view) in plan.views.iter().enumerate() {
                let file = format!("{number:02}-{:06}.png", written.len());
                png(&args.out.join(&file), &processor.view_image(plan, view_number, &frame)?)?;
                written.push(WrittenView {
                    file,
                    media: name,
                    kind: plan.kind,
                    index: planned.index,
                    time: planned.time,
                    source_time: planned.source_time,
                    prompt_time: planned.prompt_time,
                    source: plan.source,
                    view,
                    faults: FrameFaults::default(),
                });
            }
            done += 1;
            bars.event(&Event::Decoding { done, total });
        }
        if written.len() == first {
            let text = format!("{name}: none of the {} requested frames can be decoded", plan.frames.len());
            return Err(EngineError::Caller(text).into());
        }
        // All are known only now.
        let faults = frames.faults();
        written[first..].iter_mut().for_each(|view| view.faults = faults);
    }
    drop(bars);
    let times = args.out.join("times.json");
    let text = serde_json::to_string_pretty(&written).map_err(|error| Failure::new(format!("JSON: {error}")))?;
    std::fs::write(&times, text + "\n").map_err(|error| Failure::file(&times, &error))?;
    if common.json {
        return output::json(&written);
    }
    Ok(output::text(&format!("{} frames in {}\n", written.len(), args.out.display()))?)
}

/// Writes a picture as PNG.
pub(super) fn png(file: &Path, picture: &Rgb) -> Result<(), Failure> {
    let out = File::create(file).map_err(|error| Failure::file(file, &error))?;
    PngEncoder::new(BufWriter::new(out))
        .write_image(&picture.data, picture.width, picture.height, ExtendedColorType::Rgb8)
        .map_err(|error| Failure::new(format!("{}: {error}", file.display())))
}
