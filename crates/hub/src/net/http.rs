//! One HTTP client: redirects are followed by hand, so that the token never leaves the hub's own server.

use std::io::ErrorKind;
use std::time::Duration;

use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body, Error};

use super::address::Address;
use super::certificates::tls;
use crate::error::HubError;
use crate::options::HubOptions;

/// Redirects that are followed for one file.
const MAX_HOPS: usize = 10;

/// Longest wait for a connection.
const MAX_CONNECT: Duration = Duration::from_secs(10);

/// The two requests that are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Head,
    /// With a range of bytes: from, and to (inclusive) where it ends before the file does.
    Get(Option<(u64, Option<u64>)>),
}

/// The last answer of a chain of redirects.
pub(crate) struct Reply {
    /// Who gave it.
    pub(crate) from: Address,
    pub(crate) response: Response<Body>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NetError {
    /// Another attempt may succeed.
    Passing(String),
    /// No other attempt will: no such host, nobody listens, a senseless redirect or setting.
    Lasting(String),
    /// The server is not trusted.
    Certificate(String),
}

/// A client for one hub.
pub(crate) struct Http<'a> {
    agent: Agent,
    options: &'a HubOptions,
    /// The hub's own server.
    own: Address,
}

impl<'a> Http<'a> {
    pub(crate) fn new(options: &'a HubOptions) -> Result<Self, HubError> {
        let own = Address::parse(&options.endpoint).ok_or_else(|| {
            HubError::Setting(format!("the address of the hub {:?} makes no sense", options.endpoint))
        })?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .tls_config(tls(&options.certificates)?)
            .timeout_resolve(Some(options.timeout.min(MAX_CONNECT)))
            .timeout_connect(Some(options.timeout.min(MAX_CONNECT)))
            .timeout_per_read(Some(options.timeout))
            .timeout_recv_response(Some(options.timeout))
            .user_agent(concat!("zoetrope/", env!("CARGO_PKG_VERSION")));
        Ok(Http { agent: config.build().new_agent(), options, own })
    }

    /// Whether an address is of the hub's own server.
    pub(crate) fn is_own(&self, address: &Address) -> bool {
        self.own.same_origin(address)
    }

    /// The access token, only over TLS or to this machine.
    pub(crate) fn token(&self) -> Option<&str> {
        self.options.token.as_deref().filter(|_| self.own.is_https() || self.own.is_loopback())
    }

    /// Asks, and follows redirects until an answer is none, or `enough` is true of one's headers.
    pub(crate) fn ask(
        &self,
        method: Method,
        url: &str,
        enough: impl Fn(&HeaderMap) -> bool,
    ) -> Result<Reply, NetError> {
        let senseless = || NetError::Lasting("is no address".to_string());
        let mut at = Address::parse(url).ok_or_else(senseless)?;
        for _ in 0..=MAX_HOPS {
            let response = self.send(method, &at)?;
            if !response.status().is_redirection() || enough(response.headers()) {
                return Ok(Reply { from: at, response });
            }
            let location = header(response.headers(), "location").unwrap_or_default();
            let next = at.join(location).filter(|_| !location.is_empty());
            at = next.ok_or_else(|| {
                NetError::Lasting(format!("{} redirects to {location:?}, which is no address", at.shown()))
            })?;
        }
        Err(NetError::Lasting(format!("more than {MAX_HOPS} redirects, the last to {}", at.shown())))
    }

    fn send(&self, method: Method, at: &Address) -> Result<Response<Body>, NetError> {
        let proxy = self.options.proxies.of(at).map_err(NetError::Lasting)?;
        let through = proxy.as_ref().map(|proxy| format!(" (through the proxy {}:{})", proxy.host(), proxy.port()));
        let request = match method {
            Method::Head => self.agent.head(at.text()),
            Method::Get(_) => self.agent.get(at.text()),
        };
        // Compressed answers would have another length.
        let mut request = request.config().proxy(proxy).build().header("accept-encoding", "identity");
        if let Some(token) = self.token().filter(|_| self.is_own(at)) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Method::Get(Some((from, to))) = method {
            let to = to.map(|to| to.to_string()).unwrap_or_default();
            request = request.header("range", format!("bytes={from}-{to}"));
        }
        request.call().map_err(|error| {
            let own = self.is_own(at).then(String::new).unwrap_or_else(|| format!("{}: ", at.shown()));
            NetError::of(&error, |what| format!("{own}{what}{}", through.unwrap_or_default()))
        })
    }
}

impl NetError {
    fn of(error: &Error, say: impl FnOnce(String) -> String) -> Self {
        let what = error.to_string();
        let passing = match error {
            Error::Timeout(_) => true,
            Error::Io(error) => passes(error.kind()),
            _ => false,
        };
        // Errors of certificates come through more than one variant.
        if what.contains("certificate") {
            return NetError::Certificate(say(what.strip_prefix("io: ").unwrap_or(&what).to_string()));
        }
        let what = say(what.strip_prefix("io: ").unwrap_or(&what).to_string());
        if passing { NetError::Passing(what) } else { NetError::Lasting(what) }
    }
}

/// Whether an error of a connection that was there may go away.
pub(crate) fn passes(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TimedOut
            | ErrorKind::WouldBlock
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
            | ErrorKind::Interrupted
    )
}

/// The text of a header.
pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
