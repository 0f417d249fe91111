//! The requested frames, read from a running FFmpeg.

use std::io::Read;
use std::sync::Arc;

use super::clip::{FfmpegClip, too_slow};
use super::process::RunningFfmpeg;
use super::select::{ranges, select_filter};
use crate::error::{MediaError, malformed};
use crate::frame::{Frame, Rgb};

/// Frames from a running FFmpeg. Dropping it ends the program.
pub(crate) struct FfmpegFrames {
    clip: Arc<FfmpegClip>,
    child: Option<RunningFfmpeg>,
    /// Indices of the frames still to come through the pipe.
    piped: std::vec::IntoIter<usize>,
    requested: std::vec::IntoIter<usize>,
    /// The last frame given: its index and image.
    last: Option<(usize, Rgb)>,
    failed: bool,
}

impl FfmpegFrames {
    /// Starts FFmpeg for the frames at ascending `indices`.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn new(clip: &Arc<FfmpegClip>, indices: &[usize]) -> Result<Self, MediaError> {
        let (filter, piped) = select_filter(&ranges(indices));
        let count = piped.iter().map(|r| r.1 - r.0 + 1).sum::<usize>();
        let child = if indices.is_empty() { None } else { Some(clip.start(&filter, count)?) };
        let piped: Vec<usize> = piped.into_iter().flat_map(|(a, b)| a..=b).collect();
        let requested = Vec::from(indices).into_iter();
        Ok(FfmpegFrames { clip: clip.clone(), child, piped: piped.into_iter(), requested, last: None, failed: false })
    }

    fn read(&mut self, index: usize) -> Result<Rgb, MediaError> {
        if let Some((at, image)) = &self.last
            && *at == index
        {
            return Ok(image.clone());
        }
        let Some(child) = &mut self.child else { return Err(MediaError::Bug("no running program".into())) };
        let (width, height) = (self.clip.info.width, self.clip.info.height);
        loop {
            let mut data = vec![0; width as usize * height as usize * 3];
            if child.output().read_exact(&mut data).is_err() {
                if child.timed_out() {
                    return Err(too_slow(&self.clip.options));
                }
                return Err(malformed("video stream", format!("FFmpeg gave no frame {index}")));
            }
            let image = Rgb { width, height, data };
            if self.piped.next() == Some(index) {
                self.last = Some((index, image.clone()));
                return Ok(image);
            }
        }
    }
}

impl Iterator for FfmpegFrames {
    type Item = Result<Frame, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let index = self.requested.next()?;
        let image = self.read(index);
        self.failed = image.is_err();
        Some(image.map(|image| Frame { index, time: self.clip.times[index], image }))
    }
}
