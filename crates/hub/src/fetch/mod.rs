//! A file by an address that a stranger named: within limits, and from public addresses only.
//!
//! Every hop goes through the same steps. The address is parsed once, as browsers do (WHATWG). The host is looked up
//! once. All addresses that were found are checked, and the connection goes to exactly these, so that a name server
//! that answers differently the second time gains nothing. Redirects are followed by hand.
//!
//! Deliberately absent: proxies (also those of the environment), cookies, credentials, compressed answers, and parts of
//! files.

mod body;
mod error;
mod limits;
mod lookup;
mod public;
mod target;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ureq::http::header::{CONTENT_TYPE, LOCATION};
use ureq::tls::TlsConfig;
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, http::Response};

pub use error::FetchError;
pub use limits::FetchLimits;
pub use lookup::{Lookup, SystemLookup};
pub use public::is_public;

use crate::net::tls;
use lookup::{Pinned, resolve};
use target::Target;

/// Bytes of the headers of an answer at most.
const MAX_HEADERS: usize = 16 << 10;

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes of the file.
    pub bytes: u64,
    /// Its type as the server states it.
    pub content_type: Option<String>,
    /// The last part of the path of the last address, of letters, digits, `.`, `_` and `-`; may be empty.
    pub name: String,
}

/// Fetches files. Keep one: it reads the certificate authorities once.
pub struct Fetcher {
    limits: FetchLimits,
    lookup: Arc<dyn Lookup>,
    tls: OnceLock<TlsConfig>,
}

impl Fetcher {
    /// A fetcher that asks the system for the addresses of names.
    pub fn new(limits: FetchLimits) -> Self {
        Self::with_lookup(limits, Arc::new(SystemLookup))
    }

    /// A fetcher that asks `lookup` for the addresses of names.
    pub fn with_lookup(limits: FetchLimits, lookup: Arc<dyn Lookup>) -> Self {
        Fetcher { limits, lookup, tls: OnceLock::new() }
    }

    /// Fetches the file at `url` and writes its bytes to `out` as they come. It takes the calling thread.
    ///
    /// # Errors
    /// [`FetchError`], by kind. Its text shows neither an address that was looked up nor a path. What has been written
    /// so far is of no use then.
    pub fn fetch(&self, url: &str, out: &mut dyn Write) -> Result<Fetched, FetchError> {
        let deadline = Instant::now() + self.limits.time;
        let mut target = Target::parse(url)?;
        for _ in 0..=self.limits.redirects {
            let response = self.ask(&target, deadline)?;
            let status = response.status();
            if !status.is_redirection() {
                return self.take(&target, response, deadline, out);
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            target = target.redirected(location.unwrap_or_default())?;
        }
        Err(FetchError::Limit { what: "redirects", limit: self.limits.redirects as u64 })
    }

    /// Asks one server for one answer.
    fn ask(&self, target: &Target, deadline: Instant) -> Result<Response<Body>, FetchError> {
        let limits = &self.limits;
        target.check_domain(&limits.domains)?;
        let left = self.left(deadline)?;
        let addresses = resolve(&self.lookup, target, left)?;
        let is_allowed =
            |address: &SocketAddr| limits.allow_private || limits.trusted.contains(address) || target.may_ask(address);
        // One that is not allowed among others is an attempt, too.
        if !addresses.iter().all(is_allowed) {
            return Err(FetchError::Refused { host: target.shown() });
        }
        let left = self.left(deadline)?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .max_response_header_size(MAX_HEADERS)
            .max_idle_connections(0)
            .timeout_global(Some(left))
            .timeout_connect(Some(limits.stall.min(left)))
            .timeout_recv_response(Some(limits.stall.min(left)))
            .timeout_per_read(Some(limits.stall.min(left)))
            .accept_encoding("identity")
            .user_agent(concat!("zoetrope/", env!("CARGO_PKG_VERSION")));
        let config = match target.is_https() {
            true => config.tls_config(self.tls()?),
            false => config,
        };
        let agent = Agent::with_parts(config.build(), DefaultConnector::default(), Pinned(addresses));
        agent.get(target.text()).call().map_err(|error| FetchError::of(&error, target.is_https(), limits))
    }

    /// Takes the file out of the last answer.
    fn take(
        &self,
        target: &Target,
        response: Response<Body>,
        deadline: Instant,
        out: &mut dyn Write,
    ) -> Result<Fetched, FetchError> {
        match response.status().as_u16() {
            200 => {}
            404 | 410 => return Err(FetchError::NotFound),
            status => return Err(FetchError::Status(status)),
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.map(str::to_string);
        let bytes = body::copy(response, target, &self.limits, deadline, out)?;
        Ok(Fetched { bytes, content_type, name: target.file_name() })
    }

    fn left(&self, deadline: Instant) -> Result<Duration, FetchError> {
        let left = deadline.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(FetchError::Time { what: "in all", seconds: self.limits.time.as_secs() }),
            false => Ok(left),
        }
    }

    fn tls(&self) -> Result<TlsConfig, FetchError> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let loaded = tls(&self.limits.certificates).map_err(|error| FetchError::Setting(error.to_string()))?;
        Ok(self.tls.get_or_init(|| loaded).clone())
    }
}

#[cfg(test)]
mod tests;
