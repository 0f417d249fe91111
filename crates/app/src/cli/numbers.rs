//! Numbers of the command line and what they may be.

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

pub(super) fn positive(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(n) => Ok(n),
        Err(_) => Err("not a whole number".into()),
    }
}
