//! Durations in words.

/// Seconds in words: "40 s", "12 min", "3 h 05 min".
pub(super) fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match (seconds, minutes) {
        (..100.0, _) => format!("{seconds:.0} s"),
        (_, ..100) => format!("{minutes} min"),
        _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_words() {
        let words = [0.4, 99.0, 101.0, 5400.0, 11_100.0, 400_000.0].map(duration);
        assert_eq!(words, ["0 s", "99 s", "2 min", "90 min", "3 h 05 min", "111 h 07 min"]);
    }
}
