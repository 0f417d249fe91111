//! Which frames of a video, through which views; the family's settings.

use super::config::{Config, MAX_TILES, TileConfig};
use crate::contract::media_plan::{MediaKind, MediaMetadata, MediaPlan, PlanOptions, PlannedFrame, View, Window};
use crate::contract::settings::{Setting, SettingType, Settings};
use crate::contract::timeline::TimeRange;
use crate::error::{ModelError, ModelResult};
use crate::processing::{BudgetShare, plan_in_shares};

/// Names of the family's settings.
const TIMES: &str = "times";
const REPEAT: &str = "repeat_system";
const NORM: &str = "norm";
const TILES: &str = "tiles";
const HEARS: &str = "hears";

/// What the Q-Former hears.
const SYSTEM: &str = "system";
const NOTHING: &str = "nothing";

/// Means and deviations of pixels.
const CLIP: &str = "clip";
const IMAGENET: &str = "imagenet";

/// The family's settings. Only checkpoints of high resolution have tiles.
pub(super) fn settings(c: &Config) -> Vec<Setting> {
    let flag = |name, meaning| Setting { name, meaning, value_type: SettingType::Flag, default: "false".to_string() };
    let mut all = vec![
        flag(TIMES, "tell the model in words at which seconds the frames were taken"),
        flag(REPEAT, "repeat the system text before every question, as the published MVBench run of Vicuna does"),
        Setting {
            name: NORM,
            meaning: "mean and deviation of pixels: those of CLIP, as in the published MVBench runs, or of \
                      ImageNet, as in training and HD",
            value_type: SettingType::Word(&[CLIP, IMAGENET]),
            default: default_norm(c).to_string(),
        },
        Setting {
            name: HEARS,
            meaning: "what the Q-Former hears: the system text (or a sentence of the demos), or nothing, as in the \
                      second stage of training",
            value_type: SettingType::Word(&[SYSTEM, NOTHING]),
            default: SYSTEM.to_string(),
        },
    ];
    all.extend(c.tiles.map(|tiles| Setting {
        name: TILES,
        meaning: "most tiles that a picture is cut into; the authors' demo has 12",
        value_type: SettingType::Integer,
        default: tiles.most.to_string(),
    }));
    all
}

fn default_norm(c: &Config) -> &'static str {
    if c.tiles.is_some() { IMAGENET } else { CLIP }
}

/// Whether the prompt tells the times of frames.
pub(super) fn tells_times(plan: &MediaPlan) -> bool {
    plan.settings.flag(TIMES).unwrap_or(false)
}

/// Whether the Q-Former hears words.
pub(super) fn hears_words(plan: &MediaPlan) -> bool {
    plan.settings.word(HEARS) != Some(NOTHING)
}

/// Whether the prompt repeats the system text.
pub(super) fn repeats_system(plan: &MediaPlan) -> bool {
    plan.settings.flag(REPEAT).unwrap_or(false)
}

/// Mean and standard deviation of each channel, in units of full scale.
pub(super) fn norm(plan: &MediaPlan) -> ([f32; 3], [f32; 3]) {
    match plan.settings.word(NORM) {
        Some(IMAGENET) => ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        _ => ([0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_6, 0.275_777_1]),
    }
}

/// Plans `new` media after those of `earlier` turns.
pub(super) fn plan(
    c: &Config,
    earlier: &[MediaPlan],
    new: &[MediaMetadata],
    options: &PlanOptions,
) -> ModelResult<Vec<MediaPlan>> {
    if let Some(tiles) = options.settings.integer(TILES).filter(|tiles| *tiles > MAX_TILES) {
        return Err(ModelError::Limit { what: "tiles of a picture", number: tiles, limit: MAX_TILES });
    }
    let tokens = |plan: &MediaPlan| plan.units() * c.tokens();
    plan_in_shares(earlier, new, options, tokens, |media, share| one(c, media, options, share.map(BudgetShare::tokens)))
}

/// One picture or video within its `share` of visual tokens.
fn one(c: &Config, media: &MediaMetadata, options: &PlanOptions, share: Option<usize>) -> ModelResult<MediaPlan> {
    let source = media.shown_size()?;
    let units = share.map_or(usize::MAX, |share| share / c.tokens());
    let (least, tiles) = match c.tiles {
        None => (1, None),
        Some(tiles) => {
            let extra = usize::from(tiles.whole);
            let most = options.settings.integer(TILES).unwrap_or(tiles.most);
            (1 + extra, Some(TileConfig { most: most.min(units.saturating_sub(extra)), ..tiles }))
        }
    };
    if units < least {
        let (needed, share) = (least * c.tokens(), share.unwrap_or_default());
        return Err(ModelError::Caller(format!("{needed} visual tokens do not fit in the {share} that are left")));
    }
    let frames = match media.kind {
        MediaKind::Image => vec![media.planned_frame(0, 0.0)],
        MediaKind::Video => frames(c, media, options)?,
    };
    let views = match tiles {
        Some(tiles) => tiled_views(c, source, tiles),
        None => vec![cropped_view(c, source)],
    };
    let mut settings = Settings::default();
    settings.set(TIMES, options.settings.flag(TIMES).unwrap_or(false));
    settings.set(REPEAT, options.settings.flag(REPEAT).unwrap_or(false));
    settings.set(NORM, options.settings.word(NORM).unwrap_or(default_norm(c)));
    settings.set(HEARS, options.settings.word(HEARS).unwrap_or(SYSTEM));
    if let Some(tiles) = c.tiles {
        settings.set(TILES, options.settings.integer(TILES).unwrap_or(tiles.most));
    }
    let captions = captions(media, options, &frames);
    Ok(MediaPlan { kind: media.kind, source, frames, views, joint: true, captions, settings })
}

/// The middle of each of N equal parts.
fn frames(c: &Config, media: &MediaMetadata, options: &PlanOptions) -> ModelResult<Vec<PlannedFrame>> {
    let range = media.range(options)?;
    let seconds = range.end - range.start;
    let most = options.max_frames.unwrap_or(c.frames);
    let n = match options.fps {
        None => most,
        Some(fps) if fps > 0.0 && fps.is_finite() => ((seconds * fps).round() as usize).clamp(1, most.max(1)),
        Some(fps) => return Err(ModelError::Caller(format!("cannot sample {fps} frames per second"))),
    };
    if most == 0 {
        return Err(ModelError::Caller("a video of at most 0 frames".to_string()));
    }
    let n = n.min(range.frames.len());
    let step = media.timeline.constant_step(&range).filter(|step| *step > 0.0);
    let mut indices: Vec<usize> = match step {
        Some(step) => by_number(media, &range, step, n),
        None => {
            let moment = |i: usize| range.start + (i as f64 + 0.5) * seconds / n as f64;
            (0..n)
                .map(|i| media.timeline.on_screen(moment(i)).clamp(range.frames.start, range.frames.end - 1))
                .collect()
        }
    };
    // A clip with hardly more frames than are wanted: the reference shows some of them twice.
    indices.dedup();
    let told = |index: usize| media.timeline.start_of(index).max(range.start);
    Ok(indices.into_iter().map(|index| media.planned_frame(index, told(index))).collect())
}

/// The reference's rule, which counts frames: `trunc(s + g / 2 + round(g i))` with `g = (e - s) / n`, half to even.
fn by_number(media: &MediaMetadata, range: &TimeRange, step: f64, n: usize) -> Vec<usize> {
    let (first, last) = (range.frames.start, range.frames.end - 1);
    let begin = media.timeline.start_of(first);
    let number = |seconds: f64| first as f64 + ((seconds - begin) / step).round_ties_even();
    let start = number(range.start).max(0.0);
    let end = number(range.end).min((media.timeline.len() - 1) as f64).max(start);
    let part = (end - start) / n as f64;
    let index = |i: usize| (start + part / 2.0 + (part * i as f64).round_ties_even()) as usize;
    (0..n).map(|i| index(i).clamp(first, last)).collect()
}

/// Subtitles as the reference cleans them: letters, digits and spaces; a line that repeats the one before is left out.
fn captions(media: &MediaMetadata, options: &PlanOptions, frames: &[PlannedFrame]) -> Vec<(usize, String)> {
    let (start, end) = (options.start.unwrap_or(f64::NEG_INFINITY), options.end.unwrap_or(f64::INFINITY));
    let follow = |end: f64| frames.partition_point(|frame| frame.time < end).saturating_sub(1);
    let mut all: Vec<(usize, String)> = Vec::new();
    for caption in media.captions.iter().filter(|caption| caption.end > start && caption.start < end) {
        for line in caption.text.lines() {
            let clean: String = line.chars().filter(|c| c.is_ascii_alphanumeric() || c.is_whitespace()).collect();
            if !clean.is_empty() && all.last().is_none_or(|(_, last)| *last != clean) {
                all.push((follow(caption.end), clean));
            }
        }
    }
    all
}

/// The middle square of the frame, whose shorter side is resized to the encoder's.
fn cropped_view(c: &Config, source: (u32, u32)) -> View {
    let side = c.vision.side as u32;
    let longer = |long: u32, short: u32| ((u64::from(side) * u64::from(long) / u64::from(short)) as u32).max(side);
    let resized = match source.0 <= source.1 {
        true => (side, longer(source.1, source.0)),
        false => (longer(source.0, source.1), side),
    };
    let offset = |all: u32| (f64::from(all - side) / 2.0).round_ties_even() as i32;
    let window = Window { left: offset(resized.0), top: offset(resized.1), width: side, height: side };
    View { canvas: source, resized, window, grid: (c.vision.grid(), c.vision.grid()) }
}

/// The tiles row by row, then the whole.
fn tiled_views(c: &Config, source: (u32, u32), tiles: TileConfig) -> Vec<View> {
    let (side, grid) = (c.vision.side as u32, (c.vision.grid(), c.vision.grid()));
    let (across, down) = tile_grid(source, side, tiles.most);
    let resized = (side * across, side * down);
    let tile = |number: u32| {
        let (left, top) = ((number % across * side) as i32, (number / across * side) as i32);
        View { canvas: source, resized, window: Window { left, top, width: side, height: side }, grid }
    };
    let whole = tiles.whole.then(|| View::whole(source, (side, side), grid));
    (0..across * down).map(tile).chain(whole).collect()
}

/// Tiles (across, down), at most `most`, whose ratio is nearest to the picture's. Of equal ratios the one with more
/// tiles, where the picture has more than half of its pixels (InternVL's rule).
pub(super) fn tile_grid(source: (u32, u32), side: u32, most: usize) -> (u32, u32) {
    let most = most.max(1) as u32;
    let mut grids: Vec<(u32, u32)> = (1..=most).flat_map(|w| (1..=most / w).map(move |h| (w, h))).collect();
    grids.sort_by_key(|(w, h)| w * h);
    let (ratio, area) = (f64::from(source.0) / f64::from(source.1), f64::from(source.0) * f64::from(source.1));
    let (mut best, mut nearest) = ((1, 1), f64::INFINITY);
    for (w, h) in grids {
        let distance = (ratio - f64::from(w) / f64::from(h)).abs();
        let pixels = f64::from(side * side) * f64::from(w * h);
        if distance < nearest || (distance == nearest && area > 0.5 * pixels) {
            (best, nearest) = ((w, h), distance);
        }
    }
    best
}
