//! Where the cache and the hub are, and how patient to be.

mod environment;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use environment::Environment;

use crate::error::HubError;

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
    /// Proxies between here and there.
    pub proxies: Proxies,
    /// Files and folders of the certificate authorities that are trusted, in the place of the system's.
    pub certificates: Vec<CertificatePath>,
}

/// Which proxy an address goes through, as `curl` and Python have it. None is used for this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http://` addresses.
    pub http: Option<String>,
    /// For `https://` addresses.
    pub https: Option<String>,
    /// Hosts that are asked directly, separated by commas: `host`, `.domain`, `domain` (and what is below it), `*`,
    /// each with an optional `:port`.
    pub direct: String,
}

/// A place of certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificatePath {
    /// The variable that names it.
    pub variable: &'static str,
    /// A PEM file or, for `SSL_CERT_DIR`, a folder of them; of `REQUESTS_CA_BUNDLE` it may be either.
    pub path: PathBuf,
}

/// The variables that name certificates.
const FOLDERS: &str = "SSL_CERT_DIR";
const CERTIFICATES: [&str; 4] = ["SSL_CERT_FILE", FOLDERS, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

impl HubOptions {
    /// What the environment says, with the meaning and the defaults of `huggingface_hub`: `HF_HUB_CACHE`
    /// (`HUGGINGFACE_HUB_CACHE`), `HF_HOME`, `XDG_CACHE_HOME`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`,
    /// `HF_HUB_OFFLINE` (`TRANSFORMERS_OFFLINE`); of proxies `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, and
    /// in lower case; of certificates `SSL_CERT_FILE`, `SSL_CERT_DIR`, `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`.
    ///
    /// # Errors
    /// [`HubError::Setting`] for a variable that makes no sense, and when there is no home folder.
    pub fn from_env() -> Result<Self, HubError> {
        Self::from_vars(|name| std::env::var_os(name))
    }

    /// The same, with `var` in the place of the environment.
    ///
    /// # Errors
    /// As [`HubOptions::from_env`].
    pub fn from_vars(var: impl Fn(&str) -> Option<OsString>) -> Result<Self, HubError> {
        let env = Environment::new(&var);
        let home = hub_home(&env)?;
        let cache = match env.path("HF_HUB_CACHE")? {
            Some(cache) => Some(cache),
            None => env.path("HUGGINGFACE_HUB_CACHE")?,
        };
        let endpoint = env.text("HF_ENDPOINT")?.unwrap_or_else(|| "https://huggingface.co".into());
        let endpoint = endpoint.trim().trim_end_matches('/').to_string();
        if !["https://", "http://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
            let text = format!("HF_ENDPOINT is {endpoint:?}; it begins with https:// or http://");
            return Err(HubError::Setting(text));
        }
        Ok(HubOptions {
            endpoint,
            token: token(&env, home.as_ref().ok())?,
            offline: env.is_set("HF_HUB_OFFLINE") || env.is_set("TRANSFORMERS_OFFLINE"),
            retries: 5,
            pause: Duration::from_millis(500),
            timeout: Duration::from_secs(30),
            proxies: Proxies {
                http: env.first(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])?,
                https: env.first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
                direct: env.first(&["no_proxy", "NO_PROXY"])?.unwrap_or_default(),
            },
            certificates: certificates(&env)?,
            // Last, because it takes the home or the error that there is none.
            cache: cache.map_or_else(|| home.map(|home| home.join("hub")), Ok)?,
        })
    }
}

/// `HF_HOME`, by default below the user's folder of caches. The inner error says that there is no home: it counts only
/// where nothing else names the cache.
fn hub_home(env: &Environment<'_>) -> Result<Result<PathBuf, HubError>, HubError> {
    if let Some(home) = env.path("HF_HOME")? {
        return Ok(Ok(home));
    }
    if let Some(caches) = env.path("XDG_CACHE_HOME")? {
        return Ok(Ok(caches.join("huggingface")));
    }
    Ok(env.home().map(|home| home.join(".cache").join("huggingface")))
}

fn token(env: &Environment<'_>, home: Option<&PathBuf>) -> Result<Option<String>, HubError> {
    let mut token = env.first(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])?;
    if token.is_none() {
        let file = env.path("HF_TOKEN_PATH")?.or_else(|| home.map(|home| home.join("token")));
        token = file.and_then(|file| std::fs::read_to_string(file).ok());
    }
    Ok(token.map(|token| token.trim().to_string()).filter(|token| !token.is_empty()))
}

fn certificates(env: &Environment<'_>) -> Result<Vec<CertificatePath>, HubError> {
    let mut all = Vec::new();
    for variable in CERTIFICATES {
        let Some(path) = env.path(variable)? else { continue };
        match variable {
            // A list, as PATH is one.
            FOLDERS => all.extend(std::env::split_paths(&path).map(|path| CertificatePath { variable, path })),
            _ => all.push(CertificatePath { variable, path }),
        }
    }
    Ok(all)
}

impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "(hidden)");
        // Addresses of proxies may hold passwords.
        f.debug_struct("HubOptions")
            .field("cache", &self.cache)
            .field("endpoint", &self.endpoint)
            .field("token", &token)
            .field("offline", &self.offline)
            .field("retries", &self.retries)
            .field("pause", &self.pause)
            .field("timeout", &self.timeout)
            .field("certificates", &self.certificates)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(vars: &[(&str, &str)]) -> Result<HubOptions, HubError> {
        HubOptions::from_vars(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    fn options(vars: &[(&str, &str)]) -> HubOptions {
        parse(vars).expect("options")
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
        assert_eq!(options(&[("HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "~/z")]).cache, PathBuf::from("/h/z"));
        let xdg = options(&[("HOME", "/h"), ("XDG_CACHE_HOME", "${HOME}/x")]);
        assert_eq!(xdg.cache, PathBuf::from("/h/x/huggingface/hub"));
    }

    #[test]
    fn senseless_variables_are_refused() {
        for (name, value) in [("HF_ENDPOINT", "hf-mirror.com"), ("HF_HOME", "$NOPE/x"), ("SSL_CERT_FILE", "$NOPE")] {
            let error = parse(&[("HOME", "/h"), (name, value)]).expect_err(name).to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
    }

    #[test]
    fn proxies_and_certificates_come_from_the_usual_variables() {
        let all = options(&[
            ("HOME", "/h"),
            ("HTTPS_PROXY", "http://s"),
            ("ALL_PROXY", "http://a"),
            ("no_proxy", "x,.y"),
            ("SSL_CERT_FILE", "~/ca.pem"),
            ("REQUESTS_CA_BUNDLE", "/r"),
        ]);
        assert_eq!((all.proxies.http.as_deref(), all.proxies.https.as_deref()), (Some("http://a"), Some("http://s")));
        assert_eq!(all.proxies.direct, "x,.y");
        let paths: Vec<_> = all.certificates.iter().map(|c| (c.variable, c.path.to_str().expect("path"))).collect();
        assert_eq!(paths, [("SSL_CERT_FILE", "/h/ca.pem"), ("REQUESTS_CA_BUNDLE", "/r")]);
    }

    #[test]
    fn a_token_file_is_read_when_no_variable_gives_one() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("token"), "from-file\n").expect("write");
        let home = folder.path().to_str().expect("path");
        assert_eq!(options(&[("HF_HOME", home)]).token.as_deref(), Some("from-file"));
        assert_eq!(options(&[("HF_HOME", home), ("HF_TOKEN", "v")]).token.as_deref(), Some("v"));
        let other = [("HOME", home), ("HF_TOKEN_PATH", "~/token"), ("HF_HOME", "/nowhere")];
        assert_eq!(options(&other).token.as_deref(), Some("from-file"));
    }
}
