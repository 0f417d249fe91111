//! Frame times of an animation from its frame delays.

use crate::frame::Time;

/// Ticks per second when the exact common clock of an animation does not fit.
const FALLBACK_SCALE: u64 = 1_000_000;

/// Start times and end of frames with these delays (milliseconds as fractions), on one exact clock where it fits.
pub(in super::super) fn frame_times(delays: &[(u32, u32)]) -> (Vec<Time>, Time) {
    let mut scale = 1u64;
    for &(numerator, denominator) in delays {
        let denominator = u64::from(denominator.max(1)) * 1000;
        let factor = denominator / gcd(u64::from(numerator), denominator);
        scale = scale / gcd(scale, factor) * factor;
        if scale > u64::from(u32::MAX) {
            scale = FALLBACK_SCALE;
            break;
        }
    }
    let mut at = 0i64;
    let mut starts = Vec::with_capacity(delays.len());
    for &(numerator, denominator) in delays {
        starts.push(Time::new(at, scale as u32));
        at += (u128::from(numerator) * u128::from(scale) / (u128::from(denominator.max(1)) * 1000)) as i64;
    }
    (starts, Time::new(at, scale as u32))
}

/// The greatest common divisor, at least 1.
fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_add_up_exactly() {
        let (starts, end) = frame_times(&[(100, 1), (100, 3), (100, 3), (100, 3), (40, 1)]);
        assert_eq!(starts[4], Time::new(2, 10));
        assert_eq!(end, Time::new(24, 100));
        let seconds: Vec<f64> = frame_times(&[(70, 1), (30, 1)]).0.iter().map(|t| t.seconds()).collect();
        assert_eq!(seconds, [0.0, 0.07]);
    }
}
