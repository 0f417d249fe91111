//! Every dependency is used: its name is an identifier of the crate's code.

use std::collections::BTreeSet;

use crate::finding::Finding;
use crate::manifest::dependencies;
use crate::source::places;
use crate::workspace::{File, Workspace};

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let rooms: Vec<&File> = workspace.files.iter().filter(|file| is_manifest_of_room(file)).collect();
    let of_rooms: BTreeSet<&str> =
        rooms.iter().flat_map(|file| dependencies(&file.text)).map(|found| found.1).collect();
    let mut findings = Vec::new();
    for manifest in rooms.into_iter().chain(workspace.file("Cargo.toml")) {
        let unused = dependencies(&manifest.text).into_iter().filter(|(table, name)| match *table {
            "workspace.dependencies" => !of_rooms.contains(name),
            table => !is_used(workspace, manifest, name, table.ends_with("dev-dependencies")),
        });
        let unused: Vec<String> = unused.map(|(table, name)| format!("{name} of [{table}] is not used")).collect();
        findings.extend(Finding::places("unused-dependency", &manifest.path, &unused));
    }
    findings
}

fn is_manifest_of_room(file: &File) -> bool {
    file.room().is_some_and(|(_, path)| path == "Cargo.toml")
}

/// Whether the crate's code says the dependency's name. Tests count for those of `[dev-dependencies]` alone.
fn is_used(workspace: &Workspace, manifest: &File, name: &str, by_tests: bool) -> bool {
    let folder = format!("{}/", manifest.folder());
    let name = name.replace('-', "_");
    let mut sources = workspace.rust().filter(|(file, _)| file.path.starts_with(&folder));
    sources.any(|(file, source)| match by_tests {
        true => places(&source.code, &name).next().is_some(),
        false => !file.is_test && places(&source.shipped, &name).next().is_some(),
    })
}

#[test]
fn dependencies_that_only_tests_or_nobody_uses_are_found() {
    let manifest = "[dependencies]\na-b = \"1\"\nc = \"1\"\nd = \"1\"\n[dev-dependencies]\ne = \"1\"\nf = \"1\"\n";
    let source = "use a_b::A; // d\n#[cfg(test)]\nmod tests { use c::C; use e::E; }\nconst F: &str = \"f\";";
    let findings = check(&Workspace::of(&[
        ("Cargo.toml", "[workspace.dependencies]\na-b = \"1\"\ng = \"1\"\n"),
        ("crates/x/Cargo.toml", manifest),
        ("crates/x/src/lib.rs", source),
    ]));
    let texts: Vec<(&str, usize)> = findings.iter().map(|finding| (finding.path.as_str(), finding.amount)).collect();
    assert_eq!(texts, [("crates/x/Cargo.toml", 3), ("Cargo.toml", 1)], "{findings:?}");
}
