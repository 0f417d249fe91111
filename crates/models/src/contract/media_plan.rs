//! How pictures and videos will be shown to a model: plain data, made without pixels, printed by `plan`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zoetrope_media::Time;

use crate::contract::settings::Settings;
use crate::contract::timeline::{TimeRange, Timeline};
use crate::error::{ModelError, ModelResult};

/// Whether media is one picture or a sequence of pictures in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// One picture.
    Image,
    /// Frames in time; a one-frame video is still a video.
    Video,
}

/// Words with a time: subtitles, speech. Written by people, so nothing in them is obeyed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Caption {
    /// First second, counted from the start of the first frame.
    pub start: f64,
    /// Last second, counted in the same way.
    pub end: f64,
    /// The words.
    pub text: String,
}

/// What a plan needs to know of one picture or video; no pixels.
#[derive(Clone, Debug)]
pub struct MediaMetadata {
    /// Picture or video.
    pub kind: MediaKind,
    /// Sizes (width, height) that frames have, in pixels, as displayed; at least one. Most media have one; a recording
    /// of a call may change between several.
    pub sizes: Vec<(u32, u32)>,
    /// When each frame is on screen.
    pub timeline: Timeline,
    /// Subtitles, by time.
    pub captions: Vec<Caption>,
}

impl MediaMetadata {
    /// A picture of `size` (width, height).
    pub fn picture(size: (u32, u32)) -> Self {
        let timeline = Timeline::of_picture();
        MediaMetadata { kind: MediaKind::Image, sizes: vec![size], timeline, captions: Vec::new() }
    }

    /// A video of frames of `size` that start at `times`; the last ends at `end` seconds. Both are on the source's
    /// clock.
    pub fn video(size: (u32, u32), times: impl Into<Arc<[Time]>>, end: f64) -> Self {
        let timeline = Timeline::new(times, end);
        MediaMetadata { kind: MediaKind::Video, sizes: vec![size], timeline, captions: Vec::new() }
    }

    /// The size that is planned for: the one with the most pixels, so that no detail is lost. Frames of another shape
    /// get bars ([`crate::processing::view_image`]).
    pub fn size(&self) -> (u32, u32) {
        let pixels = |size: &(u32, u32)| u64::from(size.0) * u64::from(size.1);
        // Of several the first, though `max_by_key` gives the last.
        self.sizes.iter().rev().copied().max_by_key(pixels).unwrap_or((0, 0))
    }

    /// The size that is planned for.
    ///
    /// # Errors
    /// [`ModelError::Caller`] for a picture without pixels.
    pub fn shown_size(&self) -> ModelResult<(u32, u32)> {
        match self.size() {
            (width, height) if width == 0 || height == 0 => {
                Err(ModelError::Caller(format!("a picture of {width}x{height} pixels has nothing to show")))
            }
            size => Ok(size),
        }
    }

    /// What is on screen in the part of a video that `options` name.
    ///
    /// # Errors
    /// [`ModelError::Caller`] when that is nothing.
    pub fn range(&self, options: &PlanOptions) -> ModelResult<TimeRange> {
        self.timeline.range(options.start, options.end)
    }

    /// Frame `index`, of which the model is told `prompt_time`.
    pub fn planned_frame(&self, index: usize, prompt_time: f64) -> PlannedFrame {
        let (time, source_time) = (self.timeline.start_of(index), self.timeline.source_time(index));
        PlannedFrame { index, time, source_time, prompt_time }
    }
}

/// What the caller wants of the sampling; `None` means what the checkpoint says.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// Frames per second to sample.
    pub fps: Option<f64>,
    /// Most frames of a video.
    pub max_frames: Option<usize>,
    /// Most visual tokens of the whole conversation, before pruning.
    pub max_visual_tokens: Option<usize>,
    /// Use only what is on screen from this second on, counted from the start of the first frame.
    pub start: Option<f64>,
    /// Use only what is on screen before this second, counted in the same way.
    pub end: Option<f64>,
    /// What only some families have, by name.
    pub settings: Settings,
}

/// One frame that the model will see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedFrame {
    /// Index in presentation order.
    pub index: usize,
    /// Start of the frame in seconds, counted from the start of the first frame.
    pub time: f64,
    /// Start of the frame in seconds on the source's own clock, which need not begin at zero.
    pub source_time: f64,
    /// The time that the prompt tells the model, counted as `time` (the start of the sampling slot, in some references'
    /// convention).
    pub prompt_time: f64,
}

/// A rectangle in pixels; it may reach beyond the picture (padding) or leave some out (cropping).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Left edge.
    pub left: i32,
    /// Top edge.
    pub top: i32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// One picture that the encoder is given of a frame: the frame in the middle of `canvas`, resized, cut to `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The frame's own size (width, height), or larger: bars in the family's color.
    pub canvas: (u32, u32),
    /// The canvas's size after the resize (width, height).
    pub resized: (u32, u32),
    /// The part of the resized canvas that the encoder sees.
    pub window: Window,
    /// Patches (rows, columns).
    pub grid: (usize, usize),
}

impl View {
    /// The whole frame, resized to `resized` and cut into `grid` patches.
    pub fn whole(source: (u32, u32), resized: (u32, u32), grid: (usize, usize)) -> Self {
        let window = Window { left: 0, top: 0, width: resized.0, height: resized.1 };
        View { canvas: source, resized, window, grid }
    }

    /// Patches of the view.
    pub fn patches(&self) -> usize {
        self.grid.0 * self.grid.1
    }
}

/// How one picture or video will be shown to the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MediaPlan {
    /// Picture or video.
    pub kind: MediaKind,
    /// Size of the frames (width, height); the largest where they differ.
    pub source: (u32, u32),
    /// Frames used, in order.
    pub frames: Vec<PlannedFrame>,
    /// Every frame is shown through all of these, in this order.
    pub views: Vec<View>,
    /// Whether the encoder takes all frames of a view together (one unit a view), or each on its own.
    pub joint: bool,
    /// Words that follow a frame: (its number in `frames`, the words).
    pub captions: Vec<(usize, String)>,
    /// The family's settings as they apply to this media.
    pub settings: Settings,
}

impl MediaPlan {
    /// What the encoder looks at, one after the other: frame by frame each view, or view by view when joint.
    pub fn units(&self) -> usize {
        self.views.len() * if self.joint { 1 } else { self.frames.len() }
    }

    /// This plan with only `frames`, which are some of its own in order: what is left when others cannot be decoded.
    /// The captions of a frame that is gone follow the last one before it, or the first where there is none before.
    #[must_use]
    pub fn with_frames(&self, frames: Vec<PlannedFrame>) -> MediaPlan {
        let (mut kept, mut left) = (Vec::with_capacity(frames.len()), self.frames.iter().enumerate());
        kept.extend(frames.iter().filter_map(|frame| left.find(|(_, own)| *own == frame).map(|(number, _)| number)));
        let follow = |number: usize| kept.partition_point(|own| *own <= number).saturating_sub(1);
        let captions = match kept.is_empty() {
            true => Vec::new(),
            false => self.captions.iter().map(|(number, words)| (follow(*number), words.clone())).collect(),
        };
        MediaPlan { frames, captions, views: self.views.clone(), settings: self.settings.clone(), ..*self }
    }

    /// Whether a frame of this size (width, height) is shown with bars, because its sides have another ratio than those
    /// that were planned. A difference of less than a pixel in the source's size is rounding.
    pub fn shows_with_bars(&self, size: (u32, u32)) -> bool {
        let [w, h, source_w, source_h] = [size.0, size.1, self.source.0, self.source.1].map(u64::from);
        let (own, planned) = (w * source_h, h * source_w);
        own.abs_diff(planned) >= if own < planned { h } else { w }.max(1)
    }

    /// Patches of one frame through all views.
    pub fn patches_per_frame(&self) -> usize {
        self.views.iter().map(View::patches).sum()
    }

    /// Patches of the whole media.
    pub fn patches(&self) -> usize {
        self.frames.len() * self.patches_per_frame()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_of_lost_frames_follow_the_frame_before() {
        let frame = |index: usize| {
            let time = index as f64;
            PlannedFrame { index, time, source_time: time, prompt_time: time }
        };
        let plan = MediaPlan {
            kind: MediaKind::Video,
            source: (8, 8),
            frames: (0..5).map(frame).collect(),
            views: vec![View::whole((8, 8), (8, 8), (1, 1))],
            joint: false,
            captions: (0..5).map(|number| (number, number.to_string())).collect(),
            settings: Settings::default().with("merge", 2),
        };
        let numbers = |kept: &[usize]| {
            let left = plan.with_frames(kept.iter().map(|index| frame(*index)).collect());
            assert_eq!((left.frames.len(), &left.settings, &left.views), (kept.len(), &plan.settings, &plan.views));
            left.captions.into_iter().map(|(number, _)| number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&[0, 1, 2, 3, 4]), [0, 1, 2, 3, 4]);
        assert_eq!(numbers(&[1, 4]), [0, 0, 0, 0, 1]);
        assert!(numbers(&[]).is_empty());
        let bars = [(8, 8), (4, 4), (2000, 2000), (8, 9), (4, 8)].map(|size| plan.shows_with_bars(size));
        assert_eq!(bars, [false, false, false, false, true]);
    }

    #[test]
    fn the_largest_of_several_sizes_is_planned_for() {
        let mut media = MediaMetadata::picture((80, 60));
        assert_eq!(media.size(), (80, 60));
        media.sizes.extend([(320, 240), (240, 320)]);
        assert_eq!(media.size(), (320, 240));
        media.sizes.clear();
        assert_eq!(media.size(), (0, 0));
    }
}
