//! The binary, and a folder for what it reads and writes.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

pub(crate) const NANO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/models/zoetrope-nano");
pub(crate) const TOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tests/golden/videollama3/toy-hf");

pub(crate) fn zoetrope(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zoetrope"));
    command.args(args).stdin(Stdio::null()).env_remove("RUST_LOG").env("HF_HUB_OFFLINE", "1");
    // Nothing is kept in the cache of the user.
    command.env("XDG_CACHE_HOME", "/dev/null/none");
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    zoetrope(args).output().expect("the binary starts")
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// Runs a command that ends well.
pub(crate) fn ends(mut command: Command) -> Output {
    let output = command.output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    output
}

/// Runs and expects exit code `code`, nothing on standard output, and `error: ` followed by all of `words` on one line.
pub(crate) fn fails(args: &[&str], code: i32, words: &[&str]) -> String {
    let output = run(args);
    let text = err(&output);
    assert_eq!((output.status.code(), &*out(&output)), (Some(code), ""), "{text}");
    let first = text.lines().next().unwrap_or_default();
    assert!(first.starts_with("error: ") && words.iter().all(|word| first.contains(word)), "{words:?}: {text}");
    text
}

/// A folder with what the tests need.
pub(crate) struct Desk(tempfile::TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        Desk(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.place(name).display().to_string()
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.place(name), bytes).expect("written");
        self.path(name)
    }
}
