//! Why a file could not be fetched.

use ureq::{Error, Timeout};

use super::limits::FetchLimits;

/// Why a file could not be fetched. The texts may be shown to whoever named the address: they hold no address that was
/// looked up, no path, and nothing that a server has said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The address makes no sense, or asks for what is not done here.
    #[error("the address {0}")]
    Url(String),
    /// The host, or where a redirect leads, is private, local or reserved, or has a port that is not asked.
    #[error("{host} may not be fetched from: only public addresses and ordinary ports are asked")]
    Refused {
        /// The host as the caller named it, or "the target of a redirect".
        host: String,
    },
    /// The host is not in the list of those that may be asked.
    #[error("{host} may not be fetched from: it is not among the allowed domains")]
    Domain {
        /// The host as the caller named it, or "the target of a redirect".
        host: String,
    },
    /// A limit was exceeded.
    #[error("{what}: more than the limit of {limit}")]
    Limit {
        /// Which quantity.
        what: &'static str,
        /// What is allowed.
        limit: u64,
    },
    /// There is no such file.
    #[error("there is no file at the address")]
    NotFound,
    /// The server does not give the file.
    #[error("the server answers with the status {0}")]
    Status(u16),
    /// It took too long.
    #[error("it took too long: {seconds} s {what}")]
    Time {
        /// What the time was for.
        what: &'static str,
        /// What is allowed.
        seconds: u64,
    },
    /// A redirect that is not followed.
    #[error("a redirect {0}")]
    Redirect(&'static str),
    /// The host cannot be reached, is not trusted, or breaks off.
    #[error("{0}")]
    Network(&'static str),
    /// What the server says is not HTTP, or not what was asked for.
    #[error("the answer of the server {0}")]
    Malformed(&'static str),
    /// A setting of the operator makes no sense. Not for strangers.
    #[error("{0}")]
    Setting(String),
    /// The bytes cannot be stored.
    #[error("the file cannot be stored")]
    Store(#[source] std::io::Error),
}

impl FetchError {
    /// What an error of the HTTP library means here.
    pub(super) fn of(error: &Error, https: bool, limits: &FetchLimits) -> Self {
        use std::io::ErrorKind;
        let stall = FetchError::Time { what: "without an answer", seconds: limits.stall.as_secs() };
        match error {
            Error::Timeout(Timeout::Global) => FetchError::Time { what: "in all", seconds: limits.time.as_secs() },
            Error::Timeout(_) => stall,
            Error::LargeResponseHeader(_, limit) => {
                FetchError::Limit { what: "bytes of the answer's headers", limit: *limit as u64 }
            }
            Error::HostNotFound => FetchError::Network("the host is not known"),
            Error::Io(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => stall,
            Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
                FetchError::Network("the host does not listen")
            }
            Error::Io(_) | Error::ConnectionFailed if https => FetchError::Network("no trusted connection to the host"),
            Error::Io(_) | Error::ConnectionFailed => FetchError::Network("the connection broke off"),
            Error::Tls(_) | Error::Rustls(_) | Error::Pem(_) => {
                FetchError::Network("no trusted connection to the host")
            }
            Error::BadUri(_) | Error::Http(_) | Error::InvalidProxyUrl => FetchError::Url("makes no sense".into()),
            _ => FetchError::Malformed("is not HTTP"),
        }
    }
}
