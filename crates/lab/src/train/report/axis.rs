//! Axes of charts: ranges, round ticks, and numbers as people write them.

/// A range of values and how it is laid out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

/// Ratio of the highest to the lowest value from which an axis is logarithmic.
const LOG_FROM: f64 = 30.0;

impl Axis {
    /// From 0 to `high`.
    pub(super) fn from_zero(high: f64) -> Self {
        Axis { low: 0.0, high: if high > 0.0 { high } else { 1.0 }, log: false }
    }

    /// Around `values`: logarithmic where they are positive and span more than a factor of 30, else linear with a
    /// little room, and from 0 where that is not far.
    pub(super) fn around(values: impl Iterator<Item = f64>) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), y| (l.min(y), h.max(y)));
        if low > high {
            return Axis::from_zero(1.0);
        }
        if low > 0.0 && high / low > LOG_FROM {
            return Axis { low: low / 1.1, high: high * 1.1, log: true };
        }
        let room = 0.06 * (high - low);
        let room = if room > 0.0 { room } else { 0.1 * high.abs().max(1e-12) };
        let near_zero = low >= 0.0 && low < 0.6 * high;
        Axis { low: if near_zero { 0.0 } else { low - room }, high: high + room, log: false }
    }

    pub(super) fn is_log(self) -> bool {
        self.log
    }

    /// Where a value lies, 0 at the low end, 1 at the high one; beyond them for values outside.
    pub(super) fn place(self, value: f64) -> f64 {
        if self.log {
            return (value.max(1e-300) / self.low).ln() / (self.high / self.low).ln();
        }
        (value - self.low) / (self.high - self.low)
    }

    /// About `wanted` round values inside the range.
    pub(super) fn ticks(self, wanted: usize) -> Vec<f64> {
        if self.log {
            return self.log_ticks();
        }
        let rough = (self.high - self.low) / wanted as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|by| by * power).find(|step| *step >= rough * 0.999);
        let step = step.unwrap_or(10.0 * power);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|number| number as f64 * step).collect()
    }

    /// Powers of ten; with few of them others between, too.
    fn log_ticks(self) -> Vec<f64> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let decades = self.high.log10() - self.low.log10();
        let by: &[f64] = match decades {
            ..1.6 => &[1.0, 2.0, 5.0],
            1.6..3.2 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let every = ((decades / 5.0).ceil() as usize).max(1);
        let powers = (first..=last).step_by(every).map(|power| 10f64.powi(power));
        let all = powers.flat_map(|power| by.iter().map(move |by| by * power));
        all.filter(|tick| (self.low..=self.high).contains(tick)).collect()
    }
}

/// A number with at most `digits` significant digits: "0.95", "12k", "3.4M", "2e-4".
pub(super) fn number(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return "not a number".to_string();
    }
    let size = value.abs();
    if size == 0.0 {
        return "0".to_string();
    }
    if size < 1e-3 {
        let text = format!("{value:.*e}", digits.saturating_sub(2));
        let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{power}", without_zeros(mantissa));
    }
    let (scaled, unit) = match size {
        1e9.. => (value / 1e9, "G"),
        1e6.. => (value / 1e6, "M"),
        1e4.. => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let places = scaled.abs().log10().floor() as i32 + 1;
    let decimals = usize::try_from(digits as i32 - places).unwrap_or(0);
    if decimals == 0 && scaled >= 1000.0 {
        return whole(scaled.round() as u64);
    }
    format!("{}{unit}", without_zeros(&format!("{scaled:.decimals$}")))
}

/// An integer with commas: "1,234,567".
pub(super) fn whole(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Time as people say it: "48 s", "12 min", "5 h 12 min", "3 d 4 h".
pub(super) fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match minutes {
        _ if seconds < 10.0 => format!("{seconds:.1} s"),
        _ if seconds < 100.0 => format!("{seconds:.0} s"),
        0..60 => format!("{minutes} min"),
        60..1440 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} d {} h", minutes / 1440, minutes % 1440 / 60),
    }
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(Axis::from_zero(10_200.0).ticks(5), [0.0, 5000.0, 10_000.0]);
        assert_eq!(Axis::from_zero(1.0).ticks(5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        let log = Axis::around([0.01, 3.0].into_iter());
        assert!(log.is_log());
        let ticks: Vec<String> = log.ticks(5).into_iter().map(|tick| number(tick, 3)).collect();
        assert_eq!(ticks, ["0.01", "0.03", "0.1", "0.3", "1", "3"]);
        assert!((log.place(0.01) - 0.016).abs() < 0.01 && log.place(3.0) < 1.0);
        let flat = Axis::around([2.0, 2.0].into_iter());
        assert!(flat.place(2.0) > 0.4 && flat.place(2.0) < 0.6 && !flat.ticks(4).is_empty());
        assert_eq!(Axis::around([f64::NAN].into_iter()), Axis::from_zero(1.0));
    }

    #[test]
    fn numbers_are_short() {
        let numbers = [0.0, 0.953_21, 2104.4, 12_345.0, 3_400_000.0, 2e-4, 1.234e-7, -0.5, 999.0, f64::NAN];
        let texts = numbers.map(|value| number(value, 3));
        assert_eq!(texts, ["0", "0.953", "2,104", "12.3k", "3.4M", "2e-4", "1.2e-7", "-0.5", "999", "not a number"]);
        assert_eq!([7, 1000, 1_234_567].map(whole), ["7", "1,000", "1,234,567"]);
        assert_eq!(
            [3.25, 48.0, 720.0, 18_720.0, 273_600.0].map(duration),
            ["3.2 s", "48 s", "12 min", "5 h 12 min", "3 d 4 h"]
        );
    }
}
