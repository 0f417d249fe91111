//! Names of models: `org/name` or `org/name@revision`.

use std::fmt;

use crate::error::HubError;

/// A checked name: safe in a file name and in an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RepoName {
    pub(crate) org: String,
    pub(crate) name: String,
    pub(crate) revision: String,
}

impl RepoName {
    /// Takes a name apart. What looks like a path is refused as a folder that does not exist.
    pub(crate) fn parse(text: &str) -> Result<Self, HubError> {
        let refuse = |why: &str| HubError::Caller(format!("model {text:?}: {why}"));
        if std::path::Path::new(text).exists() {
            return Err(refuse("is a file; give its folder, or a name like org/name"));
        }
        let (repo, revision) = text.split_once('@').unwrap_or((text, "main"));
        let (org, name) = repo.split_once('/').unwrap_or((repo, ""));
        if !is_part(org) || !is_part(name) {
            return Err(refuse("no such folder, and not a name like org/name or org/name@revision"));
        }
        if !revision.split('/').all(is_part) {
            return Err(refuse("the revision may have letters, digits, '.', '_', '-' and '/' only"));
        }
        Ok(RepoName { org: org.into(), name: name.into(), revision: revision.into() })
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

    #[test]
    fn names_are_taken_apart_and_paths_refused() {
        let name = RepoName::parse("DAMO-NLP-SG/VideoLLaMA3-2B@refs/pr/7").expect("name");
        assert_eq!(
            (name.org.as_str(), name.name.as_str(), name.revision.as_str()),
            ("DAMO-NLP-SG", "VideoLLaMA3-2B", "refs/pr/7")
        );
        assert_eq!(RepoName::parse("a/b").expect("name").to_string(), "a/b");
        for bad in [
            "", "a", "/a/b", "./a/b", "../b", "a/b/c", "a/..", "a//b", "a/b@", "a/b@../x", "a/b@x y", "a\\b/c",
            "a/b?x", "~/m",
        ] {
            let error = RepoName::parse(bad).expect_err(bad).to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }
}
