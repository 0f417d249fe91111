//! Which coded frames must be decoded for the wanted moments: pure arithmetic on the sample table, no codec.
//!
//! A group starts at a key sample and holds the wanted frames that need no later key. Leading pictures of an open group
//! (shown before the key picture that precedes them in the file) need the key before, so they belong to that group.

use crate::track::Sample;

/// One wanted frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Sample in decoding order.
    pub sample: usize,
    /// Position in presentation order.
    pub index: usize,
    /// How often it is wanted, at least once.
    pub copies: usize,
}

/// A run of samples to decode and what to keep of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Key sample where decoding starts.
    pub start: usize,
    /// Last sample to feed (the last wanted one in decoding order).
    pub last: usize,
    /// Wanted frames in presentation order.
    pub wants: Vec<Want>,
}

/// A track's frames in presentation order, and its key samples.
#[derive(Clone, Debug)]
pub struct Order {
    /// Sample of every shown, decodable frame, in presentation order.
    pub shown: Vec<u32>,
    /// Key samples in decoding order.
    pub keys: Vec<u32>,
    /// Shown samples that were left out because no key sample comes before them.
    pub orphans: usize,
}

impl Order {
    /// Sorts `samples` (decoding order) by presentation. Samples before the first key are left out; a track without
    /// any key is taken to start with one. `skip` tells which other samples cannot be shown.
    pub fn new(samples: &[Sample], skip: impl Fn(usize) -> bool) -> Self {
        let mut keys: Vec<u32> = (0..samples.len() as u32).filter(|&i| samples[i as usize].key).collect();
        if keys.is_empty() && !samples.is_empty() {
            keys.push(0);
        }
        let first = keys.first().copied().unwrap_or(0) as usize;
        let orphans = samples[..first].iter().filter(|s| s.shown).count();
        let shown = (first..samples.len()).filter(|&i| samples[i].shown && !skip(i));
        let mut shown: Vec<u32> = shown.map(|i| i as u32).collect();
        shown.sort_by_key(|&i| (samples[i as usize].pts, i));
        Order { shown, keys, orphans }
    }

    /// The key sample that decoding of `sample` must start from.
    pub fn start_of(&self, samples: &[Sample], sample: usize) -> usize {
        let after = self.keys.partition_point(|&k| k as usize <= sample);
        let own = after.saturating_sub(1);
        let Some(&key) = self.keys.get(own) else { return 0 };
        let leading = samples[sample].pts < samples[key as usize].pts;
        if leading && own > 0 { self.keys[own - 1] as usize } else { key as usize }
    }

    /// Whether `sample` is not to be fed to a decoder that started at `start`: a leading picture whose references lie
    /// before `start`. At the very first key there is nothing earlier, so its leading pictures are tried.
    pub fn skipped(&self, samples: &[Sample], start: usize, sample: usize) -> bool {
        if self.keys.first().is_none_or(|&k| k as usize == start) || sample == start {
            return false;
        }
        let next_key = self.keys.partition_point(|&k| k as usize <= start);
        let before_next = self.keys.get(next_key).is_none_or(|&k| sample < k as usize);
        before_next && samples[sample].pts < samples[start].pts
    }

    /// Groups for ascending presentation `indices` (repeats allowed, all below `shown.len()`).
    pub fn groups(&self, samples: &[Sample], indices: &[usize]) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for &index in indices {
            let sample = self.shown[index] as usize;
            let start = self.start_of(samples, sample);
            match groups.last_mut() {
                Some(group) if group.start == start => match group.wants.last_mut() {
                    Some(want) if want.index == index => want.copies += 1,
                    _ => {
                        group.last = group.last.max(sample);
                        group.wants.push(Want { sample, index, copies: 1 });
                    }
                },
                _ => groups.push(Group { start, last: sample, wants: vec![Want { sample, index, copies: 1 }] }),
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples from (pts, key) in decoding order.
    fn samples(list: &[(i64, bool)]) -> Vec<Sample> {
        let sample = |(i, &(pts, key)): (usize, &(i64, bool))| Sample {
            offset: 0,
            size: 1,
            pts,
            dts: i as i64,
            key,
            shown: true,
        };
        list.iter().enumerate().map(sample).collect()
    }

    /// I0 P3 B1 B2 | I6 b4 b5 P9 B7 B8: the second group is open.
    fn open_groups() -> Vec<Sample> {
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
        let samples = open_groups();
        let order = Order::new(&samples, |_| false);
        assert_eq!(order.shown, [0, 2, 3, 1, 5, 6, 4, 8, 9, 7]);
        assert_eq!(order.keys, [0, 4]);
    }

    #[test]
    fn leading_pictures_start_one_key_earlier() {
        let samples = open_groups();
        let order = Order::new(&samples, |_| false);
        let groups = order.groups(&samples, &[1, 1, 4, 6, 9]);
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].start, groups[0].last), (0, 5));
        assert_eq!(groups[0].wants[0], Want { sample: 2, index: 1, copies: 2 });
        assert_eq!((groups[1].start, groups[1].last), (4, 7));
        assert!(order.skipped(&samples, 4, 5) && order.skipped(&samples, 4, 6));
        assert!(!order.skipped(&samples, 4, 8) && !order.skipped(&samples, 0, 5));
    }

    #[test]
    fn a_group_ends_at_its_last_wanted_sample() {
        let samples = open_groups();
        let order = Order::new(&samples, |_| false);
        // Presentation 1 is sample 2, presentation 3 is sample 1: the later one is decoded first.
        assert_eq!(order.groups(&samples, &[1, 3])[0].last, 2);
    }

    #[test]
    fn frames_before_the_first_key_are_left_out() {
        let samples = samples(&[(0, false), (1, false), (2, true), (3, false)]);
        let order = Order::new(&samples, |_| false);
        assert_eq!((order.shown.as_slice(), order.orphans), (&[2u32, 3][..], 2));
    }

    #[test]
    fn no_key_at_all_means_the_first_sample_is_one() {
        let samples = samples(&[(0, false), (1, false)]);
        let order = Order::new(&samples, |_| false);
        assert_eq!(order.keys, [0]);
        assert_eq!(order.groups(&samples, &[1])[0].start, 0);
    }

    #[test]
    fn hidden_samples_are_decoded_but_not_shown() {
        let mut samples = samples(&[(-2, true), (-1, false), (0, false)]);
        samples[0].shown = false;
        samples[1].shown = false;
        let order = Order::new(&samples, |_| false);
        assert_eq!(order.shown, [2]);
        assert_eq!(order.groups(&samples, &[0])[0].start, 0);
    }
}
