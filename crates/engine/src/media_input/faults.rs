//! Planned frames that the model could not see as they were meant.

use std::ops::AddAssign;

use serde::Serialize;
use zoetrope_media::{Frame, Frames, MediaError};

use super::source::SourceFrame;

/// How many planned frames of one picture or video were not shown as planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FrameFaults {
    /// Frames that could not be decoded and were left out.
    pub undecodable: usize,
    /// Frames that show a neighbor's image, because their own could not be decoded.
    pub repeated: usize,
    /// Frames that may show damage, because decoding met an error in them or in a frame before them.
    pub damaged: usize,
    /// Frames of another shape than most, which are shown with bars.
    pub with_bars: usize,
}

impl AddAssign for FrameFaults {
    fn add_assign(&mut self, other: Self) {
        self.undecodable += other.undecodable;
        self.repeated += other.repeated;
        self.damaged += other.damaged;
        self.with_bars += other.with_bars;
    }
}

impl FrameFaults {
    /// Whether every frame was shown as planned.
    pub fn is_none(&self) -> bool {
        *self == FrameFaults::default()
    }

    /// In words, of `planned` frames: "2 of 16 frames could not be decoded; 1 is shown twice". Empty without faults.
    pub fn words(&self, planned: usize) -> String {
        let of_frames = [
            (self.undecodable, "could not be decoded", "could not be decoded"),
            (self.repeated, "is shown twice", "are shown twice"),
            (self.damaged, "may show damage", "may show damage"),
            (self.with_bars, "has another shape and is shown with bars", "have another shape and are shown with bars"),
        ];
        let found = of_frames.iter().filter(|(n, ..)| *n > 0).enumerate();
        let words = found.map(|(place, (n, one, many))| {
            let of = if place == 0 { format!(" of {planned} frames") } else { String::new() };
            format!("{n}{of} {}", if *n == 1 { one } else { many })
        });
        words.collect::<Vec<_>>().join("; ")
    }
}

/// Frames of a decoder that counts what was not as it should be.
pub(super) trait CountsFaults: Iterator<Item = Result<Frame, MediaError>> {
    /// Frames so far that show a neighbor's image.
    fn repeated(&self) -> usize;
    /// Frames so far that may show damage.
    fn damaged(&self) -> usize;
}

impl CountsFaults for Frames {
    fn repeated(&self) -> usize {
        Frames::repeated(self)
    }

    fn damaged(&self) -> usize {
        Frames::damaged(self)
    }
}

/// Each frame with whether the counts of repeated and of damaged ones rose with it.
pub(super) fn tell_faults(mut frames: impl CountsFaults) -> impl Iterator<Item = Result<SourceFrame, MediaError>> {
    std::iter::from_fn(move || {
        let (repeated, damaged) = (frames.repeated(), frames.damaged());
        let next = frames.next()?;
        Some(next.map(|frame| SourceFrame {
            frame,
            repeated: frames.repeated() > repeated,
            damaged: frames.damaged() > damaged,
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_words() {
        let words = |undecodable, repeated, with_bars| {
            FrameFaults { undecodable, repeated, with_bars, ..FrameFaults::default() }.words(16)
        };
        assert_eq!(words(2, 1, 0), "2 of 16 frames could not be decoded; 1 is shown twice");
        assert_eq!(words(0, 3, 0), "3 of 16 frames are shown twice");
        assert_eq!(words(0, 1, 2), "1 of 16 frames is shown twice; 2 have another shape and are shown with bars");
        assert_eq!(words(0, 0, 0), "");
        let damaged = FrameFaults { damaged: 4, ..FrameFaults::default() };
        assert_eq!(damaged.words(16), "4 of 16 frames may show damage");
    }
}
