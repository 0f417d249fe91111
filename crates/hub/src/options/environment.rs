//! Paths as the environment gives them: with `~`, `~user`, `$NAME` and `${NAME}`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::HubError;

/// The variables of a process, or of a test.
pub(crate) struct Environment<'a> {
    var: &'a dyn Fn(&str) -> Option<OsString>,
}

impl<'a> Environment<'a> {
    pub(crate) fn new(var: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Environment { var }
    }

    /// The value of a variable; `None` when it is unset or empty.
    fn raw(&self, name: &str) -> Option<OsString> {
        (self.var)(name).filter(|value| !value.is_empty())
    }

    /// The text of a variable.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, HubError> {
        let text = |value: OsString| {
            value.into_string().map_err(|_| HubError::Setting(format!("the variable {name} is not UTF-8")))
        };
        self.raw(name).map(text).transpose()
    }

    /// The text of the first of some variables that is set.
    pub(crate) fn first(&self, names: &[&str]) -> Result<Option<String>, HubError> {
        let found = names.iter().find(|name| self.raw(name).is_some());
        found.map_or(Ok(None), |name| self.text(name))
    }

    /// Whether a variable says yes.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        let value = self.raw(name).unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        matches!(value.as_str(), "1" | "on" | "yes" | "true")
    }

    /// The path in a variable, with home folders and variables put in.
    ///
    /// # Errors
    /// When it names a variable that is not set, or a home that there is not: a folder called `~` or `$X` is never
    /// what was meant.
    pub(crate) fn path(&self, name: &str) -> Result<Option<PathBuf>, HubError> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let wrong = |what: String| HubError::Setting(format!("the variable {name} is {value:?}: {what}"));
        // What is not UTF-8 is taken as it is.
        let Some(text) = value.to_str() else { return Ok(Some(PathBuf::from(value))) };
        let text = self.with_variables(text).map_err(wrong)?;
        let path = self.with_home(&text).map_err(wrong)?;
        Ok(Some(path))
    }

    /// The folder of the user.
    ///
    /// # Errors
    /// When neither a variable nor the system's list of users has one.
    pub(crate) fn home(&self) -> Result<PathBuf, HubError> {
        let variable = self.raw("HOME").or_else(|| self.raw("USERPROFILE")).map(PathBuf::from);
        variable.or_else(own_home).ok_or_else(|| {
            let what = "there is no home folder for the cache of models (HOME is not set); HF_HOME names the folder";
            HubError::Setting(what.to_string())
        })
    }

    /// `$NAME` and `${NAME}` replaced.
    fn with_variables(&self, text: &str) -> Result<String, String> {
        let (mut out, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let (name, behind) = match after.strip_prefix('{') {
                Some(inner) => inner.split_once('}').unwrap_or(("", after)),
                None => {
                    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                    after.split_at(end)
                }
            };
            if name.is_empty() {
                // A dollar sign that names nothing stays.
                out.push('$');
                rest = after;
                continue;
            }
            match self.raw(name).map(OsString::into_string) {
                Some(Ok(value)) => out.push_str(&value),
                Some(Err(_)) => return Err(format!("{name} is not UTF-8")),
                None => return Err(format!("there is no variable {name}")),
            }
            rest = behind;
        }
        Ok(out + rest)
    }

    /// `~` and `~user` at the beginning replaced.
    fn with_home(&self, text: &str) -> Result<PathBuf, String> {
        let Some(rest) = text.strip_prefix('~') else { return Ok(PathBuf::from(text)) };
        let (user, below) = rest.split_once(['/', std::path::MAIN_SEPARATOR]).unwrap_or((rest, ""));
        let home = match user {
            "" => self.home().map_err(|error| error.to_string())?,
            user => home_of(user).ok_or_else(|| format!("there is no user {user} with a home folder"))?,
        };
        Ok(join(&home, below))
    }
}

/// Without a separator at the end when nothing follows.
fn join(home: &Path, below: &str) -> PathBuf {
    if below.is_empty() { home.to_path_buf() } else { home.join(below) }
}

/// The home of this process's user in the system's list of users.
#[cfg(unix)]
fn own_home() -> Option<PathBuf> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).ok()??;
    Some(user.dir).filter(|dir| dir.is_absolute())
}

#[cfg(not(unix))]
fn own_home() -> Option<PathBuf> {
    std::env::home_dir().filter(|dir| dir.is_absolute())
}

#[cfg(unix)]
fn home_of(user: &str) -> Option<PathBuf> {
    nix::unistd::User::from_name(user).ok()?.map(|user| user.dir).filter(|dir| dir.is_absolute())
}

#[cfg(not(unix))]
fn home_of(_: &str) -> Option<PathBuf> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(value: &str, others: &[(&str, &str)]) -> Result<Option<PathBuf>, HubError> {
        let var = |name: &str| match name {
            "X" => Some(OsString::from(value)),
            name => others.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value)),
        };
        Environment::new(&var).path("X")
    }

    #[test]
    fn paths_are_expanded_as_python_does() {
        let vars = [("HOME", "/h"), ("NAME", "n"), ("A_1", "/a")];
        let cases = [
            ("/plain", "/plain"),
            ("~", "/h"),
            ("~/hf", "/h/hf"),
            ("$HOME/hf", "/h/hf"),
            ("${A_1}/x-${NAME}", "/a/x-n"),
            ("$A_1.d", "/a.d"),
            ("/a~b/c$", "/a~b/c$"),
            ("${}x", "${}x"),
            ("relative/x", "relative/x"),
        ];
        for (value, wanted) in cases {
            assert_eq!(path(value, &vars).expect(value), Some(PathBuf::from(wanted)), "{value}");
        }
        assert_eq!(path("", &vars).expect("empty"), None);
        for (value, part) in [("$NOPE/hf", "no variable NOPE"), ("~nobody-such-user/hf", "nobody-such-user")] {
            let error = path(value, &vars).expect_err(value).to_string();
            assert!(error.contains(part) && error.contains("variable X"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn without_home_the_list_of_users_is_asked() {
        let none = |_: &str| None;
        let home = Environment::new(&none).home().expect("a home");
        assert!(home.is_absolute(), "{home:?}");
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).expect("list").expect("user");
        assert_eq!(path(&format!("~{}/hf", user.name), &[]).expect("path"), Some(user.dir.join("hf")));
        assert_eq!(path("~/hf", &[]).expect("path"), Some(home.join("hf")));
    }
}
