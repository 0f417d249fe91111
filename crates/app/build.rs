//! Tells the program the commit that it is built from. Without git, or outside of a checkout, it is told none.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=ZOETROPE_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    // Packagers build without a checkout and may name the commit.
    let commit = std::env::var("ZOETROPE_COMMIT").ok().or_else(|| git(&["rev-parse", "--short=10", "HEAD"]));
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
    println!("cargo::rustc-env=ZOETROPE_COMMIT={}", commit.unwrap_or_default());
}

/// What git says in one line.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_string()).filter(|text| !text.is_empty() && !text.contains('\n'))
}
