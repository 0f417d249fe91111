//! Which frames through which view, and the family's settings.

use super::config::{Config, MadeFor, Sampling, Template};
use super::frame_sampling;
use crate::contract::media_plan::{MediaKind, MediaMetadata, MediaPlan, PlanOptions, View, Window};
use crate::contract::settings::{Setting, SettingType, Settings};
use crate::error::{ModelError, ModelResult};
use crate::processing::{BudgetShare, plan_in_shares};

/// Names of the family's settings.
const TEMPLATE: &str = "template";
const SAMPLING: &str = "sampling";
const FRAME_NUMBERS: &str = "frame_numbers";

/// Longest ratio of a frame's sides: of a longer one the square in its middle shows next to nothing.
const MAX_ASPECT: u64 = 200;

/// The family's settings.
pub(super) fn settings(c: &Config) -> Vec<Setting> {
    let setting =
        |name, meaning, value_type, default: &str| Setting { name, meaning, value_type, default: default.to_string() };
    vec![
        setting(
            TEMPLATE,
            "how the conversation is written: with \"Question:\" and \"Answer:\", as it is, or for short answers",
            SettingType::Word(Template::NAMES),
            c.template.name(),
        ),
        setting(
            SAMPLING,
            "which frames of a video: one a second from the start, evenly over the first 60 seconds, or evenly over \
             the whole video, for which no checkpoint was trained: answers become vaguer",
            SettingType::Word(Sampling::NAMES),
            c.sampling().name(),
        ),
        setting(
            FRAME_NUMBERS,
            "write its second after each frame of a video",
            SettingType::Flag,
            if numbers_frames(c, c.template) { "true" } else { "false" },
        ),
    ]
}

/// Whether frames are numbered where the caller says nothing.
fn numbers_frames(c: &Config, template: Template) -> bool {
    c.made_for == MadeFor::Videos && template == Template::Chat
}

/// The template of a conversation: that of its first media, or the checkpoint's.
pub(super) fn template(c: &Config, plans: &[MediaPlan]) -> Template {
    let named = plans.first().and_then(|plan| plan.settings.word(TEMPLATE));
    named.and_then(Template::named).unwrap_or(c.template)
}

/// Whether the second of every frame is written after it.
pub(super) fn frames_are_numbered(plan: &MediaPlan) -> bool {
    plan.settings.flag(FRAME_NUMBERS).unwrap_or(false)
}

/// Plans `new` media after those of `earlier` turns.
pub(super) fn plan(
    c: &Config,
    earlier: &[MediaPlan],
    new: &[MediaMetadata],
    options: &PlanOptions,
) -> ModelResult<Vec<MediaPlan>> {
    let per_frame = c.vision.tokens();
    let one = |media: &MediaMetadata, share: Option<BudgetShare>| {
        let most = share.map_or(usize::MAX, |share| share.tokens() / per_frame);
        match share {
            Some(BudgetShare { left, media }) if most == 0 => Err(ModelError::Caller(format!(
                "a budget of {} visual tokens, of which {left} are left for {media} media: a frame takes {per_frame}",
                options.max_visual_tokens.unwrap_or(0)
            ))),
            _ => one_plan(c, media, options, most),
        }
    };
    plan_in_shares(earlier, new, options, |plan| plan.frames.len() * per_frame, one)
}

/// Media of at most `most` frames.
fn one_plan(c: &Config, media: &MediaMetadata, options: &PlanOptions, most: usize) -> ModelResult<MediaPlan> {
    let source = media.shown_size()?;
    let template = options.settings.word(TEMPLATE).and_then(Template::named).unwrap_or(c.template);
    let sampling = options.settings.word(SAMPLING).and_then(Sampling::named).unwrap_or(c.sampling());
    let numbered = options.settings.flag(FRAME_NUMBERS).unwrap_or(numbers_frames(c, template));
    let frames = match media.kind {
        MediaKind::Image => vec![media.planned_frame(0, 0.0)],
        MediaKind::Video => {
            let most = options.max_frames.unwrap_or(c.max_frames).min(c.max_frames).min(most);
            let frames = frame_sampling::frames(sampling, media, options, most)?;
            warn_of(c, sampling, media, options, frames.len());
            frames
        }
    };
    let settings = Settings::default()
        .with(TEMPLATE, template.name())
        .with(SAMPLING, sampling.name())
        .with(FRAME_NUMBERS, numbered);
    let views = vec![view(c, source)?];
    Ok(MediaPlan { kind: media.kind, source, frames, views, joint: false, captions: Vec::new(), settings })
}

/// Says what is not seen, and what the checkpoint was not made for.
fn warn_of(c: &Config, sampling: Sampling, media: &MediaMetadata, options: &PlanOptions, frames: usize) {
    let Ok(range) = media.range(options) else { return };
    let seconds = range.end - range.start;
    if c.made_for == MadeFor::Pictures {
        tracing::warn!("this checkpoint was made for one picture; it sees {frames} frames of the video as pictures");
        return;
    }
    let shown = match sampling {
        Sampling::Seconds => c.max_frames as f64 / options.fps.unwrap_or(1.0),
        Sampling::Uniform | Sampling::Whole => 60.0,
    };
    match sampling {
        _ if seconds <= shown + 1.0 => {}
        Sampling::Seconds | Sampling::Uniform => tracing::warn!(
            "the model sees the first {shown:.0} of {seconds:.0} seconds; --start and --end choose others, and --set \
             sampling=whole spreads {frames} frames over all"
        ),
        Sampling::Whole => tracing::warn!(
            "{frames} frames over {seconds:.0} seconds: the checkpoint was trained with frames of at most a minute, \
             and with seconds up to {}; expect vaguer answers",
            c.max_frames - 1
        ),
    }
}

/// The view of frames of this size.
fn view(c: &Config, source: (u32, u32)) -> ModelResult<View> {
    let (width, height) = (u64::from(source.0), u64::from(source.1));
    let (short, long) = (width.min(height), width.max(height));
    let (side, grid) = (c.vision.side as u32, (c.vision.grid(), c.vision.grid()));
    if c.made_for == MadeFor::Pictures {
        return Ok(View::whole(source, (side, side), grid));
    }
    if long > MAX_ASPECT * short {
        return Err(ModelError::Caller(format!("{width}x{height} is longer than {MAX_ASPECT} to 1")));
    }
    // The authors' order: the ratio first, then times the side, rounded down.
    let long_side = (long as f64 / short as f64 * f64::from(side)).floor() as u32;
    let resized = if width < height { (side, long_side) } else { (long_side, side) };
    let middle = |all: u32| (f64::from(all - side) / 2.0).round_ties_even() as i32;
    let window = Window { left: middle(resized.0), top: middle(resized.1), width: side, height: side };
    Ok(View { canvas: source, resized, window, grid })
}
