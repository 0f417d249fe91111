//! Which frames at which size. Times: `frame_sampling`; sizes: `geometry`. Both conventions are kept because
//! checkpoints were made for one or the other.

use super::config::{Convention, MAX_MERGE, ProcessorConfig};
use super::frame_sampling;
use super::geometry::{self, SizeRequest};
use crate::contract::media_plan::{MediaKind, MediaMetadata, MediaPlan, PlanOptions, PlannedFrame, View};
use crate::contract::settings::{Setting, SettingType, Settings};
use crate::error::{ModelError, ModelResult};

/// Longest ratio of a frame's sides that the transformers convention accepts.
const MAX_ASPECT: f64 = 200.0;

/// Names of the family's settings.
const MERGE: &str = "merge";
const PRUNE: &str = "prune";
const ENCODE: &str = "encode";
/// Words of [`ENCODE`].
const ALL: &str = "all";
const KEPT: &str = "kept";

/// The family's settings.
pub(super) fn settings(c: &ProcessorConfig) -> Vec<Setting> {
    vec![
        Setting {
            name: MERGE,
            meaning: "side of the square of patches that becomes one visual token",
            value_type: SettingType::Integer,
            default: format!("{} for pictures, {} for videos", c.image_merge, c.video_merge),
        },
        Setting {
            name: PRUNE,
            meaning: "leave out visual tokens that repeat the frame before (DiffFP)",
            value_type: SettingType::Flag,
            default: c.prune.to_string(),
        },
        Setting {
            name: ENCODE,
            meaning: "which patches of pruned frames the encoder sees; `kept` takes less time and changes answers",
            value_type: SettingType::Word(&[ALL, KEPT]),
            default: ALL.to_string(),
        },
    ]
}

/// The merge side of planned media.
pub(super) fn merge(plan: &MediaPlan) -> usize {
    plan.settings.integer(MERGE).unwrap_or(1).max(1)
}

/// Whether frames of planned media are pruned.
pub(super) fn prunes(plan: &MediaPlan) -> bool {
    plan.settings.flag(PRUNE).unwrap_or(false)
}

/// Whether the encoder sees only those patches of a frame that pruning keeps. The reference shows it all of them.
pub(super) fn encodes_kept(plan: &MediaPlan) -> bool {
    plan.settings.word(ENCODE) == Some(KEPT)
}

/// Visual tokens of one frame before pruning.
pub(super) fn tokens_per_frame(plan: &MediaPlan) -> usize {
    plan.patches_per_frame() / (merge(plan) * merge(plan))
}

/// Plans `new` media after those of `earlier` turns.
pub(super) fn plan(
    c: &ProcessorConfig,
    patch: usize,
    earlier: &[MediaPlan],
    new: &[MediaMetadata],
    options: &PlanOptions,
) -> ModelResult<Vec<MediaPlan>> {
    if let Some(merge) = options.settings.integer(MERGE).filter(|merge| *merge > MAX_MERGE) {
        return Err(ModelError::Limit { what: "patches on a side of a visual token", number: merge, limit: MAX_MERGE });
    }
    let mut chosen = Vec::with_capacity(new.len());
    for media in new {
        media.shown_size()?;
        let (frames, merge) = match media.kind {
            MediaKind::Image => (frame_sampling::still(media), c.image_merge),
            MediaKind::Video => (frame_sampling::frames(c, media, options)?, c.video_merge),
        };
        chosen.push((media, frames, options.settings.integer(MERGE).unwrap_or(merge)));
    }
    let requests: Vec<SizeRequest> =
        chosen.iter().map(|(media, frames, merge)| size_request(media, frames.len(), patch * merge)).collect();
    let before: usize = earlier.iter().map(|plan| plan.frames.len() * tokens_per_frame(plan)).sum();
    let sizes = sizes(c, &requests, before, options.max_visual_tokens)?;
    let prune = options.settings.flag(PRUNE).unwrap_or(c.prune);
    let encode = options.settings.word(ENCODE).unwrap_or(ALL);
    let build = |((media, frames, merge), size)| one_plan(media, frames, merge, size, patch, prune, encode);
    Ok(chosen.into_iter().zip(sizes).map(build).collect())
}

fn size_request(media: &MediaMetadata, frames: usize, factor: usize) -> SizeRequest {
    let (width, height) = media.size();
    SizeRequest {
        height: height as usize,
        width: width as usize,
        frames,
        factor,
        video: media.kind == MediaKind::Video,
    }
}

fn one_plan(
    media: &MediaMetadata,
    frames: Vec<PlannedFrame>,
    merge: usize,
    (height, width): (usize, usize),
    patch: usize,
    prune: bool,
    encode: &str,
) -> MediaPlan {
    let source = media.size();
    let prune = prune && media.kind == MediaKind::Video && frames.len() > 1;
    MediaPlan {
        kind: media.kind,
        source,
        frames,
        views: vec![View::whole(source, (width as u32, height as u32), (height / patch, width / patch))],
        joint: false,
        captions: Vec::new(),
        settings: Settings::default().with(MERGE, merge).with(PRUNE, prune).with(ENCODE, encode),
    }
}

/// (height, width) of each; together with `before` tokens of earlier turns at most `budget` visual tokens.
fn sizes(
    c: &ProcessorConfig,
    all: &[SizeRequest],
    before: usize,
    budget: Option<usize>,
) -> ModelResult<Vec<(usize, usize)>> {
    if c.convention == Convention::Transformers {
        for one in all {
            let (long, short) = (one.height.max(one.width), one.height.min(one.width));
            if long as f64 / short as f64 > MAX_ASPECT {
                let text = format!("{}x{} is longer than {MAX_ASPECT} to 1", one.width, one.height);
                return Err(ModelError::Caller(text));
            }
        }
    }
    let left = budget.map(|budget| budget.saturating_sub(before));
    let sizes = match c.convention {
        Convention::Original => geometry::resize_to_budget(all, c.min_tokens, left.unwrap_or(c.max_tokens)),
        Convention::Transformers => transformers_sizes(c, all, left),
    };
    let tokens = tokens(all, &sizes);
    match budget {
        Some(budget) if before + tokens > budget && !all.is_empty() => {
            let text = format!(
                "a budget of {budget} visual tokens, of which earlier media take {before}: the new ones need at least \
                 {tokens}, or fewer frames"
            );
            Err(ModelError::Caller(text))
        }
        _ => Ok(sizes),
    }
}

/// Visual tokens of all frames at these sizes.
fn tokens(all: &[SizeRequest], sizes: &[(usize, usize)]) -> usize {
    all.iter().zip(sizes).map(|(one, (h, w))| one.frames * (h / one.factor) * (w / one.factor)).sum()
}

/// In this convention every picture or video has a limit of its own; a budget is shared by lowering the largest.
fn transformers_sizes(c: &ProcessorConfig, all: &[SizeRequest], left: Option<usize>) -> Vec<(usize, usize)> {
    let of = |most: Option<usize>| all.iter().map(|one| transformers_size(c, one, most)).collect::<Vec<_>>();
    let Some(left) = left else { return of(None) };
    let (mut low, mut high) = (1, left.max(1));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if tokens(all, &of(Some(middle))) <= left { low = middle } else { high = middle - 1 }
    }
    of(Some(low))
}

/// transformers' size of one picture or video of at most `tokens` visual tokens.
fn transformers_size(c: &ProcessorConfig, one: &SizeRequest, tokens: Option<usize>) -> (usize, usize) {
    let range = if one.video { c.video_pixels } else { c.image_pixels };
    let max = tokens.map_or(range.max, |tokens| tokens.saturating_mul(one.factor * one.factor));
    geometry::smart_resize(one, range.min.min(max), max)
}
