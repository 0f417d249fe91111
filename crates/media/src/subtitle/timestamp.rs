//! Times of cues: `00:01:02,345`, `01:02.345`, `0:01:02.34`.

/// Most digits of one number: more is damage.
const DIGITS: usize = 6;

/// Seconds of `text`, which has two or three numbers with colons between and may have a fraction.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let (whole, fraction) = match text.trim().split_once([',', '.']) {
        Some((whole, fraction)) => (whole, fraction.trim()),
        None => (text.trim(), ""),
    };
    let mut parts = whole.split(':').map(number);
    let (first, second) = (parts.next()??, parts.next()??);
    let third = parts.next();
    if parts.next().is_some() {
        return None;
    }
    let [hours, minutes, seconds] = match third {
        Some(third) => [first, second, third?],
        None => [0, first, second],
    };
    if minutes > 59 && third.is_some() || seconds > 59 {
        return None;
    }
    let thousandths = match fraction.len() {
        0 => 0.0,
        digits => f64::from(number(fraction)?) / 10f64.powi(digits as i32),
    };
    Some(f64::from(hours) * 3600.0 + f64::from(minutes * 60 + seconds) + thousandths)
}

fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    let sound = !text.is_empty() && text.len() <= DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| sound)
}

/// Whether a line is meant to be the times of a cue, damaged or not.
pub(super) fn is_timing(line: &str) -> bool {
    let Some((before, _)) = line.split_once("->") else { return false };
    let before = before.trim_start();
    before.starts_with(|c: char| c.is_ascii_digit()) && before.contains(':') || line.contains("-->")
}

/// Start and end of a line such as `00:01:02,345 --> 00:01:04,000 X1:10 align:start`.
pub(super) fn timing(line: &str) -> Option<(f64, f64)> {
    let (start, rest) = line.split_once("->")?;
    let start = seconds(start.trim_end().trim_end_matches('-'))?;
    let end = rest.split_whitespace().next()?;
    Some((start, seconds(end)?)).filter(|(start, end)| start <= end)
}
