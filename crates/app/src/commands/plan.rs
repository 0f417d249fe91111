//! `zoetrope plan`: what a request would show the model and cost, as JSON; the model does not run.

use std::ops::ControlFlow;
use std::sync::Arc;

use serde::Serialize;
use zoetrope_engine::{
    ContentPart, DiskEstimate, EstimateOptions, Event, FrameIter, MediaInput, MediaSource, MediaUsage, MemoryEstimate,
    OpenedMedia, Options, RequestPlan, TokenCounts, plan_request,
};
use zoetrope_media::{MediaError, Time};
use zoetrope_models::contract::media_plan::{MediaMetadata, MediaPlan};
use zoetrope_models::contract::settings::Settings;
use zoetrope_system::process_memory;

use super::media_args;
use super::request::{media_limits, plan_options};
use super::stored;
use crate::cli::{Common, PlanArgs};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::model::{self, Loaded};
use crate::output;
use crate::progress::Bars;

/// Plans and prints.
pub(crate) fn run(args: &PlanArgs, common: &Common) -> Result<(), Failure> {
    let mut content = media_args::content(&args.files, "");
    for size in &args.size {
        let source = Arc::new(SizeOnly(metadata_of_size(size)?));
        content.push(ContentPart::Media(MediaInput::Opened(OpenedMedia::new(size.clone(), source))));
    }
    if !args.question.is_empty() {
        content.push(ContentPart::Text(args.question.clone()));
    }
    let interrupt = Interrupt::install();
    let request = Options {
        plan: plan_options(&args.media)?,
        max_new_tokens: args.max_new_tokens,
        cancel: interrupt.flag(),
        ..Options::default()
    };
    let mut bars = Bars::new(common);
    let preview = model::preview(args.model.source(), &mut bars)?;
    let model = preview.open(args.model.load_options()?)?;
    let name = model::shown(args.model.model.as_deref());
    let (processor, weights) = (Arc::clone(model.processor()), model.weights());
    let process_bytes = process_memory::now().unwrap_or(0) as usize;
    let limits = media_limits(&args.media, common);
    let loaded = Loaded { name, model: Arc::clone(&model), checkpoint: preview.checkpoint.clone() };
    let index = stored::index(&args.stored, &loaded, &limits)?;
    let mut watch = |event: &Event| {
        bars.event(event);
        ControlFlow::Continue(())
    };
    let options = EstimateOptions {
        request: &request,
        decode: args.prune_now,
        kv_dtype: weights.kv_dtype(),
        weight_bytes: weights.summary().resident_bytes,
        process_bytes,
        index: index.as_ref(),
    };
    let system = args.system.as_deref();
    let plan = plan_request(&processor, &limits, system, content, options, &mut watch)?;
    drop(bars);
    output::json(&PlanOutput::new(&loaded.name, processor.info().max_positions, &plan))
}

/// The object that is printed.
#[derive(Serialize)]
struct PlanOutput<'a> {
    model: &'a str,
    media: Vec<PlannedMedia<'a>>,
    /// Whether frames were decoded to know what pruning leaves.
    pruned: bool,
    tokens: &'a TokenCounts,
    /// Frames that would go through the encoder; those of stored features do not.
    frames_to_encode: usize,
    /// Positions of the model; prompt and answer must fit.
    max_positions: usize,
    memory_bytes: &'a MemoryEstimate,
    /// What the request leaves on disk, or has left there before; nothing is kept with `--no-cache`.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_bytes: Option<&'a DiskEstimate>,
}

#[derive(Serialize)]
struct PlannedMedia<'a> {
    #[serde(flatten)]
    usage: &'a MediaUsage,
    /// Whether its features are on disk already.
    cached: bool,
    patches: usize,
    /// Words that follow a frame: (its number, the words).
    captions: &'a [(usize, String)],
    settings: &'a Settings,
}

impl<'a> PlanOutput<'a> {
    fn new(model: &'a str, max_positions: usize, plan: &'a RequestPlan) -> Self {
        let media = |(usage, plan): (&'a MediaUsage, &'a MediaPlan)| PlannedMedia {
            usage,
            cached: usage.features.is_some(),
            patches: plan.patches(),
            captions: &plan.captions,
            settings: &plan.settings,
        };
        let fresh = plan.media.iter().filter(|media| media.features.is_none());
        PlanOutput {
            model,
            media: plan.media.iter().zip(&plan.plans).map(media).collect(),
            pruned: plan.pruned,
            tokens: &plan.tokens,
            frames_to_encode: fresh.map(|media| media.frames.len()).sum(),
            max_positions,
            memory_bytes: &plan.memory,
            disk_bytes: plan.disk.as_ref(),
        }
    }
}

/// A size without pixels.
struct SizeOnly(MediaMetadata);

impl MediaSource for SizeOnly {
    fn metadata(&self) -> MediaMetadata {
        self.0.clone()
    }

    fn frames<'s>(&'s self, _: &[usize]) -> FrameIter<'s> {
        Box::new(std::iter::once(Err(MediaError::Caller("a size has no frames to decode".into()))))
    }
}

/// Most frames that a size may stand for; the times of all of them are written down.
const MAX_FRAMES: usize = 4_000_000;

/// `640x480` is a picture, `1280x720:300@30` a video of 300 frames at 30 frames per second.
fn metadata_of_size(text: &str) -> Result<MediaMetadata, Failure> {
    let wrong = || {
        Failure::usage(
            format!("--size {text} is neither WIDTHxHEIGHT nor WIDTHxHEIGHT:FRAMES@RATE"),
            "for example --size 1280x720:300@30",
        )
    };
    let (size, video) = match text.split_once(':') {
        Some((size, video)) => (size, Some(video)),
        None => (text, None),
    };
    let (width, height) = size.split_once('x').ok_or_else(wrong)?;
    let side = |text: &str| text.parse::<u32>().ok().filter(|&n| n > 0).ok_or_else(wrong);
    let size = (side(width)?, side(height)?);
    let Some((frames, rate)) = video.map(|video| video.split_once('@').ok_or_else(wrong)).transpose()? else {
        return Ok(MediaMetadata::picture(size));
    };
    let frames = frames.parse::<usize>().ok().filter(|&n| n > 0 && n <= MAX_FRAMES).ok_or_else(wrong)?;
    let rate = side(rate)?;
    let times: Vec<Time> = (0..frames).map(|index| Time::new(index as i64, rate)).collect();
    Ok(MediaMetadata::video(size, times, frames as f64 / f64::from(rate)))
}

#[cfg(test)]
mod tests {
    use zoetrope_models::contract::media_plan::MediaKind;

    use super::*;

    #[test]
    fn sizes_of_pictures_and_videos() {
        let picture = metadata_of_size("640x480").expect("a picture");
        assert_eq!((picture.kind, picture.size(), picture.timeline.len()), (MediaKind::Image, (640, 480), 1));
        let video = metadata_of_size("1280x720:300@30").expect("a video");
        let video = video.timeline;
        assert_eq!((video.len(), video.end(), video.start_of(299)), (300, 10.0, 299.0 / 30.0));
        for wrong in ["640", "0x4", "640x480:30", "640x480:0@3", "640x480:3@0", "axb", "5000000x1:5000000@1"] {
            assert!(metadata_of_size(wrong).is_err(), "{wrong}");
        }
    }
}
