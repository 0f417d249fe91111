//! An address that was parsed, and what may be asked of it.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::error::FetchError;
use super::public::is_public;

/// Characters of an address at most.
const MAX_CHARACTERS: usize = 8_192;
/// Characters of a file's name at most.
const MAX_NAME: usize = 100;
/// Ports of HTTP and of HTTPS. Others below 1,024 are those of other services.
const ORDINARY_PORTS: [u16; 2] = [80, 443];

/// An `http` or `https` address.
pub(super) struct Target {
    url: Url,
    /// Whether a redirect led here: the caller does not know the host then.
    redirected: bool,
}

impl Target {
    /// Parses what the caller named.
    pub(super) fn parse(text: &str) -> Result<Self, FetchError> {
        if text.len() > MAX_CHARACTERS {
            return Err(FetchError::Limit { what: "characters of the address", limit: MAX_CHARACTERS as u64 });
        }
        // A parser of addresses drops these, others do not.
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(FetchError::Url("has a blank or a control character in it".into()));
        }
        let url = Url::parse(text).map_err(|error| FetchError::Url(format!("makes no sense ({error})")))?;
        Self::new(url, false)
    }

    /// Where a redirect leads.
    pub(super) fn redirected(&self, location: &str) -> Result<Self, FetchError> {
        if location.is_empty() || location.len() > MAX_CHARACTERS {
            return Err(FetchError::Redirect("leads nowhere"));
        }
        let url = self.url.join(location).map_err(|_| FetchError::Redirect("leads nowhere"))?;
        if self.is_https() && url.scheme() != "https" {
            return Err(FetchError::Redirect("leads out of https"));
        }
        Self::new(url, true).map_err(|_| FetchError::Redirect("leads to no address of http or https"))
    }

    fn new(mut url: Url, redirected: bool) -> Result<Self, FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::Url("is neither http nor https".into()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::Url("holds credentials".into()));
        }
        if url.host().is_none() {
            return Err(FetchError::Url("has no host".into()));
        }
        url.set_fragment(None);
        Ok(Target { url, redirected })
    }

    /// The address as it is sent.
    pub(super) fn text(&self) -> &str {
        self.url.as_str()
    }

    pub(super) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// The host when it is an address itself, however it was spelled.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        match self.url.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// The name of the host, without the dot that ends a full name.
    pub(super) fn name(&self) -> &str {
        let name = self.url.host_str().unwrap_or_default();
        name.strip_suffix('.').unwrap_or(name)
    }

    /// The host as an error names it.
    pub(super) fn shown(&self) -> String {
        match (self.redirected, self.ip()) {
            (true, _) => "the target of a redirect".into(),
            (false, Some(_)) => "the host".into(),
            (false, None) => self.name().chars().take(MAX_NAME).collect(),
        }
    }

    /// Checks the host against the list of those that may be asked.
    pub(super) fn check_domain(&self, domains: &[String]) -> Result<(), FetchError> {
        let name = self.name().to_ascii_lowercase();
        let is_at_or_below = |domain: &String| {
            let domain = domain.trim_matches('.').to_ascii_lowercase();
            let rest = name.strip_suffix(domain.as_str());
            !domain.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        match domains.is_empty() || domains.iter().any(is_at_or_below) {
            true => Ok(()),
            false => Err(FetchError::Domain { host: self.shown() }),
        }
    }

    /// Whether a stranger may have this address asked.
    pub(super) fn may_ask(&self, address: &SocketAddr) -> bool {
        is_public(address.ip()) && (ORDINARY_PORTS.contains(&address.port()) || address.port() >= 1024)
    }

    /// The last part of the path, of harmless characters.
    pub(super) fn file_name(&self) -> String {
        let last = self.url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
        let name = last.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        name.skip_while(|&c| c == '.').take(MAX_NAME).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_spellings_of_addresses_are_one_address() {
        for host in
            ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0x7f000001", "017700000001", "0177.0.0.1", "127.0.0.1."]
        {
            let target = Target::parse(&format!("http://{host}:8000/x")).unwrap();
            assert_eq!(target.ip(), Some(IpAddr::from([127, 0, 0, 1])), "{host}");
        }
        for (host, ip) in [("[::ffff:7f00:1]", "::ffff:127.0.0.1"), ("①②⑦.⓪.⓪.①", "127.0.0.1"), ("0", "0.0.0.0")]
        {
            assert_eq!(Target::parse(&format!("http://{host}/")).unwrap().ip(), Some(ip.parse().unwrap()), "{host}");
        }
    }

    #[test]
    fn what_is_no_address_of_the_web_is_refused() {
        for text in [
            "",
            " ",
            "/v1/models",
            "//host/x",
            "file:///etc/passwd",
            "ftp://host/x",
            "gopher://host/1",
            "data:text/plain,x",
            "javascript:alert(1)",
            "http://",
            "http://:80/",
            "http://[::1",
            "http://a b/",
            "http://host:99999/",
            "http://host:-1/",
            "http://x:y@host/",
            "http://x@host/",
            "http://host\t/x",
            "http://host\r\nX: y/",
            " http://host/x",
            "http://127.0.0.1%00/",
            "jar:http://host/x",
            "hls+http://host/x",
        ] {
            assert!(matches!(Target::parse(text), Err(FetchError::Url(_))), "{text:?}");
        }
        assert!(matches!(Target::parse(&"x".repeat(10_000)), Err(FetchError::Limit { .. })));
    }

    #[test]
    fn redirects_stay_in_https_and_in_the_web() {
        let from = Target::parse("https://host.example/a/b?c#d").unwrap();
        assert_eq!(from.redirected("../e").unwrap().text(), "https://host.example/e");
        assert_eq!(from.redirected("//other.example/x").unwrap().text(), "https://other.example/x");
        for location in
            ["", "http://host.example/", "file:///etc/passwd", "data:,x", "https://x:y@host.example/", "https://"]
        {
            assert!(matches!(from.redirected(location), Err(FetchError::Redirect(_))), "{location}");
        }
    }

    #[test]
    fn only_listed_domains_and_those_below_are_asked() {
        let domains = ["Example.org".to_string(), "10.0.0.5".into()];
        for (host, allowed) in [
            ("example.org", true),
            ("EXAMPLE.org.", true),
            ("a.example.org", true),
            ("notexample.org", false),
            ("example.org.evil.test", false),
            ("10.0.0.5", true),
            ("110.0.0.5", false),
        ] {
            let target = Target::parse(&format!("http://{host}/")).unwrap();
            assert_eq!(target.check_domain(&domains).is_ok(), allowed, "{host}");
        }
    }

    #[test]
    fn names_are_harmless() {
        for (path, name) in [
            ("clip.mp4", "clip.mp4"),
            ("a/b/My%20Film.mp4?x=1", "My20Film.mp4"),
            ("", ""),
            ("a/", ""),
            (".bashrc", "bashrc"),
            ("x%2f..%2fetc", "x2f..2fetc"),
            ("%3Cscript%3E", "3Cscript3E"),
        ] {
            assert_eq!(Target::parse(&format!("http://host/{path}")).unwrap().file_name(), name, "{path}");
        }
    }
}
