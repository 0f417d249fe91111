//! How pictures and videos will be shown to a model: plain data, made without pixels, printed by `plan`.

use std::sync::Arc;

use serde::Serialize;
use zoetrope_media::Time;

use crate::contract::settings::Settings;

/// Whether media is one picture or a sequence of pictures in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// One picture.
    Image,
    /// Frames in time; a one-frame video is still a video.
    Video,
}

/// Words with a time on the media's clock: subtitles, speech. Written by people, so nothing in them is obeyed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Caption {
    /// First second.
    pub start: f64,
    /// Last second.
    pub end: f64,
    /// The words.
    pub text: String,
}

/// What a plan needs to know of one picture or video; no pixels.
#[derive(Clone, Debug)]
pub struct MediaMetadata {
    /// Picture or video.
    pub kind: MediaKind,
    /// Display width in pixels, after rotation.
    pub width: u32,
    /// Display height in pixels, after rotation.
    pub height: u32,
    /// Presentation times of all frames in order; one entry (zero) for a picture.
    pub times: Arc<[Time]>,
    /// End of the last frame in seconds on the same clock; the last time when unknown.
    pub end: f64,
    /// Subtitles, by time.
    pub captions: Vec<Caption>,
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
    /// Use only frames at or after this second of the media's clock.
    pub start: Option<f64>,
    /// Use only frames before this second of the media's clock.
    pub end: Option<f64>,
    /// What only some families have, by name.
    pub settings: Settings,
}

/// One frame that the model will see.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedFrame {
    /// Index in presentation order.
    pub index: usize,
    /// True presentation time in seconds.
    pub time: f64,
    /// The time that the prompt tells the model (the start of the sampling slot, in some references' convention).
    pub prompt_time: f64,
}

/// A rectangle in pixels; it may reach beyond the picture (padding) or leave some out (cropping).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MediaPlan {
    /// Picture or video.
    pub kind: MediaKind,
    /// Size of the frames (width, height).
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
        let frame = |index: usize| PlannedFrame { index, time: index as f64, prompt_time: index as f64 };
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
    }
}
