//! Names of models: `org/name`, `org/name@revision`, and the forms in which people paste them.

use std::fmt;
use std::path::Path;

use crate::error::HubError;

/// Hosts whose addresses name models of the hub, whichever hub is asked.
const HOSTS: [&str; 4] = ["huggingface.co", "www.huggingface.co", "hf.co", "hf-mirror.com"];

/// First parts of addresses of what is no model.
const OTHERS: [(&str, &str); 6] = [
    ("datasets", "a dataset"),
    ("spaces", "a space"),
    ("collections", "a collection"),
    ("papers", "a paper"),
    ("docs", "a page"),
    ("blog", "a page"),
];

/// What follows the name in an address and is followed by a revision.
const VIEWS: [&str; 6] = ["tree", "blob", "resolve", "raw", "commit", "commits"];

/// Other pages of a model.
const PAGES: [&str; 3] = ["discussions", "edit", "settings"];

/// A checked name: safe in a file name and in an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RepoName {
    pub(crate) org: String,
    pub(crate) name: String,
    pub(crate) revision: String,
}

impl RepoName {
    /// Takes a name apart; `endpoint` is the address of the hub, which names its models, too. What looks like a path is
    /// refused as a folder that does not exist.
    pub(crate) fn parse(text: &str, endpoint: &str) -> Result<Self, HubError> {
        let refuse = |why: &str| HubError::Caller(format!("model {text:?}: {why}"));
        if Path::new(text).is_file() {
            return Err(refuse("is a file; give its folder, or a name like org/name"));
        }
        let name = text.trim();
        let (path, is_address) = model_path(name, endpoint).map_err(|why| refuse(&why))?;
        let path = if is_address { path.split(['?', '#']).next().unwrap_or_default() } else { path };
        let cached = path.strip_prefix("models--").and_then(|rest| rest.split_once("--"));
        let path = cached.map_or_else(|| path.to_string(), |(org, name)| format!("{org}/{name}"));
        let path = path.strip_prefix("api/models/").or_else(|| path.strip_prefix("models/")).unwrap_or(&path);
        parse_path(path, is_address).map_err(|why| refuse(&why))
    }
}

/// The part of a pasted text behind the host, and whether there was a host.
fn model_path<'t>(text: &'t str, endpoint: &str) -> Result<(&'t str, bool), String> {
    if let Some(rest) = text.strip_prefix("hf://") {
        return Ok((rest, true));
    }
    let without_scheme = |text: &'t str| text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let (rest, has_scheme) = without_scheme(text).map_or((text, false), |rest| (rest, true));
    let own = endpoint.split_once("://").map_or(endpoint, |(_, own)| own);
    if let Some(path) = rest.strip_prefix(own).and_then(|path| path.strip_prefix('/')) {
        return Ok((path, true));
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if HOSTS.iter().any(|known| host.eq_ignore_ascii_case(known)) {
        return Ok((path, true));
    }
    match has_scheme {
        true => Err(format!("an address of {host}, which is not the hub that is asked ({endpoint}, see HF_ENDPOINT)")),
        false => Ok((text, false)),
    }
}

/// `org/name`, with a revision behind `@` or behind the name of a page.
fn parse_path(path: &str, is_address: bool) -> Result<RepoName, String> {
    let (path, revision) = path.split_once('@').map_or((path, None), |(path, revision)| (path, Some(revision)));
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<&str> = path.split('/').collect();
    if let Some((_, what)) = OTHERS.iter().find(|(first, _)| parts.len() > 1 && parts[0] == *first) {
        return Err(format!("names {what}, not a model"));
    }
    let (org, name, page) = match parts[..] {
        [one] if is_part(one) && !is_address => {
            return Err(format!("no such folder, and a name has two parts: org/{one}"));
        }
        [one] if is_part(one) => return Err(format!("names the organization {one}, not one of its models")),
        [org, name, ref page @ ..] => (org, name, page),
        _ => return Err("no such folder, and not a name like org/name or org/name@revision".to_string()),
    };
    if let Some((repo, tag)) = name.split_once(':').filter(|(repo, tag)| is_part(repo) && is_part(tag)) {
        return Err(format!("{tag} names a GGUF file, which is not fetched by name; the model is {org}/{repo}"));
    }
    if !is_part(org) || !is_part(name) {
        return Err("no such folder, and not a name like org/name or org/name@revision".to_string());
    }
    let revision = match (revision, page) {
        (Some(revision), []) => revision.replace("%2F", "/"),
        (None, []) => "main".to_string(),
        (None, [view, revision, rest @ ..]) if VIEWS.contains(view) => page_revision(revision, rest),
        (None, [view]) if VIEWS.contains(view) => "main".to_string(),
        (None, [other, ..]) if PAGES.contains(other) => "main".to_string(),
        _ => return Err(format!("no such folder, and not a name like org/name; perhaps {org}/{name} is meant")),
    };
    if !revision.split('/').all(is_part) {
        return Err("the revision may have letters, digits, '.', '_', '-' and '/' only".to_string());
    }
    Ok(RepoName { org: org.into(), name: name.into(), revision })
}

/// The revision in the address of a page; `refs/pr/7` is the only one that has slashes there.
fn page_revision(revision: &str, rest: &[&str]) -> String {
    match rest {
        [kind, name, ..] if revision == "refs" => format!("refs/{kind}/{name}"),
        _ => revision.replace("%2F", "/").replace("%2f", "/"),
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.org, self.name)?;
        if self.revision == "main" { Ok(()) } else { write!(f, "@{}", self.revision) }
    }
}

/// One part of a name or one name of a file: no separators, nothing hidden, no way up.
pub(crate) fn is_part(text: &str) -> bool {
    let fits = (1..=200).contains(&text.len()) && !text.starts_with(['.', '-']) && !text.contains("..");
    fits && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUB: &str = "https://huggingface.co";

    #[test]
    fn names_are_taken_apart_and_paths_refused() {
        let name = RepoName::parse("DAMO-NLP-SG/VideoLLaMA3-2B@refs/pr/7", HUB).expect("name");
        assert_eq!(
            (name.org.as_str(), name.name.as_str(), name.revision.as_str()),
            ("DAMO-NLP-SG", "VideoLLaMA3-2B", "refs/pr/7")
        );
        assert_eq!(RepoName::parse("a/b", HUB).expect("name").to_string(), "a/b");
        for bad in [
            "", "a", "/a/b", "./a/b", "../b", "a/b/c", "a/..", "a//b", "a/b@", "a/b@../x", "a/b@x y", "a\\b/c",
            "a/b?x", "~/m",
        ] {
            let error = RepoName::parse(bad, HUB).expect_err(bad).to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }

    #[test]
    fn names_are_taken_as_they_are_pasted() {
        let mirror = "https://mirror.example/hf";
        for (text, wanted) in [
            ("a/b/", "a/b"),
            ("  a/b\n", "a/b"),
            ("https://huggingface.co/a/b", "a/b"),
            ("http://www.huggingface.co/a/b/", "a/b"),
            ("https://huggingface.co/a/b?library=transformers#usage", "a/b"),
            ("huggingface.co/a/b", "a/b"),
            ("hf.co/a/b", "a/b"),
            ("hf-mirror.com/a/b", "a/b"),
            ("hf://a/b", "a/b"),
            ("hf://a/b@v1", "a/b@v1"),
            ("hf://models/a/b", "a/b"),
            ("models--a--b", "a/b"),
            ("models--a--b-c", "a/b-c"),
            ("https://mirror.example/hf/a/b", "a/b"),
            ("mirror.example/hf/a/b", "a/b"),
            ("https://huggingface.co/api/models/a/b", "a/b"),
            ("https://huggingface.co/a/b/tree/main", "a/b"),
            ("https://huggingface.co/a/b/tree/v1.0", "a/b@v1.0"),
            ("https://huggingface.co/a/b/tree/v1/folder", "a/b@v1"),
            ("https://huggingface.co/a/b/tree/refs%2Fpr%2F7", "a/b@refs/pr/7"),
            ("https://huggingface.co/a/b/blob/refs/pr/7/config.json", "a/b@refs/pr/7"),
            ("https://huggingface.co/a/b/resolve/main/config.json?download=true", "a/b"),
            ("https://huggingface.co/a/b/blob/0123abc/model.safetensors", "a/b@0123abc"),
            ("a/b/tree/v2", "a/b@v2"),
            ("https://huggingface.co/a/b/discussions/3", "a/b"),
        ] {
            assert_eq!(RepoName::parse(text, mirror).expect(text).to_string(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_model_is_named() {
        for (text, part) in [
            ("gpt2", "a name has two parts: org/gpt2"),
            ("https://huggingface.co/datasets/a/b", "a dataset"),
            ("hf://datasets/a/b", "a dataset"),
            ("huggingface.co/spaces/a/b", "a space"),
            ("https://huggingface.co/a", "the organization a"),
            ("https://example.com/a/b", "example.com"),
            ("a/b:Q4_K_M", "the model is a/b"),
            ("a/b/c", "perhaps a/b is meant"),
        ] {
            let error = RepoName::parse(text, HUB).expect_err(text).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
