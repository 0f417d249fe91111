//! The user's folders that the program keeps files of its own in.

use std::path::PathBuf;

/// The folder for what can be made again: `XDG_CACHE_HOME`, `~/.cache`.
pub(crate) fn cache() -> Option<PathBuf> {
    folder("XDG_CACHE_HOME", ".cache", |name| std::env::var_os(name).map(PathBuf::from))
}

/// The folder for what a user has done: `XDG_STATE_HOME`, `~/.local/state`.
pub(crate) fn state() -> Option<PathBuf> {
    folder("XDG_STATE_HOME", ".local/state", |name| std::env::var_os(name).map(PathBuf::from))
}

/// Our folder below the one that `variable` names, else below `usual` of the home folder.
fn folder(variable: &str, usual: &str, env: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let env = |name: &str| env(name).filter(|path| !path.as_os_str().is_empty());
    let parent = match cfg!(windows) {
        true => env("LOCALAPPDATA"),
        // A relative path is none, says the standard.
        false => env(variable).filter(|path| path.is_absolute()).or_else(|| Some(env("HOME")?.join(usual))),
    };
    Some(parent?.join("zoetrope"))
}

#[cfg(all(test, not(windows)))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_where_the_variables_say() {
        let place = |set: &[(&str, &str)]| {
            let env = |name: &str| set.iter().find(|(own, _)| *own == name).map(|(_, value)| PathBuf::from(value));
            folder("XDG_STATE_HOME", ".local/state", env)
        };
        assert_eq!(place(&[("HOME", "/h")]), Some("/h/.local/state/zoetrope".into()));
        for unset in ["", "relative"] {
            assert_eq!(place(&[("HOME", "/h"), ("XDG_STATE_HOME", unset)]), Some("/h/.local/state/zoetrope".into()));
        }
        assert_eq!(place(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]), Some("/s/zoetrope".into()));
        assert_eq!(place(&[("HOME", "")]), None);
    }
}
