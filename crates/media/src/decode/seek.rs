//! Seeking: which samples must be decoded for the requested frames. Arithmetic on the sample table, no codec.
//!
//! A run of decoding starts at a keyframe and holds the requested frames that need no later keyframe. Leading pictures
//! of an open GOP (shown before the keyframe that precedes them in the file) need the keyframe before, so they belong
//! to that run.

use crate::container::track::Sample;

/// One requested frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestedFrame {
    /// Sample in decoding order.
    pub(crate) sample: usize,
    /// Position in presentation order.
    pub(crate) index: usize,
    /// How often it is requested, at least once.
    pub(crate) copies: usize,
}

/// A run of samples to decode from a keyframe on, and the frames to keep of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DecodeRun {
    /// Keyframe sample where decoding starts.
    pub(crate) start: usize,
    /// Last sample to feed: the last requested one in decoding order.
    pub(crate) last: usize,
    /// Requested frames in presentation order.
    pub(crate) requested: Vec<RequestedFrame>,
}

/// The frames of a track in presentation order, and its keyframes.
#[derive(Clone, Debug)]
pub(crate) struct FrameIndex {
    /// Sample of every shown, decodable frame, in presentation order.
    pub(crate) shown: Vec<u32>,
    /// Keyframe samples in decoding order.
    pub(crate) keyframes: Vec<u32>,
    /// Number of shown samples that are left out because no keyframe comes before them.
    pub(crate) undecodable: usize,
}

impl FrameIndex {
    /// Sorts `samples` (decoding order) by presentation time.
    ///
    /// Samples before the first keyframe are left out. A track without any keyframe is taken to start with one. `skip`
    /// tells which other samples cannot be shown.
    pub(crate) fn new(samples: &[Sample], skip: impl Fn(usize) -> bool) -> Self {
        let mut keyframes: Vec<u32> = (0..samples.len() as u32).filter(|&i| samples[i as usize].keyframe).collect();
        if keyframes.is_empty() && !samples.is_empty() {
            keyframes.push(0);
        }
        let first = keyframes.first().copied().unwrap_or(0) as usize;
        let undecodable = samples[..first].iter().filter(|s| s.shown).count();
        let shown = (first..samples.len()).filter(|&i| samples[i].shown && !skip(i));
        let mut shown: Vec<u32> = shown.map(|i| i as u32).collect();
        shown.sort_by_key(|&i| (samples[i as usize].pts, i));
        FrameIndex { shown, keyframes, undecodable }
    }

    /// The keyframe that decoding of `sample` must start from.
    fn keyframe_for(&self, samples: &[Sample], sample: usize) -> usize {
        let after = self.keyframes.partition_point(|&k| k as usize <= sample);
        let own = after.saturating_sub(1);
        let Some(&keyframe) = self.keyframes.get(own) else { return 0 };
        let leading = samples[sample].pts < samples[keyframe as usize].pts;
        if leading && own > 0 { self.keyframes[own - 1] as usize } else { keyframe as usize }
    }

    /// Whether `sample` must not be fed to a decoder that started at keyframe `start`: a leading picture whose
    /// references lie before `start`.
    ///
    /// At the very first keyframe there is nothing earlier, so its leading pictures are tried.
    pub(crate) fn is_skipped(&self, samples: &[Sample], start: usize, sample: usize) -> bool {
        if self.keyframes.first().is_none_or(|&k| k as usize == start) || sample == start {
            return false;
        }
        let next = self.keyframes.partition_point(|&k| k as usize <= start);
        let before_next = self.keyframes.get(next).is_none_or(|&k| sample < k as usize);
        before_next && samples[sample].pts < samples[start].pts
    }

    /// The runs to decode for ascending presentation `indices` (repeats allowed, all below `shown.len()`).
    pub(crate) fn runs(&self, samples: &[Sample], indices: &[usize]) -> Vec<DecodeRun> {
        let mut runs: Vec<DecodeRun> = Vec::new();
        for &index in indices {
            let sample = self.shown[index] as usize;
            let start = self.keyframe_for(samples, sample);
            let frame = RequestedFrame { sample, index, copies: 1 };
            match runs.last_mut() {
                Some(run) if run.start == start => match run.requested.last_mut() {
                    Some(last) if last.index == index => last.copies += 1,
                    _ => {
                        run.last = run.last.max(sample);
                        run.requested.push(frame);
                    }
                },
                _ => runs.push(DecodeRun { start, last: sample, requested: vec![frame] }),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples from (pts, keyframe) in decoding order.
    fn samples(list: &[(i64, bool)]) -> Vec<Sample> {
        let sample = |(i, &(pts, keyframe)): (usize, &(i64, bool))| Sample {
            offset: 0,
            size: 1,
            pts,
            dts: i as i64,
            keyframe,
            shown: true,
        };
        list.iter().enumerate().map(sample).collect()
    }

    /// I0 P3 B1 B2 | I6 b4 b5 P9 B7 B8: the second GOP is open.
    fn open_gop() -> Vec<Sample> {
        samples(&[
            (0, true),
            (3, false),
            (1, false),
            (2, false),
            (6, true),
            (4, false),
            (5, false),
            (9, false),
            (7, false),
            (8, false),
        ])
    }

    #[test]
    fn presentation_order_is_by_time() {
        let samples = open_gop();
        let index = FrameIndex::new(&samples, |_| false);
        assert_eq!(index.shown, [0, 2, 3, 1, 5, 6, 4, 8, 9, 7]);
        assert_eq!(index.keyframes, [0, 4]);
    }

    #[test]
    fn leading_pictures_start_one_keyframe_earlier() {
        let samples = open_gop();
        let index = FrameIndex::new(&samples, |_| false);
        let runs = index.runs(&samples, &[1, 1, 4, 6, 9]);
        assert_eq!(runs.len(), 2);
        assert_eq!((runs[0].start, runs[0].last), (0, 5));
        assert_eq!(runs[0].requested[0], RequestedFrame { sample: 2, index: 1, copies: 2 });
        assert_eq!((runs[1].start, runs[1].last), (4, 7));
        assert!(index.is_skipped(&samples, 4, 5) && index.is_skipped(&samples, 4, 6));
        assert!(!index.is_skipped(&samples, 4, 8) && !index.is_skipped(&samples, 0, 5));
    }

    #[test]
    fn a_run_ends_at_its_last_requested_sample() {
        let samples = open_gop();
        let index = FrameIndex::new(&samples, |_| false);
        // Presentation 1 is sample 2, presentation 3 is sample 1: the later one is decoded first.
        assert_eq!(index.runs(&samples, &[1, 3])[0].last, 2);
    }

    #[test]
    fn frames_before_the_first_keyframe_are_left_out() {
        let samples = samples(&[(0, false), (1, false), (2, true), (3, false)]);
        let index = FrameIndex::new(&samples, |_| false);
        assert_eq!((index.shown.as_slice(), index.undecodable), (&[2u32, 3][..], 2));
    }

    #[test]
    fn without_a_keyframe_the_first_sample_is_taken_as_one() {
        let samples = samples(&[(0, false), (1, false)]);
        let index = FrameIndex::new(&samples, |_| false);
        assert_eq!(index.keyframes, [0]);
        assert_eq!(index.runs(&samples, &[1])[0].start, 0);
    }

    #[test]
    fn hidden_samples_are_decoded_but_not_shown() {
        let mut samples = samples(&[(-2, true), (-1, false), (0, false)]);
        samples[0].shown = false;
        samples[1].shown = false;
        let index = FrameIndex::new(&samples, |_| false);
        assert_eq!(index.shown, [2]);
        assert_eq!(index.runs(&samples, &[0])[0].start, 0);
    }
}
