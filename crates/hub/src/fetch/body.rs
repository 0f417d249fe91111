//! The bytes of an answer, counted and timed.

use std::io::{ErrorKind, Read, Write};
use std::time::Instant;

use ureq::http::Response;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use ureq::{Body, Error};

use super::error::FetchError;
use super::limits::FetchLimits;
use super::target::Target;

/// Bytes that must come within each span of [`FetchLimits::stall`].
const LEAST: u64 = 4096;

/// Copies the body to `out` and gives its length. A stated length is checked before anything is read.
pub(super) fn copy(
    response: Response<Body>,
    target: &Target,
    limits: &FetchLimits,
    deadline: Instant,
    out: &mut dyn Write,
) -> Result<u64, FetchError> {
    let headers = response.headers();
    let encoding = headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or_default().trim());
    if encoding.is_some_and(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity")) {
        return Err(FetchError::Malformed("is compressed, which was not asked for"));
    }
    let too_large = || FetchError::Limit { what: "bytes of the file", limit: limits.bytes };
    let stated = match headers.get(CONTENT_LENGTH) {
        None => None,
        Some(value) => match value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok()) {
            None => return Err(FetchError::Malformed("states a length that is no number")),
            Some(stated) if stated > limits.bytes => return Err(too_large()),
            stated => stated,
        },
    };
    let mut body = response.into_body().into_reader();
    let (mut buffer, mut bytes) = (vec![0; 64 << 10], 0u64);
    let (mut span_ends, mut at_start_of_span) = (Instant::now() + limits.stall, 0);
    loop {
        let read = match body.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(FetchError::of(&Error::from(error), target.is_https(), limits)),
        };
        if read == 0 {
            break;
        }
        bytes += read as u64;
        if bytes > limits.bytes {
            return Err(too_large());
        }
        out.write_all(&buffer[..read]).map_err(FetchError::Store)?;
        let now = Instant::now();
        if now >= deadline {
            return Err(FetchError::Time { what: "in all", seconds: limits.time.as_secs() });
        }
        if now >= span_ends {
            if bytes - at_start_of_span < LEAST {
                return Err(FetchError::Time { what: "with hardly a byte", seconds: limits.stall.as_secs() });
            }
            (span_ends, at_start_of_span) = (now + limits.stall, bytes);
        }
    }
    if stated.is_some_and(|stated| stated != bytes) {
        return Err(FetchError::Malformed("ends before the length that it states"));
    }
    Ok(bytes)
}
