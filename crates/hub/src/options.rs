//! Where the cache and the hub are, and how patient to be.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the hub.
#[derive(Clone)]
pub struct HubOptions {
    /// Folder of the cache, the one that contains `models--org--name` folders.
    pub cache: PathBuf,
    /// Address of the hub, without a slash at the end.
    pub endpoint: String,
    /// Access token. Sent over TLS or to this machine only, and never to the host of a redirect.
    pub token: Option<String>,
    /// Whether the network must not be used.
    pub offline: bool,
    /// How often a request or a broken download is tried again.
    pub retries: u32,
    /// Pause before the first new attempt; doubles with every further one.
    pub pause: Duration,
    /// How long to wait for a connection, and for each next part of an answer.
    pub timeout: Duration,
}

impl HubOptions {
    /// What the environment says: `HF_HUB_CACHE`, `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`,
    /// `HF_HUB_OFFLINE` (and `TRANSFORMERS_OFFLINE`), with the defaults of `huggingface_hub`.
    pub fn from_env() -> Self {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// The same, with `var` in the place of the environment.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        let path = |name: &str| var(name).map(PathBuf::from);
        let under_home = |part: &str| path("HOME").or_else(|| path("USERPROFILE")).unwrap_or_default().join(part);
        let base = path("XDG_CACHE_HOME").unwrap_or_else(|| under_home(".cache")).join("huggingface");
        let home = path("HF_HOME").unwrap_or(base);
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")).unwrap_or_else(|| home.join("hub"));
        let token_file = path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        let token = var("HF_TOKEN").or_else(|| var("HUGGING_FACE_HUB_TOKEN"));
        let token = token.or_else(|| std::fs::read_to_string(token_file).ok());
        let set = |name: &str| {
            let value = var(name).unwrap_or_default().to_ascii_lowercase();
            matches!(value.as_str(), "1" | "on" | "yes" | "true")
        };
        let endpoint = var("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into());
        HubOptions {
            cache,
            endpoint: endpoint.trim_end_matches('/').to_string(),
            token: token.map(|token| token.trim().to_string()).filter(|token| !token.is_empty()),
            offline: set("HF_HUB_OFFLINE") || set("TRANSFORMERS_OFFLINE"),
            retries: 5,
            pause: Duration::from_millis(500),
            timeout: Duration::from_secs(30),
        }
    }
}

impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "(hidden)");
        f.debug_struct("HubOptions")
            .field("cache", &self.cache)
            .field("endpoint", &self.endpoint)
            .field("token", &token)
            .field("offline", &self.offline)
            .field("retries", &self.retries)
            .field("pause", &self.pause)
            .field("timeout", &self.timeout)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(vars: &[(&str, &str)]) -> HubOptions {
        HubOptions::from_vars(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string()))
    }

    #[test]
    fn variables_have_the_meaning_and_order_of_the_reference() {
        let plain = options(&[("HOME", "/h")]);
        assert_eq!(plain.cache, PathBuf::from("/h/.cache/huggingface/hub"));
        assert_eq!((plain.endpoint.as_str(), plain.offline, &plain.token), ("https://huggingface.co", false, &None));
        assert_eq!(options(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]).cache, PathBuf::from("/x/huggingface/hub"));
        let home = [("HOME", "/h"), ("HF_HOME", "/y"), ("HF_ENDPOINT", "http://m/"), ("HF_HUB_OFFLINE", "Yes")];
        let home = options(&home);
        assert_eq!((home.cache, home.endpoint.as_str(), home.offline), (PathBuf::from("/y/hub"), "http://m", true));
        let cache =
            options(&[("HF_HOME", "/y"), ("HF_HUB_CACHE", "/z"), ("HF_TOKEN", " s3cret\n"), ("HF_HUB_OFFLINE", "0")]);
        assert_eq!((cache.cache.clone(), cache.offline), (PathBuf::from("/z"), false));
        assert_eq!(cache.token.as_deref(), Some("s3cret"));
        assert!(!format!("{cache:?}").contains("s3cret"));
    }

    #[test]
    fn a_token_file_is_read_when_no_variable_gives_one() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("token"), "from-file\n").expect("write");
        let home = folder.path().to_str().expect("path");
        assert_eq!(options(&[("HF_HOME", home)]).token.as_deref(), Some("from-file"));
        assert_eq!(options(&[("HF_HOME", home), ("HF_TOKEN", "v")]).token.as_deref(), Some("v"));
    }
}
