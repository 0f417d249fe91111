//! `zoetrope frames`: the frames that the model would see, as PNG at the size it sees them, and their times.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde::Serialize;
use zoetrope_engine::{EngineError, Event, FrameFaults, PlannedFrames, open_file};
use zoetrope_media::Rgb;
use zoetrope_models::contract::media_plan::{MediaKind, View};
use zoetrope_models::loading;
use zoetrope_system::files::write_whole;

use super::request::{media_limits, plan_options};
use crate::cli::{Common, FramesArgs};
use crate::failure::Failure;
use crate::model;
use crate::output;
use crate::progress::Bars;
use crate::terminal;

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
    folder(&args.out)?;
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
    tell_older(&args.out, written.iter().map(|view| view.file.as_str()), common);
    let times = args.out.join("times.json");
    let text = serde_json::to_string_pretty(&written).map_err(|error| Failure::new(format!("JSON: {error}")))?;
    write_whole(&times, |out| out.write_all((text + "\n").as_bytes()))
        .map_err(|error| Failure::file(&times, &error))?;
    if common.json {
        return output::json(&written);
    }
    Ok(output::text(&format!("{} frames in {}\n", written.len(), args.out.display()))?)
}

/// Makes the folder that pictures go to.
pub(super) fn folder(out: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(out).map_err(|error| Failure::file(out, &error))
}

/// Writes a picture as PNG. What cannot be written to its end is removed.
pub(super) fn png(file: &Path, picture: &Rgb) -> Result<(), Failure> {
    let written = File::create(file).and_then(|out| encode(out, picture));
    if written.is_err() && file.symlink_metadata().is_ok_and(|found| found.is_file()) {
        let _ = std::fs::remove_file(file);
    }
    written.map_err(|error| Failure::file(file, &error))
}

/// Writes the picture as PNG. It is made in memory: errors of the writer are told as such, none is lost in a buffer.
fn encode(mut out: impl Write, picture: &Rgb) -> io::Result<()> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&picture.data, picture.width, picture.height, ExtendedColorType::Rgb8)
        .map_err(io::Error::other)?;
    out.write_all(&bytes)
}

/// Says which pictures of an earlier run lie in the folder beside those that were `written`.
pub(super) fn tell_older<'f>(out: &Path, written: impl Iterator<Item = &'f str>, common: &Common) {
    let written: HashSet<&str> = written.collect();
    let entries = std::fs::read_dir(out).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut older: Vec<String> = names.filter(|name| is_ours(name) && !written.contains(name.as_str())).collect();
    older.sort();
    if let (Some(first), false) = (older.first(), common.quiet) {
        let (count, place) = (older.len(), out.display());
        let text =
            format!("{place} also has {count} pictures of an earlier run, such as {first}; they were left alone");
        terminal::note(&terminal::one_line(&text));
    }
}

/// Whether a file is called as we call pictures: two numbers with a dash between.
fn is_ours(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let numbers = name.strip_suffix(".png").and_then(|stem| stem.split_once('-'));
    numbers.is_some_and(|(one, other)| is_number(one) && is_number(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for some bytes.
    struct Disk(usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_picture_that_does_not_fit_is_an_error_whatever_its_size() {
        for side in [1, 400] {
            let data = (0..3 * side * side).map(|n: u32| (n.wrapping_mul(n) % 251) as u8).collect();
            let picture = Rgb { width: side, height: side, data };
            let failed = encode(Disk(20), &picture).expect_err("a full disk");
            assert_eq!(failed.kind(), io::ErrorKind::StorageFull, "{side}");
            assert!(encode(Disk(1 << 20), &picture).is_ok(), "{side}");
        }
    }

    #[test]
    fn names_of_ours() {
        assert!(is_ours("00-000012.png") && is_ours("00001-0000.png"));
        assert!(!is_ours("-1.png") && !is_ours("a-1.png") && !is_ours("1-1.jpg") && !is_ours("holiday.png"));
    }
}
