//! Which frames, at which size, as which patches, and which tokens survive DiffFP: the arithmetic before the encoder.
//!
//! Sizes: `geometry`; times: `sampling`. Both conventions are kept because checkpoints were made for one or the other.

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use zoetrope_kernels::patchify::patchify;
use zoetrope_kernels::resize::{Filter, Order, resize, resize_rows};
use zoetrope_media::{Frame, Rgb};

use super::config::{Convention, ProcessorConfig};
use super::geometry::{self, Item};
use super::sampling;
use crate::contract::{Carry, ItemPlan, MediaKind, Patches, Plan, PlanOptions, Source};
use crate::error::ModelError;

/// Grey-level difference (in half levels, see `keep_mask`) above which a token survives.
const THRESHOLD: f32 = 0.1;
/// Longest frame or picture side ratio that the transformers convention accepts.
const MAX_ASPECT: f64 = 200.0;

/// Plans a request.
pub(super) fn plan(
    c: &ProcessorConfig,
    patch: usize,
    sources: &[Source],
    options: &PlanOptions,
) -> Result<Plan, ModelError> {
    let mut items = Vec::with_capacity(sources.len());
    for source in sources {
        if source.width == 0 || source.height == 0 {
            let text = format!("a picture of {}x{} pixels has nothing to show", source.width, source.height);
            return Err(ModelError::Caller(text));
        }
        let frames = match source.kind {
            MediaKind::Image => sampling::still(),
            MediaKind::Video => sampling::frames(c, source, options)?,
        };
        let merge = match source.kind {
            MediaKind::Image => options.image_merge.unwrap_or(c.image_merge),
            MediaKind::Video => c.video_merge,
        };
        items.push((source, frames, merge));
    }
    let shapes: Vec<Item> = items
        .iter()
        .map(|(source, frames, merge)| Item {
            height: source.height as usize,
            width: source.width as usize,
            frames: frames.len(),
            factor: patch * merge,
            video: source.kind == MediaKind::Video,
        })
        .collect();
    let sizes = sizes(c, &shapes, options.max_visual_tokens)?;
    let prune = options.prune.unwrap_or(c.prune);
    let built = items.into_iter().zip(sizes).map(|((source, frames, merge), (height, width))| ItemPlan {
        kind: source.kind,
        source: (source.width, source.height),
        prune: prune && source.kind == MediaKind::Video && frames.len() > 1,
        frames,
        resized: (width as u32, height as u32),
        grid: (height / patch, width / patch),
        merge,
        tokens_per_frame: height / patch / merge * (width / patch / merge),
    });
    Ok(Plan { items: built.collect() })
}

fn sizes(c: &ProcessorConfig, items: &[Item], max_tokens: Option<usize>) -> Result<Vec<(usize, usize)>, ModelError> {
    if c.convention == Convention::Original {
        return Ok(geometry::original(items, c.min_tokens, max_tokens.unwrap_or(c.max_tokens)));
    }
    items
        .iter()
        .map(|item| {
            let (long, short) = (item.height.max(item.width), item.height.min(item.width));
            if long as f64 / short as f64 > MAX_ASPECT {
                let text = format!("{}x{} is longer than {MAX_ASPECT} to 1", item.width, item.height);
                return Err(ModelError::Caller(text));
            }
            let range = if item.video { c.video_pixels } else { c.image_pixels };
            let max = max_tokens.map_or(range.max, |tokens| tokens * item.factor * item.factor);
            Ok(geometry::transformers(item, range.min.min(max), max))
        })
        .collect()
}

/// Frames of one item to patches; see [`keep_mask`] for `carry`.
pub(super) fn prepare(
    c: &ProcessorConfig,
    patch: usize,
    item: &ItemPlan,
    frames: &[Frame],
    carry: &mut Carry,
) -> Result<Patches, ModelError> {
    let arithmetic = Arithmetic::of(c.convention, item.kind);
    let tables = [0, 1, 2].map(|channel| levels(c, arithmetic, channel));
    let (rows, cols) = item.grid;
    let per_frame = rows * cols * 3 * patch * patch;
    let mut pixels = vec![0.0f32; frames.len() * per_frame];
    // A band is a row of blocks; the kernel's order of patches is `vision::block_order`.
    let (size, order, band) = (item.resized, arithmetic.order(), item.merge * patch);
    let write = |rows: &[u8], out: &mut [f32]| patchify(rows, cols, patch, item.merge, &tables, out);
    pixels.par_chunks_mut(per_frame).zip(frames).try_for_each(|(out, frame)| {
        resize_rows(&frame.image.data, shape(&frame.image)?, out, size, Filter::Bicubic, order, band, write)
            .map_err(|error| ModelError::Bug(error.to_string()))
    })?;
    let keep = if item.prune {
        keep_mask(&pixels, per_frame, item.merge * item.merge * 3 * patch * patch, carry)
    } else {
        vec![true; frames.len() * item.tokens_per_frame]
    };
    let shape = (frames.len() * rows * cols, 3 * patch * patch);
    let pixels = Tensor::from_vec(pixels, shape, &Device::Cpu)?;
    Ok(Patches { pixels, frames: frames.len(), grid: item.grid, merge: item.merge, keep })
}

/// One frame as the encoder sees it, before normalising.
pub(super) fn shown(c: &ProcessorConfig, item: &ItemPlan, frame: &Frame) -> Result<Rgb, ModelError> {
    let order = Arithmetic::of(c.convention, item.kind).order();
    let ((from_width, from_height), (width, height)) = (shape(&frame.image)?, item.resized);
    let data = resize(&frame.image.data, from_width, from_height, width, height, Filter::Bicubic, order)
        .map_err(|error| ModelError::Bug(error.to_string()))?;
    Ok(Rgb { width, height, data })
}

/// Width and height of a picture that shows something.
fn shape(picture: &Rgb) -> Result<(u32, u32), ModelError> {
    if picture.width == 0 || picture.height == 0 {
        return Err(ModelError::Caller("a frame without pixels".to_string()));
    }
    Ok((picture.width, picture.height))
}

/// Whose rounding a picture or frame is resized and normalised with.
#[derive(Clone, Copy, PartialEq)]
enum Arithmetic {
    /// Pillow before 13, of the time of the authors' checkpoints.
    OldPillow,
    /// Pillow 13: transformers' Pillow backend for pictures.
    Pillow,
    /// torchvision: the only backend transformers has for videos.
    Torchvision,
}

impl Arithmetic {
    fn of(convention: Convention, kind: MediaKind) -> Self {
        match (convention, kind) {
            (Convention::Original, _) => Arithmetic::OldPillow,
            (Convention::Transformers, MediaKind::Image) => Arithmetic::Pillow,
            (Convention::Transformers, MediaKind::Video) => Arithmetic::Torchvision,
        }
    }

    fn order(self) -> Order {
        match self {
            Arithmetic::OldPillow => Order::HorizontalFirst,
            Arithmetic::Pillow => Order::Pillow13,
            Arithmetic::Torchvision => Order::Torchvision,
        }
    }
}

/// What every grey level of a channel becomes; Pillow's and torchvision's paths differ in the last bit.
fn levels(c: &ProcessorConfig, arithmetic: Arithmetic, channel: usize) -> [f32; 256] {
    let (mean, std) = (c.mean[channel], c.std[channel]);
    std::array::from_fn(|level| match arithmetic {
        Arithmetic::OldPillow | Arithmetic::Pillow => ((level as f64 * c.rescale) as f32 - mean) / std,
        Arithmetic::Torchvision => {
            let unit = (1.0 / c.rescale) as f32;
            (level as f32 - mean * unit) / (std * unit)
        }
    })
}

/// DiffFP (paper section 2.2): a token survives when its pixels differ from the previous frame's by more than
/// [`THRESHOLD`] on average; 255 times a difference in [-1, 1] counts half grey levels. The first frame survives whole,
/// and every frame keeps at least its first token.
fn keep_mask(pixels: &[f32], per_frame: usize, per_token: usize, carry: &mut Carry) -> Vec<bool> {
    let mut keep = Vec::with_capacity(pixels.len() / per_token);
    for frame in pixels.chunks_exact(per_frame) {
        if carry.previous.is_empty() {
            keep.extend(std::iter::repeat_n(true, per_frame / per_token));
        } else {
            let tokens = frame.chunks_exact(per_token).zip(carry.previous.chunks_exact(per_token));
            let start = keep.len();
            keep.extend(tokens.map(|(now, before)| {
                let sum: f64 = now.iter().zip(before).map(|(a, b)| f64::from((a - b).abs())).sum();
                (sum / per_token as f64 * 255.0) as f32 > THRESHOLD
            }));
            if !keep[start..].contains(&true) {
                keep[start] = true;
            }
        }
        carry.previous.clear();
        carry.previous.extend_from_slice(frame);
    }
    keep
}
