//! Which frames of which media, through which view; which subtitles follow a frame.

use super::config::{Compress, Config};
use super::frame_sampling::frames;
use crate::contract::media_plan::{
    Caption, MediaKind, MediaMetadata, MediaPlan, PlanOptions, PlannedFrame, View, Window,
};
use crate::contract::settings::{Setting, SettingType, Settings};
use crate::error::{ModelError, ModelResult};
use crate::processing::{BudgetShare, plan_in_shares};

/// Names of the family's settings.
pub(super) const FILM: &str = "film";
pub(super) const TEMPLATE: &str = "template";
const GRID: &str = "grid";
const PAD: &str = "pad";

/// Values of `film`.
pub(super) const OFF: &str = "off";
pub(super) const WHOLE: &str = "whole";
pub(super) const PART: &str = "part";

/// Values of `template`.
pub(super) const VICUNA: &str = "vicuna_v1";
pub(super) const LLAVA: &str = "llava_v1";

/// Longest ratio of the sides of a picture that is not padded: its longer side grows by it.
const MAX_ASPECT: u64 = 200;

/// The family's settings.
pub(super) fn settings(c: &Config) -> Vec<Setting> {
    let setting = |name, meaning, value_type, default: String| Setting { name, meaning, value_type, default };
    let film = if c.film { "whole; part when a start or an end is given" } else { OFF };
    vec![
        setting(
            FILM,
            "show a video as a film, or a part of one, with its subtitles between the frames",
            SettingType::Word(&[OFF, WHOLE, PART]),
            film.to_string(),
        ),
        setting(GRID, "content tokens on a side of a frame", SettingType::Integer, default_grid(c).to_string()),
        setting(
            PAD,
            "pad a still picture to a square; otherwise its middle is shown",
            SettingType::Flag,
            c.pad.to_string(),
        ),
        setting(
            TEMPLATE,
            "whose system message a conversation without one begins with",
            SettingType::Word(&[VICUNA, LLAVA]),
            VICUNA.to_string(),
        ),
    ]
}

fn default_grid(c: &Config) -> usize {
    match c.compress {
        Compress::Nothing => c.vision.grid(),
        Compress::Grid(side) => side.min(c.vision.grid()),
        Compress::Mean => 1,
    }
}

/// Patches on a side of one content token: averages are taken over whole squares of so many.
pub(super) fn pool(c: &Config, plan: &MediaPlan) -> usize {
    pool_of(c, plan.settings.integer(GRID).unwrap_or(default_grid(c)))
}

fn pool_of(c: &Config, grid: usize) -> usize {
    (c.vision.grid() / grid.max(1)).max(1)
}

/// Visual tokens of a frame: one of context, then those of content. Where `grid` does not divide the side there are
/// more of these than `grid x grid`, as in the reference.
pub(super) fn tokens_per_frame(c: &Config, plan: &MediaPlan) -> usize {
    tokens_of(c, pool(c, plan))
}

fn tokens_of(c: &Config, pool: usize) -> usize {
    let side = c.vision.grid() / pool;
    1 + side * side
}

/// How media are told: one of the values of `film`.
pub(super) fn film(plan: &MediaPlan) -> &str {
    plan.settings.word(FILM).unwrap_or(OFF)
}

/// Whether videos are told as films, with their subtitles.
pub(super) fn tells_films(c: &Config, options: &PlanOptions) -> bool {
    options.settings.word(FILM).map_or(c.film, |film| film != OFF)
}

/// Plans `new` media after those of `earlier` turns.
pub(super) fn plan(
    c: &Config,
    earlier: &[MediaPlan],
    new: &[MediaMetadata],
    options: &PlanOptions,
) -> ModelResult<Vec<MediaPlan>> {
    let (side, grid) = (c.vision.grid(), options.settings.integer(GRID).unwrap_or(default_grid(c)));
    if grid > side {
        let text = format!("setting {GRID} is {grid}; a picture is {side} patches wide");
        return Err(ModelError::Caller(text));
    }
    let each = tokens_of(c, pool_of(c, grid));
    plan_in_shares(
        earlier,
        new,
        options,
        |plan| plan.frames.len() * tokens_per_frame(c, plan),
        |media, share| {
            let share = share.map_or(usize::MAX, BudgetShare::tokens);
            if share < each {
                let text = format!("{each} visual tokens of a frame do not fit in the {share} that are left");
                return Err(ModelError::Caller(text));
            }
            let mut plan = one(c, media, options, share / each)?;
            if film(&plan) != OFF {
                plan.captions = captions(&media.captions, &plan.frames, options);
            }
            Ok(plan)
        },
    )
}

/// Media with at most `most` frames, without subtitles.
fn one(c: &Config, media: &MediaMetadata, options: &PlanOptions, most: usize) -> ModelResult<MediaPlan> {
    let source = media.shown_size()?;
    let part = options.start.is_some() || options.end.is_some();
    let told = match (c.film, part) {
        (false, _) => OFF,
        (true, true) => PART,
        (true, false) => WHOLE,
    };
    let grid = options.settings.integer(GRID).unwrap_or(default_grid(c));
    let template = options.settings.word(TEMPLATE).unwrap_or(VICUNA);
    let settings = Settings::default().with(GRID, grid).with(TEMPLATE, template);
    let (frames, view, settings) = match media.kind {
        MediaKind::Image => {
            let pad = options.settings.flag(PAD).unwrap_or(c.pad);
            let view = if pad { padded(c, source) } else { cropped(c, source)? };
            (vec![media.planned_frame(0, 0.0)], view, settings.with(PAD, pad).with(FILM, OFF))
        }
        MediaKind::Video => {
            let frames = frames(media, options, options.max_frames.unwrap_or(usize::MAX).min(most))?;
            let told = options.settings.word(FILM).unwrap_or(told);
            // Frames of a video are never padded.
            (frames, cropped(c, source)?, settings.with(PAD, false).with(FILM, told))
        }
    };
    let captions = Vec::new();
    Ok(MediaPlan { kind: media.kind, source, frames, views: vec![view], joint: false, captions, settings })
}

/// The whole picture in the middle of a square.
fn padded(c: &Config, source: (u32, u32)) -> View {
    let edge = source.0.max(source.1);
    let side = c.vision.image as u32;
    let window = Window { left: 0, top: 0, width: side, height: side };
    View { canvas: (edge, edge), resized: (side, side), window, grid: (c.vision.grid(), c.vision.grid()) }
}

/// The shorter side resized to that of the encoder's picture, and its middle.
fn cropped(c: &Config, source: (u32, u32)) -> ModelResult<View> {
    let (long, short) = (source.0.max(source.1), source.0.min(source.1));
    if u64::from(long) > MAX_ASPECT * u64::from(short) {
        let text = format!("{}x{} is longer than {MAX_ASPECT} to 1", source.0, source.1);
        return Err(ModelError::Caller(text));
    }
    let side = c.vision.image as u32;
    let longer = (u64::from(side) * u64::from(long) / u64::from(short)) as u32;
    let resized = if source.0 <= source.1 { (side, longer) } else { (longer, side) };
    let middle = |length: u32| ((length - side) / 2) as i32;
    let window = Window { left: middle(resized.0), top: middle(resized.1), width: side, height: side };
    Ok(View { canvas: source, resized, window, grid: (c.vision.grid(), c.vision.grid()) })
}

/// The words that follow each frame: a subtitle follows the last frame before its end. The reference gives one that
/// ends before the first frame to the last frame; here it follows the first.
fn captions(all: &[Caption], frames: &[PlannedFrame], options: &PlanOptions) -> Vec<(usize, String)> {
    let shown = |caption: &&Caption| {
        caption.end > options.start.unwrap_or(f64::NEG_INFINITY) && caption.start < options.end.unwrap_or(f64::INFINITY)
    };
    let mut frame = 0;
    let mut follow = |end: f64| {
        // One that ends before an earlier one stays behind it.
        frame = frames.partition_point(|frame| frame.time < end).saturating_sub(1).max(frame);
        frame
    };
    let words = all.iter().filter(shown).map(|caption| (follow(caption.end), cleaned(&caption.text)));
    words.filter(|(_, words)| !words.is_empty()).collect()
}

/// The words as the checkpoints were trained on them: lines in a row, without `...` and without spaces around.
fn cleaned(words: &str) -> String {
    let lines = words.lines().map(|line| line.replace("...", "").trim().to_string());
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
