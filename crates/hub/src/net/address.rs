//! Addresses: their parts, and redirects resolved against them.

use ureq::http::Uri;

/// A checked `http://` or `https://` address.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    text: String,
    uri: Uri,
}

impl Address {
    /// `None` when the text is no such address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // What follows a `#` is never sent.
        let text = text.split('#').next().unwrap_or_default();
        let uri: Uri = text.parse().ok()?;
        let fits =
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty());
        fits.then(|| Address { text: text.to_string(), uri })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Without what may be secret: signed addresses carry keys behind the question mark.
    pub(crate) fn shown(&self) -> &str {
        self.text.split('?').next().unwrap_or_default()
    }

    pub(crate) fn is_https(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// In lower case.
    pub(crate) fn host(&self) -> String {
        self.uri.host().unwrap_or_default().to_ascii_lowercase()
    }

    pub(crate) fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// Whether it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost" || host == "[::1]" || host.starts_with("127.")
    }

    /// Same scheme, host and port: what one server may say, the other may know.
    pub(crate) fn same_origin(&self, other: &Address) -> bool {
        (self.is_https(), self.host(), self.port()) == (other.is_https(), other.host(), other.port())
    }

    /// Where a `Location` header leads from here; `None` when it makes no sense.
    pub(crate) fn join(&self, location: &str) -> Option<Address> {
        let location = location.trim();
        let scheme = if self.is_https() { "https" } else { "http" };
        let authority = self.uri.authority()?;
        let is_scheme = |text: &str| text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'));
        if location.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme)) {
            return Address::parse(location);
        }
        if location.starts_with("//") {
            return Address::parse(&format!("{scheme}:{location}"));
        }
        if location.starts_with('/') {
            return Address::parse(&format!("{scheme}://{authority}{location}"));
        }
        if location.starts_with('?') {
            return Address::parse(&format!("{scheme}://{authority}{}{location}", self.uri.path()));
        }
        let mut parts: Vec<&str> = self.uri.path().split('/').collect();
        parts.pop();
        let (path, query) = location.split_once('?').map_or((location, None), |(path, query)| (path, Some(query)));
        for part in path.split('/') {
            match part {
                "." => {}
                // The first part is the empty one before the first slash.
                ".." => parts.truncate(parts.len().saturating_sub(1).max(1)),
                part => parts.push(part),
            }
        }
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        Address::parse(&format!("{scheme}://{authority}{}{query}", parts.join("/")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_resolved_against_the_address() {
        let from = Address::parse("https://hub.example:8443/hf/a/b?x=1#y").expect("address");
        for (location, wanted) in [
            ("/c/d", "https://hub.example:8443/c/d"),
            ("c?q=https://other/", "https://hub.example:8443/hf/a/c?q=https://other/"),
            ("../c", "https://hub.example:8443/hf/c"),
            ("../../../../c", "https://hub.example:8443/c"),
            ("//cdn.example/c", "https://cdn.example/c"),
            ("http://other/c#z", "http://other/c"),
            ("?page=2", "https://hub.example:8443/hf/a/b?page=2"),
        ] {
            assert_eq!(from.join(location).expect(location).text(), wanted, "{location}");
        }
        for senseless in ["ftp://x/y", "https://", "http://[/x", "file:///etc/passwd"] {
            assert!(from.join(senseless).is_none(), "{senseless}");
        }
        assert!(from.same_origin(&from.join("/other").expect("address")));
        for other in ["http://hub.example:8443/", "https://hub.example/", "https://hub.example.evil:8443/"] {
            assert!(!from.same_origin(&Address::parse(other).expect("address")), "{other}");
        }
        assert!(Address::parse("https://HUB.example:8443").expect("address").same_origin(&from));
    }
}
