//! Modules import only downward: no circle of files, and no child that needs something of a file above it.
//!
//! A file is a node; an inline module belongs to its file. An arrow goes from a file to the one that defines a name
//! which it imports or writes as a path; `mod x;` is none. Methods and fields of a type are not seen.

mod crate_tree;
mod graph;
mod module;

use std::collections::BTreeMap;

use crate::finding::Finding;
use crate::workspace::Workspace;
use crate_tree::Crate;
use graph::{Arrow, circles, shortest};

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    let roots = workspace.shipped().map(|(file, _)| file.path.as_str());
    for root in roots.filter(|path| path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs")) {
        let code = Crate::read(workspace, root);
        let (up, level): (Vec<Arrow>, Vec<Arrow>) = code.arrows().into_iter().partition(|arrow| code.is_up(arrow));
        findings.extend(arrows_up(&up));
        findings.extend(circles(&level).iter().map(|files| circle(files, &level)));
    }
    findings
}

/// One finding for each child and each file above it.
fn arrows_up(up: &[Arrow<'_>]) -> Vec<Finding> {
    let mut needed: BTreeMap<(&str, &str), BTreeMap<&str, usize>> = BTreeMap::new();
    for arrow in up {
        needed.entry((arrow.from, arrow.to)).or_default().entry(arrow.item).or_insert(arrow.line);
    }
    let finding = |((child, door), items): (&(&str, &str), &BTreeMap<&str, usize>)| {
        let items: Vec<String> = items.iter().map(|(item, line)| format!("{item} (line {line})")).collect();
        let text = format!("the file above, {door}, defines {}", items.join(", "));
        Finding::new("arrow-up", child, items.len(), text)
    };
    needed.iter().map(finding).collect()
}

fn circle(files: &[&str], arrows: &[Arrow<'_>]) -> Finding {
    let folder = common_folder(files);
    let short = |path: &str| path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/').to_owned();
    let names: Vec<String> = files.iter().map(|file| short(file)).collect();
    let way = shortest(files, arrows);
    let ways = way
        .iter()
        .map(|arrow| format!("{} needs {} ({}, line {})", short(arrow.from), short(arrow.to), arrow.item, arrow.line));
    let ways: Vec<String> = ways.collect();
    let text = format!("a circle of {} files: {}; {}", files.len(), names.join(" "), ways.join("; "));
    Finding::new("file-circle", folder, files.len(), text)
}

/// The deepest folder that holds all `files`.
fn common_folder<'a>(files: &[&'a str]) -> &'a str {
    let mut folder = files[0];
    while let Some((above, _)) = folder.rsplit_once('/') {
        folder = above;
        if files.iter().all(|file| file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))) {
            break;
        }
    }
    folder
}

#[cfg(test)]
fn texts(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<(String, &str)> = files.iter().map(|(path, text)| (format!("crates/a/src/{path}"), *text)).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    check(&Workspace::of(&files)).iter().map(ToString::to_string).collect()
}

#[test]
fn a_circle_names_its_files_and_the_arrows_that_close_it() {
    let found = texts(&[
        ("lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\npub use a::A;"),
        ("a.rs", "use crate::b::B;\npub struct A(B);"),
        ("b.rs", "pub struct B;\nfn f() { crate::c::C::new() }"),
        ("c.rs", "use super::A;\npub struct C;"),
        ("d.rs", "use crate::c::C;"),
    ]);
    let wanted = "crates/a/src: file-circle: a circle of 3 files: a.rs b.rs c.rs; a.rs needs b.rs (B, line 1); \
                  b.rs needs c.rs (C, line 2); c.rs needs a.rs (A, line 1)";
    assert_eq!(found, [wanted]);
}

#[test]
fn names_are_followed_through_doors_aliases_globs_and_inline_modules() {
    for user in [
        "use crate::door::Thing;",
        "use crate::door::{self, Thing as Other};",
        "use crate::door;\nfn f() -> door::Thing {}",
        "use crate::door::*;\nfn f() -> Thing {}",
        "mod inner { use crate::door::Thing; }",
        "macro_rules! m { () => { $crate::door::Thing }; }",
        "fn f() { use super::door::Thing; }",
    ] {
        let files = [
            ("lib.rs", "mod door;\nmod user;"),
            ("door/mod.rs", "mod inside;\npub use inside::Thing;"),
            ("user.rs", user),
        ];
        let inside = "use crate::user;\npub struct Thing;\nfn f() { user::g() }";
        let found = texts(&[&files[..], &[("door/inside.rs", inside)]].concat());
        assert!(found.len() == 1 && found[0].contains("user.rs needs door/inside.rs"), "{user}: {found:?}");
    }
}

#[test]
fn tests_declarations_and_libraries_are_no_arrows() {
    let found = texts(&[
        ("lib.rs", "pub mod a;\npub mod b;\npub mod c;\n#[cfg(test)]\nmod t;"),
        ("a.rs", "use std::fmt::Debug;\nuse crate::{b, c};\npub struct A(b::B, c::T);"),
        ("b.rs", "pub struct B;\n#[cfg(test)]\nmod tests { use crate::a::A; }\n// crate::a::A\n"),
        ("c.rs", "const T: &str = \"crate::a::A\";"),
        ("t.rs", "use crate::a::A;"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_child_that_needs_its_door_is_found() {
    let up =
        |door: &str, child: &str| texts(&[("lib.rs", "mod a;"), ("a/mod.rs", door), ("a/b.rs", child), ("a/c.rs", "")]);
    let found = up("mod b;\npub const N: usize = 1;", "use super::N;\nfn f() { super::g() }");
    let wanted = "crates/a/src/a/b.rs: arrow-up: the file above, crates/a/src/a/mod.rs, defines N (line 1), g (line 2)";
    assert_eq!(found, [wanted]);
    // What a macro makes cannot be seen, and counts as the door's own.
    assert_eq!(up("mod b;\nmake!(N);", "use super::N;").len(), 1);
    assert!(up("mod b;\nmod c;\nuse c::N;", "use super::c;\nfn f() { c::g() }").is_empty());
}
