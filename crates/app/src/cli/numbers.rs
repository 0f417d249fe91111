//! Numbers of the command line and what they may be. Every number has a bound: memory is taken after it was checked.

use std::hash::{BuildHasher, RandomState};
use std::ops::RangeInclusive;

fn number(text: &str) -> Result<f64, String> {
    text.parse::<f64>().map_err(|_| "not a number".to_string())
}

pub(super) fn finite(text: &str) -> Result<f64, String> {
    number(text).and_then(|n| if n.is_finite() { Ok(n) } else { Err("not a finite number".into()) })
}

pub(super) fn positive_number(text: &str) -> Result<f64, String> {
    finite(text).and_then(|n| if n > 0.0 { Ok(n) } else { Err("must be above 0".into()) })
}

pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    finite(text).and_then(|n| if n >= 0.0 { Ok(n) } else { Err("must not be below 0".into()) })
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    finite(text).and_then(|n| if n > 0.0 && n <= 1.0 { Ok(n) } else { Err("must be above 0 and at most 1".into()) })
}

/// Frames a second.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    const MOST: f64 = 1000.0;
    positive_number(text).and_then(|n| match n {
        n if n > MOST => Err(format!("must be at most {MOST} a second")),
        n if n < 0.001 => Err("must be at least 0.001 a second".into()),
        n => Ok(n),
    })
}

/// Bytes: "500MB", "2 GB", "1.5GiB", "1000000".
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 8] = [
        ("", 1.0),
        ("b", 1.0),
        ("kb", 1e3),
        ("mb", 1e6),
        ("gb", 1e9),
        ("kib", 1024.0),
        ("mib", 1_048_576.0),
        ("gib", 1_073_741_824.0),
    ];
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = unit.to_ascii_lowercase();
    let unit = UNITS.iter().find(|(name, _)| *name == unit).ok_or("the unit is none of kB, MB, GB, KiB, MiB, GiB")?;
    let bytes = not_negative(digits.trim())? * unit.1;
    if bytes < 1e18 { Ok(bytes as u64) } else { Err("must be below 1000000000 GB".into()) }
}

fn whole(text: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    let negative = text.strip_prefix('-').is_some_and(|digits| digits.parse::<u128>().is_ok());
    match text.parse::<u128>() {
        Ok(n) if n > *range.end() as u128 => Err(format!("must be at most {}", range.end())),
        Ok(n) if n >= *range.start() as u128 => Ok(n as usize),
        Err(_) if !negative => Err("not a whole number".into()),
        _ => Err(format!("must be at least {}", range.start())),
    }
}

/// A count of things that take little each.
pub(super) fn positive(text: &str) -> Result<usize, String> {
    whole(text, 1..=1_000_000_000)
}

/// Threads: some systems fail hard when they are asked for very many.
pub(super) fn threads(text: &str) -> Result<usize, String> {
    whole(text, 1..=1024)
}

/// Frames of a video: no more than visual tokens of a conversation.
pub(super) fn frames(text: &str) -> Result<usize, String> {
    whole(text, 1..=65_536)
}

/// Samples that are shown; 0 is none.
pub(super) fn shown_samples(text: &str) -> Result<usize, String> {
    whole(text, 0..=1000)
}

/// Pictures and videos of a conversation.
pub(super) fn media(text: &str) -> Result<usize, String> {
    whole(text, 1..=65_536)
}

/// Visual tokens that are merged in one direction.
pub(super) fn merge(text: &str) -> Result<usize, String> {
    whole(text, 1..=32)
}

/// Pixels of a side of frames that are made up.
pub(super) fn side(text: &str) -> Result<usize, String> {
    whole(text, 1..=8192)
}

/// Frames that are made up and encoded together.
pub(super) fn bench_frames(text: &str) -> Result<usize, String> {
    whole(text, 1..=256)
}

/// Sequences that are written together.
pub(super) fn sequences(text: &str) -> Result<usize, String> {
    whole(text, 1..=256)
}

/// Tokens of a prompt or an answer.
pub(super) fn tokens(text: &str) -> Result<usize, String> {
    whole(text, 1..=131_072)
}

/// How many of the likeliest tokens; 0 is all of them, as elsewhere.
pub(super) fn top_k(text: &str) -> Result<usize, String> {
    whole(text, 0..=1_000_000_000)
}

/// A seed; -1 is another one each time, as elsewhere.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    match text {
        "-1" => Ok(RandomState::new().hash_one(std::time::SystemTime::now())),
        text => text.parse().map_err(|_| "neither a whole number from 0 nor -1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        let read = |text: &str| bytes(text).ok();
        assert_eq!(["0", "12", "1.5kB", "2 GB", "3MiB"].map(read), [0, 12, 1500, 2_000_000_000, 3 << 20].map(Some));
        for wrong in ["", "GB", "-1GB", "1 lot", "1e30", "nan", "2GBs"] {
            assert!(bytes(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn whole_numbers_have_bounds() {
        let at_least_1 = || Err("must be at least 1".to_string());
        assert_eq!((positive("0"), positive("-3"), positive("7")), (at_least_1(), at_least_1(), Ok(7)));
        assert_eq!(threads("100000"), Err("must be at most 1024".into()));
        assert_eq!(threads("1000000000000000000000000000000"), Err("must be at most 1024".into()));
        for wrong in ["", "x", "-", "1.5", "-x"] {
            assert_eq!(positive(wrong), Err("not a whole number".into()), "{wrong:?}");
        }
        assert_eq!((top_k("0"), merge("1000")), (Ok(0), Err("must be at most 32".into())));
    }

    #[test]
    fn rates_and_seeds() {
        assert_eq!((rate("2.5"), rate("1e8")), (Ok(2.5), Err("must be at most 1000 a second".into())));
        assert!(rate("0").is_err() && rate("1e-9").is_err() && rate("nan").is_err());
        assert_eq!(seed("18446744073709551615"), Ok(u64::MAX));
        assert!(seed("-1").is_ok() && seed("-2").is_err());
        assert_ne!(seed("-1"), seed("-1"));
    }
}
