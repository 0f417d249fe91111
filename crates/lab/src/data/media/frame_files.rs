//! Pictures as the frames of a clip. Only their headers are read before a frame is wanted, and no file stays open.

use std::sync::Arc;

use zoetrope_engine::{FrameIter, Limits, MediaSource, SourceFrame};
use zoetrope_media::{Frame, MediaError, Time};
use zoetrope_models::contract::media_plan::{MediaKind, MediaMetadata};

use super::place::FoundMedia;
use crate::data::fault::{FaultKind, RowResult};

/// Ticks a second of the times of frames.
const SCALE: u32 = 1_000_000;
/// Latest time in seconds, so that ticks and what is made of them stay exact.
const MAX_SECONDS: f64 = 1e9;

/// Pictures with times.
pub(super) struct FrameFiles {
    frames: Vec<FoundMedia>,
    times: Arc<[Time]>,
    /// Sizes that frames have, each once.
    sizes: Vec<(u32, u32)>,
    limits: Limits,
}

impl FrameFiles {
    /// Reads the header of every picture. `seconds` are ascending.
    pub(super) fn open(frames: Vec<FoundMedia>, seconds: &[f64], limits: &Limits) -> RowResult<Self> {
        let mut sizes = Vec::new();
        for frame in &frames {
            let metadata = frame.open(limits)?.metadata();
            if metadata.kind != MediaKind::Image {
                return Err(FaultKind::MediaUnreadable.of(format!("{}: a frame must be a picture", frame.name())));
            }
            let size = metadata.size();
            if !sizes.contains(&size) {
                sizes.push(size);
            }
        }
        let mut times: Vec<Time> = Vec::with_capacity(seconds.len());
        for seconds in seconds {
            if seconds.abs() > MAX_SECONDS {
                return Err(FaultKind::Times.of(format!("a frame at {seconds} s")));
            }
            let time = Time::new((seconds * f64::from(SCALE)).round() as i64, SCALE);
            if times.last().is_some_and(|last| last.ticks >= time.ticks) {
                return Err(FaultKind::Times.of(format!("two frames at {seconds} s")));
            }
            times.push(time);
        }
        Ok(FrameFiles { frames, times: times.into(), sizes, limits: limits.clone() })
    }

    /// The last frame is shown as long as the one before it; a single one for a second.
    fn end(&self) -> f64 {
        match &*self.times {
            [.., before, last] => Time::new(2 * last.ticks - before.ticks, SCALE).seconds(),
            [only] => Time::new(only.ticks + i64::from(SCALE), SCALE).seconds(),
            [] => 0.0,
        }
    }

    fn decode(&self, index: usize) -> Result<SourceFrame, MediaError> {
        let Some((found, time)) = self.frames.get(index).zip(self.times.get(index)) else {
            let text = format!("frame {index} was requested, there are {}", self.frames.len());
            return Err(MediaError::Caller(text));
        };
        let source = found.open(&self.limits).map_err(|fault| MediaError::Caller(fault.to_string()))?;
        let first = source.frames(&[0]).next();
        let named = |error: MediaError| MediaError::Caller(format!("{}: {error}", found.name()));
        let none = || Err(MediaError::Caller("the picture cannot be decoded".to_string()));
        let frame = first.unwrap_or_else(none).map_err(named)?;
        Ok(SourceFrame { frame: Frame { index, time: *time, ..frame.frame }, ..frame })
    }
}

impl MediaSource for FrameFiles {
    fn metadata(&self) -> MediaMetadata {
        let size = self.sizes.first().copied().unwrap_or_default();
        let metadata = MediaMetadata::video(size, self.times.clone(), self.end());
        MediaMetadata { sizes: self.sizes.clone(), ..metadata }
    }

    fn is_chosen(&self) -> bool {
        true
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        let indices = indices.to_vec();
        Box::new(indices.into_iter().map(|index| self.decode(index)))
    }
}
