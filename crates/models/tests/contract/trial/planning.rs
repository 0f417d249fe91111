//! Which frames through which views, within a budget of visual tokens.

use zoetrope_models::contract::media_plan::{
    MediaKind, MediaMetadata, MediaPlan, PlanOptions, PlannedFrame, View, Window,
};
use zoetrope_models::contract::settings::{Setting, SettingType, Settings};
use zoetrope_models::error::{ModelError, ModelResult};
use zoetrope_models::processing::{BudgetShare, plan_in_shares};

use super::config::Config;

/// Names of the family's settings.
const MERGE: &str = "merge";
const JOINT: &str = "joint";
const TEMPLATE: &str = "template";

/// Values where the caller says nothing.
const DEFAULT_MERGE: usize = 2;
const DEFAULT_FPS: f64 = 1.0;
pub(super) const CHAT: &str = "chat";
pub(super) const BASE: &str = "base";

/// The family's settings.
pub(super) fn settings() -> Vec<Setting> {
    let setting =
        |name, meaning, value_type, default: &str| Setting { name, meaning, value_type, default: default.to_string() };
    vec![
        setting(MERGE, "side of the square of patches that becomes one visual token", SettingType::Integer, "2"),
        setting(JOINT, "encode all frames of a video together", SettingType::Flag, "false"),
        setting(TEMPLATE, "how the conversation is written", SettingType::Word(&[CHAT, BASE]), CHAT),
    ]
}

/// The side of the square of patches that becomes one visual token.
pub(super) fn merge(plan: &MediaPlan) -> usize {
    plan.settings.integer(MERGE).unwrap_or(DEFAULT_MERGE)
}

/// The template of a conversation.
pub(super) fn template(settings: &Settings) -> &str {
    settings.word(TEMPLATE).unwrap_or(CHAT)
}

/// Visual tokens of one unit.
pub(super) fn tokens_per_unit(c: &Config, plan: &MediaPlan) -> usize {
    let side = c.vision.grid / merge(plan);
    c.queries + side * side
}

/// Plans `new` media after those of `earlier` turns.
pub(super) fn plan(
    c: &Config,
    earlier: &[MediaPlan],
    new: &[MediaMetadata],
    options: &PlanOptions,
) -> ModelResult<Vec<MediaPlan>> {
    let merge = options.settings.integer(MERGE).unwrap_or(DEFAULT_MERGE);
    if !c.vision.grid.is_multiple_of(merge) {
        let text = format!("setting {MERGE} is {merge}; it takes a divisor of {}", c.vision.grid);
        return Err(ModelError::Caller(text));
    }
    let tokens = |plan: &MediaPlan| plan.units() * tokens_per_unit(c, plan);
    plan_in_shares(earlier, new, options, tokens, |media, share| {
        let full = one(c, media, options, merge)?;
        match share.map(BudgetShare::tokens) {
            Some(share) if tokens(&full) > share => reduced(c, full, share),
            _ => Ok(full),
        }
    })
}

/// Media with all views and frames that it may have.
fn one(c: &Config, media: &MediaMetadata, options: &PlanOptions, merge: usize) -> ModelResult<MediaPlan> {
    let source = media.shown_size()?;
    let (frames, views) = match media.kind {
        MediaKind::Image => (vec![media.planned_frame(0, 0.0)], tiled_views(c, source)),
        MediaKind::Video => (frames(c, media, options)?, vec![padded_view(c, source)]),
    };
    let shown = |start: f64, end: f64| {
        end > options.start.unwrap_or(f64::NEG_INFINITY) && start < options.end.unwrap_or(f64::INFINITY)
    };
    let follow = |end: f64| frames.partition_point(|frame| frame.time < end).saturating_sub(1);
    let captions = media.captions.iter().filter(|caption| shown(caption.start, caption.end));
    let captions = captions.map(|caption| (follow(caption.end), caption.text.clone())).collect();
    let joint = options.settings.flag(JOINT).unwrap_or(false) && media.kind == MediaKind::Video;
    let template = template(&options.settings);
    let settings = Settings::default().with(MERGE, merge).with(JOINT, joint).with(TEMPLATE, template);
    Ok(MediaPlan { kind: media.kind, source, frames, views, joint, captions, settings })
}

/// A frame at every step of 1/fps seconds: the last one that begins at or before it.
fn frames(c: &Config, media: &MediaMetadata, options: &PlanOptions) -> ModelResult<Vec<PlannedFrame>> {
    let fps = options.fps.unwrap_or(DEFAULT_FPS);
    let most = options.max_frames.unwrap_or(c.vision.max_frames).min(c.vision.max_frames);
    let range = media.range(options)?;
    let (start, end) = (range.start, range.end);
    if !(fps > 0.0 && fps.is_finite()) || most == 0 {
        let text = format!("cannot sample {fps} frames per second, at most {most}, from {start} s to {end} s");
        return Err(ModelError::Caller(text));
    }
    let steps = (((end - start) * fps).ceil() as usize).max(1);
    let taken = steps.min(most);
    let frame = |n: usize| {
        let time = start + (n * steps / taken) as f64 / fps;
        media.planned_frame(media.timeline.on_screen(time), time)
    };
    let mut frames: Vec<PlannedFrame> = (0..taken).map(frame).collect();
    frames.dedup_by_key(|frame| frame.index);
    Ok(frames)
}

/// The whole frame in the middle of a square.
fn padded_view(c: &Config, source: (u32, u32)) -> View {
    let (side, edge) = (c.vision.side(), source.0.max(source.1));
    let window = Window { left: 0, top: 0, width: side, height: side };
    View { canvas: (edge, edge), resized: (side, side), window, grid: (c.vision.grid, c.vision.grid) }
}

/// The whole picture, then its four quarters at twice the size (AnyRes).
fn tiled_views(c: &Config, source: (u32, u32)) -> Vec<View> {
    let (whole, side) = (padded_view(c, source), c.vision.side());
    let tile = |number: u32| {
        let (left, top) = ((number % 2 * side) as i32, (number / 2 * side) as i32);
        View { resized: (2 * side, 2 * side), window: Window { left, top, ..whole.window }, ..whole }
    };
    std::iter::once(whole).chain((0..4).map(tile)).collect()
}

/// The plan with no more than `share` visual tokens: a picture without its quarters, a video with fewer frames.
fn reduced(c: &Config, plan: MediaPlan, share: usize) -> ModelResult<MediaPlan> {
    let units = share / tokens_per_unit(c, &plan);
    if units == 0 {
        let text = format!("{} visual tokens do not fit in the {share} that are left", tokens_per_unit(c, &plan));
        return Err(ModelError::Caller(text));
    }
    if plan.kind == MediaKind::Image {
        return Ok(MediaPlan { views: plan.views[..1].to_vec(), ..plan });
    }
    let all = plan.frames.len();
    Ok(plan.with_frames((0..units).map(|n| plan.frames[n * all / units].clone()).collect()))
}
