//! Questions to the hub about one model.

use std::io::Read;
use std::time::Duration;

use serde::Deserialize;
use sha1::{Digest, Sha1};
use ureq::Body;
use ureq::http::{HeaderMap, Response};

use crate::cache::is_commit;
use crate::checksum::{hexadecimal, is_sum};
use crate::error::HubError;
use crate::name::RepoName;
use crate::net::{Http, Method, NetError, Reply, header};
use crate::options::HubOptions;
use crate::progress::{Retry, Watch};

/// Longest answer about a model that is read, in bytes.
const MAX_ANSWER: u64 = 16 << 20;
/// Longest pause that a server may ask for.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Longest pause that doubling leads to.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// The hub, for one model.
pub(crate) struct Client<'a> {
    http: Http<'a>,
    repo: &'a RepoName,
    options: &'a HubOptions,
}

/// A revision: its commit and its files.
pub(crate) struct Listing {
    pub(crate) commit: String,
    pub(crate) files: Vec<ListedFile>,
}

/// A file of a revision.
pub(crate) struct ListedFile {
    pub(crate) name: String,
    /// What the list says of it; mirrors may leave it out.
    pub(crate) remote: Option<RemoteFile>,
}

/// What the hub says of a file.
#[derive(Clone, Debug)]
pub(crate) struct RemoteFile {
    /// Names the blob. A checksum where it looks like one.
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
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob: Option<String>,
    lfs: Option<LargeFile>,
}

#[derive(Deserialize)]
struct LargeFile {
    sha256: Option<String>,
    size: Option<u64>,
}

/// Why a request failed, and whether a retry may succeed.
pub(crate) enum RequestError {
    Permanent(HubError),
    /// What happened, and the pause that the server asks for.
    Transient(String, Option<Duration>),
}

impl<'a> Client<'a> {
    pub(crate) fn new(repo: &'a RepoName, options: &'a HubOptions) -> Result<Self, HubError> {
        Ok(Client { http: Http::new(options)?, repo, options })
    }

    /// Files of the revision.
    pub(crate) fn listing(&self, watch: &mut dyn Watch) -> Result<Listing, HubError> {
        let RepoName { org, name, revision } = self.repo;
        let revision = revision.replace('/', "%2F");
        let url = format!("{}/api/models/{org}/{name}/revision/{revision}?blobs=true", self.options.endpoint);
        self.with_retries(&url, watch, || {
            let mut response = self.ask(Method::Get(None), &url, "model", |_| false)?.response;
            let reader = response.body_mut().with_config().limit(MAX_ANSWER);
            let bytes = reader.read_to_vec().map_err(|error| RequestError::Transient(error.to_string(), None))?;
            let malformed = |what: String| RequestError::Permanent(self.malformed(&url, what));
            let answer: Answer = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
            if !is_commit(&answer.sha) {
                return Err(malformed(format!("{:?} is not a commit", answer.sha)));
            }
            let files = answer.siblings.into_iter().map(Sibling::listed).collect();
            Ok(Listing { commit: answer.sha, files })
        })
    }

    /// Length and entity tag of a file.
    pub(crate) fn metadata(&self, commit: &str, file: &str, watch: &mut dyn Watch) -> Result<RemoteFile, HubError> {
        let url = self.file_url(commit, file);
        let what = format!("file {file}");
        // The first answer that knows a large file; what it redirects to is a store with tags of its own.
        let knows = |headers: &HeaderMap| headers.contains_key("x-linked-etag");
        self.with_retries(&url, watch, || {
            let mut reply = self.reply(Method::Head, &url, knows)?;
            let refuses_head = match reply.response.status().as_u16() {
                405 | 501 => true,
                // An address that is signed for GET alone.
                401 | 403 => !self.http.is_own(&reply.from),
                _ => false,
            };
            if refuses_head {
                reply = self.reply(Method::Get(Some((0, Some(0)))), &url, knows)?;
            }
            self.check_status(&reply, &what)?;
            let malformed = |what| RequestError::Permanent(self.malformed(reply.from.shown(), what));
            remote_file(reply.response.headers(), commit, file).map_err(malformed)
        })
    }

    /// Requests the bytes of a file from byte `from` on. The server may ignore the range and start at 0.
    pub(crate) fn bytes(&self, commit: &str, file: &str, from: u64) -> Result<Response<Body>, RequestError> {
        let method = Method::Get((from > 0).then_some((from, None)));
        let reply = self.reply(method, &self.file_url(commit, file), |_| false)?;
        if reply.response.status() != 416 {
            self.check_status(&reply, &format!("file {file}"))?;
        }
        Ok(reply.response)
    }

    /// The first `count` bytes of a file (fewer when it is shorter), and its length.
    pub(crate) fn beginning(
        &self,
        commit: &str,
        file: &str,
        count: u64,
        watch: &mut dyn Watch,
    ) -> Result<(Vec<u8>, u64), HubError> {
        let url = self.file_url(commit, file);
        self.with_retries(&url, watch, || {
            let range = Some((0, Some(count.saturating_sub(1))));
            let reply = self.ask(Method::Get(range), &url, &format!("file {file}"), |_| false)?;
            let size = whole_size(reply.response.headers());
            let size = size.ok_or_else(|| RequestError::Permanent(self.malformed(&url, "no length".into())))?;
            // A server that ignores the range sends more, which is left where it is.
            let reader = reply.response.into_body().into_with_config().limit(u64::MAX).reader();
            let mut bytes = Vec::new();
            let read = reader.take(count).read_to_end(&mut bytes);
            read.map_err(|error| RequestError::Transient(error.to_string(), None))?;
            Ok((bytes, size))
        })
    }

    pub(crate) fn file_url(&self, commit: &str, file: &str) -> String {
        let RepoName { org, name, .. } = self.repo;
        format!("{}/{org}/{name}/resolve/{commit}/{file}", self.options.endpoint)
    }

    /// Retries transient errors with exponential backoff.
    fn with_retries<T>(
        &self,
        url: &str,
        watch: &mut dyn Watch,
        mut request: impl FnMut() -> Result<T, RequestError>,
    ) -> Result<T, HubError> {
        let mut attempt = 0;
        loop {
            match request() {
                Ok(value) => return Ok(value),
                Err(RequestError::Permanent(error)) => return Err(error),
                Err(RequestError::Transient(why, _)) if attempt >= self.options.retries => {
                    return Err(self.network(url, why));
                }
                Err(RequestError::Transient(why, asked)) => self.wait(url, &why, attempt + 1, asked, watch),
            }
            attempt += 1;
        }
    }

    /// Waits before repetition `attempt`, from 1 on, and says so.
    pub(crate) fn wait(&self, url: &str, why: &str, attempt: u32, asked: Option<Duration>, watch: &mut dyn Watch) {
        let doublings = attempt.saturating_sub(1).min(6);
        let pause = self.options.pause.saturating_mul(1 << doublings).min(MAX_BACKOFF);
        let pause = pause.max(asked.unwrap_or_default().min(MAX_PAUSE));
        watch.retry(Retry { url, why, pause, attempt, most: self.options.retries });
        std::thread::sleep(pause);
    }

    /// A reply with a good status.
    fn ask(
        &self,
        method: Method,
        url: &str,
        what: &str,
        enough: impl Fn(&HeaderMap) -> bool,
    ) -> Result<Reply, RequestError> {
        let reply = self.reply(method, url, enough)?;
        self.check_status(&reply, what)?;
        Ok(reply)
    }

    fn reply(&self, method: Method, url: &str, enough: impl Fn(&HeaderMap) -> bool) -> Result<Reply, RequestError> {
        self.http.ask(method, url, enough).map_err(|error| match error {
            NetError::Passing(why) => RequestError::Transient(why, None),
            NetError::Lasting(why) => RequestError::Permanent(self.network(url, why)),
            NetError::Certificate(why) => {
                RequestError::Permanent(HubError::Certificate { repo: self.repo.to_string(), url: url.into(), why })
            }
        })
    }

    /// Turns an HTTP status other than success or redirect into an error.
    fn check_status(&self, reply: &Reply, what: &str) -> Result<(), RequestError> {
        let (headers, status) = (reply.response.headers(), reply.response.status());
        if status.is_success() || status.is_redirection() {
            return Ok(());
        }
        let (repo, endpoint) = (self.repo.to_string(), self.options.endpoint.clone());
        let code = header(headers, "x-error-code").unwrap_or_default();
        let not_found =
            |what: &str| HubError::NotFound { repo: repo.clone(), endpoint: endpoint.clone(), what: what.into() };
        let shown = reply.from.shown();
        Err(match (status.as_u16(), code) {
            (_, "RepoNotFound") => RequestError::Permanent(not_found("model")),
            (_, "RevisionNotFound") => {
                RequestError::Permanent(not_found(&format!("revision {:?}", self.repo.revision)))
            }
            (404, _) => RequestError::Permanent(not_found(what)),
            (status @ (401 | 403), _) if !self.http.is_own(&reply.from) => {
                RequestError::Permanent(self.network(shown, format!("refused (status {status})")))
            }
            (status @ (401 | 403), code) => {
                let remedy = self.remedy(code);
                RequestError::Permanent(HubError::Gated { repo, endpoint, status, remedy })
            }
            (407, _) => RequestError::Permanent(self.network(shown, "the proxy wants a password".into())),
            (408 | 425 | 429 | 500..=599, _) => {
                let asked = header(headers, "retry-after").and_then(|seconds| seconds.trim().parse().ok());
                RequestError::Transient(format!("status {status}"), asked.map(Duration::from_secs))
            }
            _ => RequestError::Permanent(self.malformed(shown, format!("status {status}"))),
        })
    }

    fn remedy(&self, code: &str) -> String {
        let RepoName { org, name, .. } = self.repo;
        let endpoint = &self.options.endpoint;
        match (self.http.token().is_some(), code) {
            (true, "GatedRepo") => format!("accept its terms at {endpoint}/{org}/{name} with the account of HF_TOKEN"),
            (true, _) => "the token in HF_TOKEN is wrong or may not read it".to_string(),
            (false, _) => format!("accept its terms at {endpoint}/{org}/{name} if it has any, and set HF_TOKEN"),
        }
    }

    pub(crate) fn network(&self, url: &str, why: String) -> HubError {
        HubError::Network { repo: self.repo.to_string(), url: url.into(), why }
    }

    pub(crate) fn malformed(&self, url: &str, what: String) -> HubError {
        HubError::Malformed { repo: self.repo.to_string(), url: url.into(), what }
    }
}

impl Sibling {
    fn listed(self) -> ListedFile {
        let large = self.lfs.and_then(|lfs| Some((lfs.sha256?, lfs.size.or(self.size)?)));
        let known = large.or_else(|| Some((self.blob?, self.size?)));
        let known = known.filter(|(sum, _)| is_sum(sum)).map(|(etag, size)| RemoteFile { etag, size });
        ListedFile { name: self.rfilename, remote: known }
    }
}

/// Large files are described by the `x-linked-` headers, small files by the standard headers.
fn remote_file(headers: &HeaderMap, commit: &str, file: &str) -> Result<RemoteFile, String> {
    let size = header(headers, "x-linked-size").and_then(|size| size.parse().ok()).or_else(|| whole_size(headers));
    let size = size.ok_or("no length")?;
    let etag = header(headers, "x-linked-etag").or_else(|| header(headers, "etag")).unwrap_or_default();
    Ok(RemoteFile { etag: blob_name(etag, commit, file), size })
}

/// The length of a whole file, of which the answer may hold a part.
fn whole_size(headers: &HeaderMap) -> Option<u64> {
    let range = header(headers, "content-range").and_then(|range| range.rsplit_once('/')?.1.parse().ok());
    range.or_else(|| header(headers, "content-length")?.parse().ok())
}

/// The name of a blob: the entity tag where it may be the name of a file, else a checksum of it, and where there is
/// none of what it would stand for.
fn blob_name(etag: &str, commit: &str, file: &str) -> String {
    let tag = etag.trim().trim_start_matches("W/").trim_matches('"');
    if (1..=128).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return tag.to_string();
    }
    let text = if tag.is_empty() { format!("{commit}/{file}") } else { tag.to_string() };
    // Not of the length of a checksum, which would be compared with the bytes.
    format!("tag-{}", hexadecimal(&Sha1::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_entity_tag_becomes_the_name_of_a_file() {
        let plain = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(blob_name(&format!("W/\"{plain}\""), "c", "f"), plain);
        let odd: Vec<String> =
            ["\"5f7-6b0a3b41\"", "../../x", "", "a/b", "\u{7f}"].map(|tag| blob_name(tag, "c", "f")).into();
        assert!(odd.iter().all(|name| crate::name::is_part(name) && !is_sum(name)), "{odd:?}");
        assert_eq!(odd.iter().collect::<std::collections::HashSet<_>>().len(), odd.len());
        assert_ne!(blob_name("", "c", "f"), blob_name("", "c", "g"));
    }
}
