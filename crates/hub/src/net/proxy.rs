//! Which proxy an address goes through.

use ureq::Proxy;

use super::address::Address;
use crate::options::Proxies;

impl Proxies {
    /// The proxy for an address; `None` for a direct connection.
    ///
    /// # Errors
    /// What is wrong with the address of the proxy.
    pub(super) fn of(&self, address: &Address) -> Result<Option<Proxy>, String> {
        if address.is_loopback() || self.is_direct(&address.host(), address.port()) {
            return Ok(None);
        }
        let Some(proxy) = (if address.is_https() { &self.https } else { &self.http }) else { return Ok(None) };
        // The password stays out of the error.
        let wrong = || {
            let kind = if address.is_https() { "HTTPS_PROXY" } else { "HTTP_PROXY" };
            let shown = proxy.rsplit_once('@').map_or(proxy.as_str(), |(_, host)| host);
            format!("the proxy {shown:?} (of {kind} or ALL_PROXY) is no address of a proxy")
        };
        Proxy::new(proxy).map(Some).map_err(|_| wrong())
    }

    fn is_direct(&self, host: &str, port: u16) -> bool {
        let host = host.trim_matches(['[', ']']);
        self.direct.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
            let (name, wanted) = match entry.rsplit_once(':') {
                // Not the parts of an IPv6 address.
                Some((name, digits)) if !name.contains(':') => match digits.parse::<u16>() {
                    Ok(wanted) => (name, Some(wanted)),
                    Err(_) => (entry, None),
                },
                _ => (entry, None),
            };
            let name =
                name.trim_matches(['[', ']']).trim_start_matches('*').trim_start_matches('.').to_ascii_lowercase();
            let below = host.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            (name.is_empty() || below) && wanted.is_none_or(|wanted| wanted == port)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(proxies: &Proxies, address: &str) -> Option<String> {
        let address = Address::parse(address).expect("address");
        proxies.of(&address).expect("proxy").map(|proxy| format!("{}:{}", proxy.host(), proxy.port()))
    }

    #[test]
    fn the_scheme_decides_and_exceptions_are_asked_directly() {
        let proxies = Proxies {
            http: Some("http://plain:1".into()),
            https: Some("socks5://secure:2".into()),
            direct: "intern.example, .corp.example,here.example:8443,10.0.0.1".into(),
        };
        for (address, wanted) in [
            ("http://hub.example/x", Some("plain:1")),
            ("https://hub.example/x", Some("secure:2")),
            ("https://intern.example/x", None),
            ("https://a.intern.example/x", None),
            ("https://notintern.example/x", Some("secure:2")),
            ("https://a.CORP.example/x", None),
            ("https://here.example:8443/x", None),
            ("https://here.example/x", Some("secure:2")),
            ("http://10.0.0.1/x", None),
            ("http://127.0.0.1:5/x", None),
            ("http://localhost/x", None),
        ] {
            assert_eq!(of(&proxies, address).as_deref(), wanted, "{address}");
        }
        let none = Proxies { direct: "*".into(), ..proxies };
        assert_eq!(of(&none, "https://hub.example/"), None);
    }

    #[test]
    fn a_senseless_proxy_is_named_without_its_password() {
        let proxies = Proxies { https: Some("gopher://me:s3cret@x".into()), ..Proxies::default() };
        let error = proxies.of(&Address::parse("https://hub.example/").expect("address")).expect_err("senseless");
        assert!(error.contains("HTTPS_PROXY") && !error.contains("s3cret"), "{error}");
    }
}
