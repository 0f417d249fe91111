//! Requests to the hub.

use std::time::Duration;

use serde::Deserialize;
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

use crate::cache::is_commit;
use crate::error::HubError;
use crate::name::RepoName;
use crate::options::HubOptions;

/// Longest answer about a model that is read, in bytes.
const MAX_ANSWER: u64 = 16 << 20;

/// Redirects within the hub that are followed for a file's metadata (a renamed model).
const MAX_HOPS: usize = 5;

/// HTTP client for one model.
pub(crate) struct Client<'a> {
    agent: Agent,
    repo: &'a RepoName,
    options: &'a HubOptions,
}

/// A revision: its commit and the names of its files.
pub(crate) struct Listing {
    pub(crate) commit: String,
    pub(crate) files: Vec<String>,
}

/// What the hub's headers say of a file.
#[derive(Clone, Debug)]
pub(crate) struct RemoteFile {
    pub(crate) etag: String,
    pub(crate) size: u64,
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

/// Why a request failed, and whether a retry may succeed.
pub(crate) enum RequestError {
    Permanent(HubError),
    Transient(String),
}

impl<'a> Client<'a> {
    pub(crate) fn new(repo: &'a RepoName, options: &'a HubOptions) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(options.timeout))
            .timeout_per_read(Some(options.timeout))
            .timeout_recv_response(Some(options.timeout))
            .user_agent(concat!("zoetrope/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&options.endpoint) {
            config = config.proxy(None);
        }
        Client { agent: config.build().new_agent(), repo, options }
    }

    /// Files of the revision.
    pub(crate) fn listing(&self) -> Result<Listing, HubError> {
        let RepoName { org, name, revision } = self.repo;
        let url =
            format!("{}/api/models/{org}/{name}/revision/{}", self.options.endpoint, revision.replace('/', "%2F"));
        self.with_retries(&url, || {
            let mut response = self.send(&url, None)?;
            self.check_status(&response, &url, "model")?;
            let reader = response.body_mut().with_config().limit(MAX_ANSWER);
            let bytes = reader.read_to_vec().map_err(|error| RequestError::Transient(error.to_string()))?;
            let malformed = |what: String| RequestError::Permanent(self.malformed(&url, what));
            let answer: Answer = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
            if !is_commit(&answer.sha) {
                return Err(malformed(format!("{:?} is not a commit", answer.sha)));
            }
            let files = answer.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
            Ok(Listing { commit: answer.sha, files })
        })
    }

    /// Length and entity tag of a file (HEAD request).
    pub(crate) fn metadata(&self, commit: &str, file: &str) -> Result<RemoteFile, HubError> {
        let url = self.file_url(commit, file);
        self.with_retries(&url, || {
            let mut at = url.clone();
            for _ in 0..MAX_HOPS {
                let response = self.head(&at)?;
                let headers = response.headers();
                let within = header(headers, "location").filter(|to| to.starts_with('/'));
                match within {
                    Some(to) if response.status().is_redirection() && header(headers, "x-linked-etag").is_none() => {
                        at = format!("{}{to}", self.options.endpoint);
                    }
                    _ => {
                        self.check_status(&response, &at, &format!("file {file}"))?;
                        return remote_file(headers).map_err(|what| RequestError::Permanent(self.malformed(&at, what)));
                    }
                }
            }
            Err(RequestError::Permanent(self.malformed(&url, format!("more than {MAX_HOPS} redirects"))))
        })
    }

    /// Requests the bytes of a file from byte `from` on. The server may ignore the range and start at 0.
    pub(crate) fn bytes(&self, commit: &str, file: &str, from: u64) -> Result<Response<Body>, RequestError> {
        let url = self.file_url(commit, file);
        let response = self.send(&url, (from > 0).then_some(from))?;
        if response.status() != 416 {
            self.check_status(&response, &url, &format!("file {file}"))?;
        }
        Ok(response)
    }

    pub(crate) fn file_url(&self, commit: &str, file: &str) -> String {
        let RepoName { org, name, .. } = self.repo;
        format!("{}/{org}/{name}/resolve/{commit}/{file}", self.options.endpoint)
    }

    /// Retries transient errors with exponential backoff.
    fn with_retries<T>(&self, url: &str, mut request: impl FnMut() -> Result<T, RequestError>) -> Result<T, HubError> {
        let mut attempt = 0;
        loop {
            match request() {
                Ok(value) => return Ok(value),
                Err(RequestError::Permanent(error)) => return Err(error),
                Err(RequestError::Transient(why)) if attempt >= self.options.retries => {
                    return Err(self.network(url, why));
                }
                Err(RequestError::Transient(_)) => self.wait(attempt),
            }
            attempt += 1;
        }
    }

    pub(crate) fn wait(&self, attempt: u32) {
        std::thread::sleep(self.options.pause.saturating_mul(1 << attempt.min(6)).min(Duration::from_secs(30)));
    }

    fn head(&self, url: &str) -> Result<Response<Body>, RequestError> {
        let request = self.agent.head(url).config().max_redirects(0).build();
        // Compressed answers would have another length.
        let mut request = request.header("accept-encoding", "identity");
        if let Some(token) = self.token() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|error| RequestError::Transient(error.to_string()))
    }

    fn send(&self, url: &str, from: Option<u64>) -> Result<Response<Body>, RequestError> {
        let mut request = self.agent.get(url).header("accept-encoding", "identity");
        if let Some(token) = self.token() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(from) = from {
            request = request.header("range", format!("bytes={from}-"));
        }
        request.call().map_err(|error| RequestError::Transient(error.to_string()))
    }

    /// The access token, only over TLS or to this machine.
    fn token(&self) -> Option<&str> {
        let private = self.options.endpoint.starts_with("https://") || is_loopback(&self.options.endpoint);
        self.options.token.as_deref().filter(|_| private)
    }

    /// Turns an HTTP status other than success or redirect into an error.
    fn check_status(&self, response: &Response<Body>, url: &str, what: &str) -> Result<(), RequestError> {
        let status = response.status();
        if status.is_success() || status.is_redirection() {
            return Ok(());
        }
        let (repo, endpoint) = (self.repo.to_string(), self.options.endpoint.clone());
        let code = header(response.headers(), "x-error-code").unwrap_or_default();
        let not_found =
            |what: &str| HubError::NotFound { repo: repo.clone(), endpoint: endpoint.clone(), what: what.into() };
        Err(match (status.as_u16(), code) {
            (_, "RepoNotFound") => RequestError::Permanent(not_found("model")),
            (_, "RevisionNotFound") => {
                RequestError::Permanent(not_found(&format!("revision {:?}", self.repo.revision)))
            }
            (404, _) => RequestError::Permanent(not_found(what)),
            (status @ (401 | 403), code) => {
                let RepoName { org, name, .. } = self.repo;
                let remedy = match (self.token().is_some(), code) {
                    (true, "GatedRepo") => {
                        format!("accept its terms at {endpoint}/{org}/{name} with the account of HF_TOKEN")
                    }
                    (true, _) => "the token in HF_TOKEN is wrong or may not read it".to_string(),
                    (false, _) => {
                        format!("accept its terms at {endpoint}/{org}/{name} if it has any, and set HF_TOKEN")
                    }
                };
                RequestError::Permanent(HubError::Gated { repo, endpoint, status, remedy })
            }
            (408 | 429 | 500..=599, _) => RequestError::Transient(format!("status {status}")),
            _ => RequestError::Permanent(self.malformed(url, format!("status {status}"))),
        })
    }

    pub(crate) fn network(&self, url: &str, why: String) -> HubError {
        HubError::Network { repo: self.repo.to_string(), url: url.into(), why }
    }

    pub(crate) fn malformed(&self, url: &str, what: String) -> HubError {
        HubError::Malformed { repo: self.repo.to_string(), url: url.into(), what }
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Large files are described by the `x-linked-` headers, small files by the standard headers.
fn remote_file(headers: &HeaderMap) -> Result<RemoteFile, String> {
    let etag = header(headers, "x-linked-etag").or_else(|| header(headers, "etag")).ok_or("no entity tag")?;
    let etag = etag.trim_start_matches("W/").trim_matches('"');
    // It becomes the name of a file.
    if !(1..=128).contains(&etag.len()) || !etag.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(format!("entity tag {etag:?}"));
    }
    let size = header(headers, "x-linked-size").or_else(|| header(headers, "content-length")).ok_or("no length")?;
    let size = size.parse().map_err(|_| format!("length {size:?}"))?;
    Ok(RemoteFile { etag: etag.to_string(), size })
}

fn is_loopback(endpoint: &str) -> bool {
    let host = endpoint.strip_prefix("http://").unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}
