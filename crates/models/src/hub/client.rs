//! Requests to the hub.

use std::time::Duration;

use serde::Deserialize;
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

use super::cache::is_commit;
use super::error::HubError;
use super::name::RepoName;
use super::options::HubOptions;

/// Longest answer about a model that is read, in bytes.
const MAX_ANSWER: u64 = 16 << 20;

/// Redirects within the hub that are followed to a file's facts (a renamed model).
const MAX_HOPS: usize = 5;

/// Speaks to the hub about one model.
pub(super) struct Client<'a> {
    agent: Agent,
    repo: &'a RepoName,
    options: &'a HubOptions,
}

/// A revision: its commit and the names of its files.
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) files: Vec<String>,
}

/// Facts about a file that the hub gives without sending it.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    pub(super) etag: String,
    pub(super) size: u64,
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

/// Why a request gave nothing: for good, or perhaps not the next time.
pub(super) enum Failure {
    Final(HubError),
    Passing(String),
}

impl<'a> Client<'a> {
    pub(super) fn new(repo: &'a RepoName, options: &'a HubOptions) -> Self {
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
    pub(super) fn listing(&self) -> Result<Listing, HubError> {
        let RepoName { org, name, revision } = self.repo;
        let url =
            format!("{}/api/models/{org}/{name}/revision/{}", self.options.endpoint, revision.replace('/', "%2F"));
        self.patiently(&url, || {
            let mut response = self.send(&url, None)?;
            self.accept(&response, &url, "model")?;
            let reader = response.body_mut().with_config().limit(MAX_ANSWER);
            let bytes = reader.read_to_vec().map_err(|error| Failure::Passing(error.to_string()))?;
            let malformed = |what: String| Failure::Final(self.malformed(&url, what));
            let answer: Answer = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
            if !is_commit(&answer.sha) {
                return Err(malformed(format!("{:?} is not a commit", answer.sha)));
            }
            let files = answer.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
            Ok(Listing { commit: answer.sha, files })
        })
    }

    /// Length and checksum of a file.
    pub(super) fn facts(&self, commit: &str, file: &str) -> Result<Remote, HubError> {
        let url = self.file_url(commit, file);
        self.patiently(&url, || {
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
                        self.accept(&response, &at, &format!("file {file}"))?;
                        return remote(headers).map_err(|what| Failure::Final(self.malformed(&at, what)));
                    }
                }
            }
            Err(Failure::Final(self.malformed(&url, format!("more than {MAX_HOPS} redirects"))))
        })
    }

    /// The bytes of a file from byte `from` on; the answer may begin at 0 all the same.
    pub(super) fn bytes(&self, commit: &str, file: &str, from: u64) -> Result<Response<Body>, Failure> {
        let url = self.file_url(commit, file);
        let response = self.send(&url, (from > 0).then_some(from))?;
        if response.status() != 416 {
            self.accept(&response, &url, &format!("file {file}"))?;
        }
        Ok(response)
    }

    pub(super) fn file_url(&self, commit: &str, file: &str) -> String {
        let RepoName { org, name, .. } = self.repo;
        format!("{}/{org}/{name}/resolve/{commit}/{file}", self.options.endpoint)
    }

    /// Tries again, with longer and longer pauses, what may succeed later.
    fn patiently<T>(&self, url: &str, mut request: impl FnMut() -> Result<T, Failure>) -> Result<T, HubError> {
        let mut attempt = 0;
        loop {
            match request() {
                Ok(value) => return Ok(value),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(why)) if attempt >= self.options.retries => return Err(self.network(url, why)),
                Err(Failure::Passing(_)) => self.wait(attempt),
            }
            attempt += 1;
        }
    }

    pub(super) fn wait(&self, attempt: u32) {
        std::thread::sleep(self.options.pause.saturating_mul(1 << attempt.min(6)).min(Duration::from_secs(30)));
    }

    fn head(&self, url: &str) -> Result<Response<Body>, Failure> {
        let request = self.agent.head(url).config().max_redirects(0).build();
        // Compressed answers would have another length.
        let mut request = request.header("accept-encoding", "identity");
        if let Some(token) = self.token() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|error| Failure::Passing(error.to_string()))
    }

    fn send(&self, url: &str, from: Option<u64>) -> Result<Response<Body>, Failure> {
        let mut request = self.agent.get(url).header("accept-encoding", "identity");
        if let Some(token) = self.token() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(from) = from {
            request = request.header("range", format!("bytes={from}-"));
        }
        request.call().map_err(|error| Failure::Passing(error.to_string()))
    }

    /// The token, where nobody can listen.
    fn token(&self) -> Option<&str> {
        let private = self.options.endpoint.starts_with("https://") || is_loopback(&self.options.endpoint);
        self.options.token.as_deref().filter(|_| private)
    }

    /// Turns statuses that are no success into errors.
    fn accept(&self, response: &Response<Body>, url: &str, what: &str) -> Result<(), Failure> {
        let status = response.status();
        if status.is_success() || status.is_redirection() {
            return Ok(());
        }
        let (repo, endpoint) = (self.repo.to_string(), self.options.endpoint.clone());
        let code = header(response.headers(), "x-error-code").unwrap_or_default();
        let not_found =
            |what: &str| HubError::NotFound { repo: repo.clone(), endpoint: endpoint.clone(), what: what.into() };
        Err(match (status.as_u16(), code) {
            (_, "RepoNotFound") => Failure::Final(not_found("model")),
            (_, "RevisionNotFound") => Failure::Final(not_found(&format!("revision {:?}", self.repo.revision))),
            (404, _) => Failure::Final(not_found(what)),
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
                Failure::Final(HubError::Gated { repo, endpoint, status, remedy })
            }
            (408 | 429 | 500..=599, _) => Failure::Passing(format!("status {status}")),
            _ => Failure::Final(self.malformed(url, format!("status {status}"))),
        })
    }

    pub(super) fn network(&self, url: &str, why: String) -> HubError {
        HubError::Network { repo: self.repo.to_string(), url: url.into(), why }
    }

    pub(super) fn malformed(&self, url: &str, what: String) -> HubError {
        HubError::Malformed { repo: self.repo.to_string(), url: url.into(), what }
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Large files are described by the `x-linked-` headers, small ones by the ordinary ones.
fn remote(headers: &HeaderMap) -> Result<Remote, String> {
    let etag = header(headers, "x-linked-etag").or_else(|| header(headers, "etag")).ok_or("no entity tag")?;
    let etag = etag.trim_start_matches("W/").trim_matches('"');
    // It becomes the name of a file.
    if !(1..=128).contains(&etag.len()) || !etag.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(format!("entity tag {etag:?}"));
    }
    let size = header(headers, "x-linked-size").or_else(|| header(headers, "content-length")).ok_or("no length")?;
    let size = size.parse().map_err(|_| format!("length {size:?}"))?;
    Ok(Remote { etag: etag.to_string(), size })
}

fn is_loopback(endpoint: &str) -> bool {
    let host = endpoint.strip_prefix("http://").unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}
