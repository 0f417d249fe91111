//! `zoetrope plan`: what a request would show the model and cost, as JSON; the model does not run.

use std::ops::ControlFlow;

use serde::Serialize;
use zoetrope_engine::{Cost, DryRun, Event, FrameIter, Input, MediaSource, Options, Piece, Session, TokenCounts};
use zoetrope_media::{MediaError, Time};
use zoetrope_models::contract::{ItemPlan, MediaKind, PlannedFrame, Role, Source};

use super::{limits, plan_options, words};
use crate::cli::{Common, PlanArgs};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::model;
use crate::output;
use crate::progress::Bars;

/// Plans and prints.
pub(crate) fn run(args: &PlanArgs, common: &Common) -> Result<(), Failure> {
    let mut pieces = words::pieces(&args.files, "");
    for size in &args.size {
        pieces.push(Piece::Media(Input::Source(size.clone(), Box::new(Described(size_source(size)?)))));
    }
    if !args.question.is_empty() {
        pieces.push(Piece::Text(args.question.clone()));
    }
    let interrupt = Interrupt::install();
    let options = Options {
        plan: plan_options(&args.media)?,
        max_new_tokens: args.max_new_tokens,
        cancel: interrupt.flag(),
        ..Options::default()
    };
    let mut bars = Bars::new(common);
    let loaded = model::outline(&args.model, &mut bars)?;
    let mut watch = |event: Event<'_>| {
        bars.event(&event);
        ControlFlow::Continue(())
    };
    let mut session = Session::new(loaded.model.as_ref(), limits(common));
    if let Some(system) = &args.system {
        session.push(Role::System, vec![Piece::Text(system.clone())])?;
    }
    let dry = session.dry_run(pieces, &options, args.prune_now, &mut watch)?;
    drop(bars);
    output::json(&Report::new(&loaded.name, loaded.model.info().max_positions, &dry))
}

/// The object that is printed.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    media: Vec<Item<'a>>,
    tokens: &'a TokenCounts,
    /// Positions of the model; prompt and answer must fit.
    max_positions: usize,
    memory_bytes: &'a Cost,
}

#[derive(Serialize)]
struct Item<'a> {
    name: &'a str,
    kind: MediaKind,
    source: (u32, u32),
    resized: (u32, u32),
    /// Patches of one frame (rows, columns).
    grid: (usize, usize),
    merge: usize,
    patches: usize,
    tokens_per_frame: usize,
    tokens: usize,
    /// Only when frames were decoded to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_after_pruning: Option<usize>,
    frames: &'a [PlannedFrame],
}

impl<'a> Report<'a> {
    fn new(model: &'a str, max_positions: usize, dry: &'a DryRun) -> Self {
        let items = dry.names.iter().zip(&dry.plan.items).zip(&dry.kept);
        let media = items.map(|((name, plan), kept)| Item::new(name, plan, dry.pruned.then(|| kept.iter().sum())));
        Report { model, media: media.collect(), tokens: &dry.tokens, max_positions, memory_bytes: &dry.memory }
    }
}

impl<'a> Item<'a> {
    fn new(name: &'a str, plan: &'a ItemPlan, tokens_after_pruning: Option<usize>) -> Self {
        Item {
            name,
            kind: plan.kind,
            source: plan.source,
            resized: plan.resized,
            grid: plan.grid,
            merge: plan.merge,
            patches: plan.patches(),
            tokens_per_frame: plan.tokens_per_frame,
            tokens: plan.tokens(),
            tokens_after_pruning,
            frames: &plan.frames,
        }
    }
}

/// A size without pictures.
struct Described(Source);

impl MediaSource for Described {
    fn source(&self) -> Source {
        self.0.clone()
    }

    fn frames<'s>(&'s self, _: &[usize]) -> FrameIter<'s> {
        Box::new(std::iter::once(Err(MediaError::Caller("a size has no frames to decode".into()))))
    }
}

/// Most frames that a size may stand for; the times of all of them are written down.
const MAX_FRAMES: usize = 4_000_000;

/// `640x480` is a picture, `1280x720:300@30` a video of 300 frames at 30 frames a second.
fn size_source(text: &str) -> Result<Source, Failure> {
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
    let (width, height) = (side(width)?, side(height)?);
    let Some((frames, rate)) = video.map(|video| video.split_once('@').ok_or_else(wrong)).transpose()? else {
        return Ok(Source { kind: MediaKind::Image, width, height, times: vec![Time::new(0, 1)], end: 0.0 });
    };
    let frames = frames.parse::<usize>().ok().filter(|&n| n > 0 && n <= MAX_FRAMES).ok_or_else(wrong)?;
    let rate = side(rate)?;
    let times = (0..frames).map(|index| Time::new(index as i64, rate)).collect();
    Ok(Source { kind: MediaKind::Video, width, height, times, end: frames as f64 / f64::from(rate) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_pictures_and_videos() {
        let picture = size_source("640x480").expect("a picture");
        assert_eq!((picture.kind, picture.width, picture.height, picture.times.len()), (MediaKind::Image, 640, 480, 1));
        let video = size_source("1280x720:300@30").expect("a video");
        assert_eq!((video.times.len(), video.end, video.times[299].seconds()), (300, 10.0, 299.0 / 30.0));
        for wrong in ["640", "0x4", "640x480:30", "640x480:0@3", "640x480:3@0", "axb", "5000000x1:5000000@1"] {
            assert!(size_source(wrong).is_err(), "{wrong}");
        }
    }
}
