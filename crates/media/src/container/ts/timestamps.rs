//! The 33-bit clock unwrapped, and times for frames that carry none.

use super::pes::Timestamps;
use crate::error::{MediaError, malformed};

/// Ticks after which the clock starts again.
const WRAP: i64 = 1 << 33;
/// Ticks per minute.
const MINUTE: i64 = 60 * 90_000;

/// Presentation and decoding times in ticks, made continuous.
///
/// By FFmpeg's rule, the clock is taken to start one minute before the first decoding time. A stream that starts within
/// a minute of the end of the clock therefore starts below zero.
///
/// # Errors
/// `Malformed` when no frame has a time.
pub(super) fn unwrap_clock(frames: &[Timestamps], warnings: &mut Vec<String>) -> Result<Vec<(i64, i64)>, MediaError> {
    let Some(first) = frames.iter().find_map(|s| s.dts) else {
        return Err(malformed("transport stream", "no frame has a time"));
    };
    let first = first as i64;
    let reference = first - MINUTE;
    let below = first >= WRAP - MINUTE;
    let place = |t: u64| match t as i64 {
        t if below && t >= reference => t - WRAP,
        t if !below && t < reference => t + WRAP,
        t => t,
    };
    let known: Vec<Option<(i64, i64)>> =
        frames.iter().map(|s| s.pts.zip(s.dts).map(|(pts, dts)| (place(pts), place(dts)))).collect();
    let missing = known.iter().filter(|k| k.is_none()).count();
    if missing > 0 {
        warnings.push(format!("{missing} frames carry no time, theirs are spread between their neighbors'"));
    }
    Ok(interpolate(&known))
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
