//! Which frames through which views, within a budget of visual tokens.

use super::config::{Aspect, Config, Convention, Newline};
use super::geometry::{self, TokenGrid};
use crate::contract::media_plan::{MediaKind, MediaMetadata, MediaPlan, PlanOptions, PlannedFrame, View, Window};
use crate::contract::prompt::VisualSpan;
use crate::contract::settings::{Setting, SettingType, Settings};
use crate::error::{ModelError, ModelResult};
use crate::processing::{every_nth, first_to_last, frames_at_rate, linspace, window_starts};

/// Names and values of the family's settings.
const TILES: &str = "tiles";
const AUTO: &str = "auto";
const ANYRES: &str = "anyres";
const PAD: &str = "pad";
const SAMPLING: &str = "sampling";
const UNIFORM: &str = "uniform";
const BY_RATE: &str = "fps";

/// Frames per second where nobody says how many.
const FPS: f64 = 1.0;

/// The family's settings.
pub(super) fn settings(c: &Config) -> Vec<Setting> {
    let setting = |name, meaning, words, default: &str| {
        let value_type = SettingType::Word(words);
        Setting { name, meaning, value_type, default: default.to_string() }
    };
    vec![
        setting(
            TILES,
            "show a picture in tiles as well (anyres), or once, in the middle of a square (pad); auto tiles the only \
             picture of a conversation",
            &[AUTO, ANYRES, PAD],
            if c.aspect == Aspect::AnyRes { AUTO } else { PAD },
        ),
        setting(
            SAMPLING,
            "take so many frames, spread evenly (uniform), or so many a second up to that number (fps)",
            &[UNIFORM, BY_RATE],
            if c.fps.is_some() { BY_RATE } else { UNIFORM },
        ),
    ]
}

/// Plans `new` media after those of `earlier` turns.
pub(super) fn plan(
    c: &Config,
    earlier: &[MediaPlan],
    new: &[MediaMetadata],
    options: &PlanOptions,
) -> ModelResult<Vec<MediaPlan>> {
    let new_pictures = new.iter().filter(|media| media.kind == MediaKind::Image).count();
    let pictures = new_pictures + earlier.iter().filter(|plan| plan.kind == MediaKind::Image).count();
    let asked = options.settings.word(TILES).unwrap_or(AUTO);
    let tiled = match asked {
        ANYRES => true,
        PAD => false,
        _ => pictures == 1 && c.aspect == Aspect::AnyRes,
    };
    let mut plans = new.iter().map(|media| one(c, media, options, tiled)).collect::<ModelResult<Vec<_>>>()?;
    let Some(budget) = options.max_visual_tokens else { return Ok(plans) };
    let before: usize = earlier.iter().map(|plan| tokens(c, plan)).sum();
    let left = budget.saturating_sub(before);
    if asked == AUTO && total(c, &plans) > left {
        plans.iter_mut().filter(|plan| plan.kind == MediaKind::Image).for_each(|plan| untile(c, plan));
    }
    let plans = with_fewer_frames(c, plans, left);
    match total(c, &plans) {
        needed if needed > left => {
            let text = format!(
                "a budget of {budget} visual tokens, of which earlier media take {before}: the new ones need at least \
                 {needed}"
            );
            Err(ModelError::Caller(text))
        }
        _ => Ok(plans),
    }
}

/// Media with all frames and views that it may have.
fn one(c: &Config, media: &MediaMetadata, options: &PlanOptions, tiled: bool) -> ModelResult<MediaPlan> {
    let source = media.shown_size()?;
    let sampling = sampling(c, options)?;
    let (frames, views, tiles) = match media.kind {
        MediaKind::Image if tiled => (vec![media.planned_frame(0, 0.0)], tiled_views(c, source), ANYRES),
        MediaKind::Image => (vec![media.planned_frame(0, 0.0)], vec![padded_view(c, source)], PAD),
        MediaKind::Video => {
            let tiles = options.settings.word(TILES).unwrap_or(AUTO);
            (frames(c, media, options, sampling)?, vec![squashed_view(c, source)], tiles)
        }
    };
    let settings = Settings::default().with(TILES, tiles).with(SAMPLING, sampling);
    Ok(MediaPlan { kind: media.kind, source, frames, views, joint: false, captions: Vec::new(), settings })
}

/// The asked way to sample frames; where nothing is asked, a rate means the way that has one.
fn sampling(c: &Config, options: &PlanOptions) -> ModelResult<&'static str> {
    match (options.settings.word(SAMPLING), options.fps) {
        (Some(UNIFORM), Some(fps)) => {
            let text = format!("{fps} frames per second and setting {SAMPLING}={UNIFORM}, which has no rate");
            Err(ModelError::Caller(text))
        }
        (Some(UNIFORM), None) => Ok(UNIFORM),
        (Some(_), _) | (None, Some(_)) => Ok(BY_RATE),
        (None, None) => Ok(if c.fps.is_some() { BY_RATE } else { UNIFORM }),
    }
}

/// The frames of a video.
fn frames(c: &Config, media: &MediaMetadata, options: &PlanOptions, sampling: &str) -> ModelResult<Vec<PlannedFrame>> {
    let (fps, most) = (options.fps.or(c.fps).unwrap_or(FPS), options.max_frames.unwrap_or(c.frames));
    if !fps.is_finite() || fps <= 0.0 || most == 0 {
        return Err(ModelError::Caller(format!("cannot sample {fps} frames per second, at most {most}")));
    }
    let range = media.range(options)?;
    Ok(match (c.convention, sampling) {
        (Convention::Original, BY_RATE) => every_nth(media, &range, fps, most),
        (Convention::Original, _) => first_to_last(media, &range, most),
        // An average rate is rarely exact to the last bit; a frame is not lost over 1e-6.
        (Convention::Transformers, BY_RATE) => {
            let asked = (frames_at_rate(&range, fps) + 1e-6).floor().min(most as f64);
            window_starts(media, &range, asked as usize)
        }
        (Convention::Transformers, _) => window_starts(media, &range, most),
    })
}

/// The part of `resized` that the encoder sees of a view whose left upper corner is at (left, top): whole patches.
fn view(c: &Config, canvas: (u32, u32), resized: (u32, u32), (left, top): (i32, i32)) -> View {
    let side = c.vision.side();
    let pixels = (side * c.vision.patch) as u32;
    View { canvas, resized, window: Window { left, top, width: pixels, height: pixels }, grid: (side, side) }
}

/// The whole frame, its shape given up.
fn squashed_view(c: &Config, source: (u32, u32)) -> View {
    let side = c.vision.image as u32;
    view(c, source, (side, side), (0, 0))
}

/// The whole frame in the middle of a square.
fn padded_view(c: &Config, source: (u32, u32)) -> View {
    let (side, edge) = (c.vision.image as u32, source.0.max(source.1));
    view(c, (edge, edge), (side, side), (0, 0))
}

/// The squashed frame, then its tiles, row by row.
fn tiled_views(c: &Config, source: (u32, u32)) -> Vec<View> {
    let (grid, side) = (geometry::tile_grid(c, source), c.vision.image as i32);
    let at = |tile: usize, offset: u32| tile as i32 * side - offset as i32;
    let tile =
        |(row, col): (usize, usize)| view(c, source, grid.resized, (at(col, grid.offset.0), at(row, grid.offset.1)));
    let order = (0..grid.tiles.1).flat_map(|row| (0..grid.tiles.0).map(move |col| (row, col)));
    std::iter::once(squashed_view(c, source)).chain(order.map(tile)).collect()
}

/// Tiles (columns, rows) of a picture, and which of their tokens are left; `None` for media in one view.
pub(super) fn tiles(c: &Config, plan: &MediaPlan) -> Option<((usize, usize), TokenGrid)> {
    if plan.views.len() == 1 {
        return None;
    }
    let tiles = geometry::tile_grid(c, plan.source).tiles;
    Some((tiles, geometry::token_grid(c, plan.source, tiles)))
}

/// Color of bars. They are black around tiles and at frames of another shape, and of the mean color around a padded
/// picture.
pub(super) fn background(c: &Config, plan: &MediaPlan) -> [u8; 3] {
    match plan.kind == MediaKind::Image && plan.views.len() == 1 {
        true => c.picture.mean.map(|mean| (f64::from(mean) * 255.0) as u8),
        false => [0; 3],
    }
}

/// The visual tokens of planned media, frame by frame.
pub(super) fn visual_spans(c: &Config, plan: &MediaPlan) -> Vec<VisualSpan> {
    let (view, pooled, frames) = (c.vision.patches(), c.vision.pooled(), plan.frames.len());
    let newlines = |frame: usize| match c.newline {
        Newline::End => usize::from(frame + 1 == frames),
        Newline::Row => pooled,
        Newline::Frame => 1,
        Newline::Nowhere => 0,
    };
    let tokens = |frame: usize| match (plan.kind, tiles(c, plan)) {
        (MediaKind::Video, _) => pooled * pooled + newlines(frame),
        (MediaKind::Image, Some((_, grid))) => view + grid.tokens(),
        (MediaKind::Image, None) => view + 1,
    };
    (0..frames).map(|frame| VisualSpan { frames: frame..frame + 1, tokens: tokens(frame) }).collect()
}

fn tokens(c: &Config, plan: &MediaPlan) -> usize {
    visual_spans(c, plan).iter().map(|span| span.tokens).sum()
}

fn total(c: &Config, plans: &[MediaPlan]) -> usize {
    plans.iter().map(|plan| tokens(c, plan)).sum()
}

/// A picture without its tiles.
fn untile(c: &Config, plan: &mut MediaPlan) {
    plan.views = vec![padded_view(c, plan.source)];
    plan.settings.set(TILES, PAD);
}

/// The plans with as many frames of each video as fit into `left` visual tokens, at least one.
fn with_fewer_frames(c: &Config, plans: Vec<MediaPlan>, left: usize) -> Vec<MediaPlan> {
    if total(c, &plans) <= left {
        return plans;
    }
    let thinned = |most: usize| plans.iter().map(|plan| thin(plan, most)).collect::<Vec<_>>();
    let (mut low, mut high) = (1, plans.iter().map(|plan| plan.frames.len()).max().unwrap_or(1));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if total(c, &thinned(middle)) <= left { low = middle } else { high = middle - 1 }
    }
    thinned(low)
}

/// The plan with at most `most` of its frames, from the first to the last.
fn thin(plan: &MediaPlan, most: usize) -> MediaPlan {
    match plan.frames.len() {
        all if all <= most => plan.clone(),
        all => plan.with_frames(linspace(all as u64, most).map(|n| plan.frames[n as usize].clone()).collect()),
    }
}
