//! Panics of decoder crates as errors.

use zoetrope_system::panics::caught;

use crate::error::{MediaError, malformed};

/// Runs `work` of a decoder. A panic becomes `Malformed` with its message and is not printed.
pub(crate) fn catch_decoder_panic<T>(
    part: &'static str,
    work: impl FnOnce() -> Result<T, MediaError>,
) -> Result<T, MediaError> {
    caught(work).unwrap_or_else(|text| Err(malformed(part, format!("the decoder gave up on it ({text})"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_results_pass_through() {
        let error = catch_decoder_panic::<()>("picture", || panic!("index {} out of range", 7)).unwrap_err();
        assert_eq!(error.to_string(), "malformed picture: the decoder gave up on it (index 7 out of range)");
        assert_eq!(catch_decoder_panic("picture", || Ok(3)).unwrap(), 3);
    }
}
