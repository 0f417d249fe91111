//! Pictures and videos made of formulas.

use zoetrope_media::{Frame, Rgb, Time};
use zoetrope_models::contract::media_plan::{Caption, MediaKind, MediaMetadata, MediaPlan};

/// A picture or video with all its frames.
#[derive(Clone)]
pub(crate) struct TestMedia {
    pub(crate) metadata: MediaMetadata,
    frames: Vec<Frame>,
}

impl TestMedia {
    /// The frames that a plan shows.
    pub(crate) fn planned(&self, plan: &MediaPlan) -> Vec<Frame> {
        plan.frames.iter().map(|planned| self.frames[planned.index].clone()).collect()
    }
}

/// A picture.
pub(crate) fn picture(width: u32, height: u32) -> TestMedia {
    new(MediaKind::Image, (width, height), 1, Vec::new())
}

/// A video of `frames` frames, two a second.
pub(crate) fn video(width: u32, height: u32, frames: usize) -> TestMedia {
    new(MediaKind::Video, (width, height), frames, Vec::new())
}

/// What is known of a video whose frames start at `milliseconds`, in order, and which ends at `end`.
pub(crate) fn video_at(milliseconds: &[i64], end: i64) -> MediaMetadata {
    let times: Vec<Time> = milliseconds.iter().map(|&ticks| Time::new(ticks, 1000)).collect();
    MediaMetadata::video((64, 48), times, end as f64 / 1000.0)
}

/// A video of `frames` frames with words at some times.
pub(crate) fn video_with_captions(frames: usize, words: &[(f64, &str)]) -> TestMedia {
    let caption = |(end, words): &(f64, &str)| Caption { start: end - 0.4, end: *end, text: words.to_string() };
    new(MediaKind::Video, (48, 40), frames, words.iter().map(caption).collect())
}

fn new(kind: MediaKind, (width, height): (u32, u32), frames: usize, captions: Vec<Caption>) -> TestMedia {
    let frames: Vec<Frame> = (0..frames).map(|index| frame(index, width, height)).collect();
    let times: Vec<Time> = frames.iter().map(|frame| frame.time).collect();
    let metadata = match kind {
        MediaKind::Image => MediaMetadata::picture((width, height)),
        MediaKind::Video => MediaMetadata::video((width, height), times, frames.len() as f64 / 2.0),
    };
    TestMedia { metadata: MediaMetadata { captions, ..metadata }, frames }
}

/// A wavy background under a box that moves to the right, by one step in two frames.
fn frame(index: usize, width: u32, height: u32) -> Frame {
    let left = (index / 2 * 9) as u32 % width;
    let mut data = Vec::with_capacity((width * height * 3) as usize);
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let wave = (x as f32 * 0.3 + y as f32 * 0.17).sin();
        let inside = (left..left + width / 4).contains(&x) && (height / 4..height / 2).contains(&y);
        let pixel = if inside { [230, 40, 60] } else { [90.0, 130.0, 170.0].map(|base| (base + 50.0 * wave) as u8) };
        data.extend(pixel);
    }
    Frame { index, time: Time::new(index as i64, 2), image: Rgb { width, height, data } }
}
