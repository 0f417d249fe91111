//! The 33-bit clock unwrapped, and times for frames that carry none.

use super::pes::Timestamps;
use crate::error::{MediaError, malformed};

/// Ticks after which the clock starts again.
const WRAP: i64 = 1 << 33;
/// Ticks per second.
const SECOND: i64 = 90_000;
const MINUTE: i64 = 60 * SECOND;
/// A step back by more than half a second is a new clock: decoding times rise, and without them presentation times fall
/// by a few frames at most.
const MOST_BACK: i64 = -SECOND / 2;
/// A step ahead by more than a minute is a new clock, too. What is shorter may be a time without reception.
const MOST_AHEAD: i64 = MINUTE;

/// Presentation and decoding times in ticks, made continuous.
///
/// By FFmpeg's rule, the clock is taken to start one minute before the first decoding time. A stream that starts within
/// a minute of the end of the clock therefore starts below zero. From then on each time is the nearest one to the time
/// before. Where the clock jumps (joined recordings, another program), the next frame follows the last one.
///
/// # Errors
/// `Malformed` when no frame has a time.
pub(super) fn unwrap_clock(frames: &[Timestamps], warnings: &mut Vec<String>) -> Result<Vec<(i64, i64)>, MediaError> {
    let mut clock: Option<Clock> = None;
    let times = |stamps: &Timestamps| {
        let (pts, dts) = (stamps.pts? as i64, stamps.dts? as i64);
        Some(clock.get_or_insert_with(|| Clock::starting_at(dts)).place(pts, dts))
    };
    let known: Vec<Option<(i64, i64)>> = frames.iter().map(times).collect();
    let Some(clock) = clock else {
        return Err(malformed("transport stream", "no frame has a time"));
    };
    let missing = known.iter().filter(|k| k.is_none()).count();
    if missing > 0 {
        warnings.push(format!("{missing} frames carry no time, theirs are spread between their neighbors'"));
    }
    if clock.jumps > 0 {
        warnings.push(format!("the clock jumps {} times, the parts are shown one after the other", clock.jumps));
    }
    Ok(interpolate(&known))
}

/// A clock of 33 bits that is followed from frame to frame.
struct Clock {
    /// Decoding time of the frame before, on the file's clock and on the continuous one.
    last: (i64, i64),
    /// Latest presentation time so far.
    latest: i64,
    /// Step from one frame to the next: the last one that was plausible.
    step: i64,
    jumps: usize,
}

impl Clock {
    fn starting_at(dts: i64) -> Self {
        let start = if dts >= WRAP - MINUTE { dts - WRAP } else { dts };
        Clock { last: (dts, start), latest: i64::MIN, step: SECOND / 25, jumps: 0 }
    }

    /// Continuous presentation and decoding time of the next frame.
    fn place(&mut self, pts: i64, dts: i64) -> (i64, i64) {
        let (step, delay) = (nearest(dts - self.last.0), nearest(pts - dts));
        let at = if (MOST_BACK..=MOST_AHEAD).contains(&step) {
            if step > 0 {
                self.step = step.min(SECOND);
            }
            self.last.1 + step
        } else {
            self.jumps += 1;
            (self.last.1 + self.step).max(self.latest + self.step - delay)
        };
        self.last = (dts, at);
        self.latest = self.latest.max(at + delay);
        (at + delay, at)
    }
}

/// The difference of two times whose clock starts again after [`WRAP`] ticks.
fn nearest(difference: i64) -> i64 {
    (difference + WRAP / 2).rem_euclid(WRAP) - WRAP / 2
}

/// Fills the gaps: decoding times evenly between the known ones, with the presentation delay of the frame before.
fn interpolate(known: &[Option<(i64, i64)>]) -> Vec<(i64, i64)> {
    let at: Vec<usize> = (0..known.len()).filter(|&i| known[i].is_some()).collect();
    let time = |i: usize| known[i].unwrap_or((0, 0));
    // A step for frames outside the known ones: the mean between them, else 1/25 s.
    let step = match (at.first(), at.last()) {
        (Some(&a), Some(&b)) if b > a => (time(b).1 - time(a).1) / (b - a) as i64,
        _ => 3600,
    };
    let mut out = Vec::with_capacity(known.len());
    let mut next = 0;
    for i in 0..known.len() {
        while next < at.len() && at[next] <= i {
            next += 1;
        }
        let before = next.checked_sub(1).map(|n| at[n]);
        out.push(match (before, at.get(next)) {
            (Some(a), _) if a == i => time(a),
            (Some(a), Some(&b)) => {
                let (pts, dts) = time(a);
                let by = (time(b).1 - dts) * (i - a) as i64 / (b - a) as i64;
                (pts + by, dts + by)
            }
            (Some(a), None) => {
                let by = step * (i - a) as i64;
                (time(a).0 + by, time(a).1 + by)
            }
            (None, Some(&b)) => {
                let by = step * (b - i) as i64;
                (time(b).0 - by, time(b).1 - by)
            }
            (None, None) => (0, 0),
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrapped(times: &[i64]) -> (Vec<i64>, usize) {
        let stamp = |&time: &i64| {
            let time = Some(time.rem_euclid(WRAP) as u64);
            Timestamps { pts: time, dts: time }
        };
        let mut warnings = Vec::new();
        let all = unwrap_clock(&times.iter().map(stamp).collect::<Vec<_>>(), &mut warnings).unwrap();
        (all.into_iter().map(|time| time.0).collect(), warnings.len())
    }

    #[test]
    fn a_clock_that_starts_again_goes_on() {
        assert_eq!(unwrapped(&[WRAP - 3600, 0, 3600]), (vec![-3600, 0, 3600], 0));
        let long = WRAP - 2 * MINUTE;
        assert_eq!(unwrapped(&[long, long + MINUTE, WRAP, 3600]), (vec![long, long + MINUTE, WRAP, WRAP + 3600], 0));
    }

    #[test]
    fn joined_recordings_follow_each_other() {
        let hour = 3600 * SECOND;
        assert_eq!(unwrapped(&[hour, hour + 3600, 0, 3600]), (vec![hour, hour + 3600, hour + 7200, hour + 10800], 1));
        assert_eq!(unwrapped(&[0, 3600, 20 * hour]), (vec![0, 3600, 7200], 1));
        // A few seconds without reception, and presentation times of reordered frames, are no jumps.
        assert_eq!(unwrapped(&[0, 30 * SECOND]), (vec![0, 30 * SECOND], 0));
        assert_eq!(unwrapped(&[0, 10800, 3600, 7200]), (vec![0, 10800, 3600, 7200], 0));
    }
}
