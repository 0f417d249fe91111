//! Names that code defines.

use crate::source::identifiers;

/// A name that a keyword defines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Definition<'a> {
    /// Place of the keyword.
    pub(crate) at: usize,
    /// `struct`, `fn`, `macro_rules` and so on.
    pub(crate) keyword: &'a str,
    pub(crate) name: &'a str,
    /// Not indented: an item of the file's own module.
    pub(crate) outermost: bool,
}

impl Definition<'_> {
    pub(crate) fn is_type(&self) -> bool {
        matches!(self.keyword, "struct" | "enum" | "union" | "trait" | "type")
    }
}

const KEYWORDS: [&str; 9] = ["fn", "struct", "enum", "union", "trait", "type", "mod", "const", "static"];

/// Everything that `code` defines with a keyword and a name.
pub(crate) fn definitions(code: &str) -> Vec<Definition<'_>> {
    let mut found = Vec::new();
    let (mut at, mut keyword) = (0, "");
    for (next, name) in identifiers(code) {
        let defines =
            KEYWORDS.contains(&keyword) && &code[at + keyword.len()..next] == " " && !KEYWORDS.contains(&name);
        if defines || keyword == "macro_rules" {
            let line = code[..at].rsplit('\n').next().unwrap_or_default();
            found.push(Definition { at, keyword, name, outermost: !line.starts_with(' ') });
        }
        (at, keyword) = (next, name);
    }
    found
}

#[test]
fn definitions_have_a_keyword_and_a_name() {
    let code =
        "pub const fn f(x: fn(u8)) {}\nimpl A for B {\n    type Item = u8;\n}\nmacro_rules! m {}\npub(crate) enum E {}";
    let found: Vec<(&str, &str, bool)> = definitions(code).iter().map(|d| (d.keyword, d.name, d.outermost)).collect();
    let wanted = [("fn", "f", true), ("type", "Item", false), ("macro_rules", "m", true), ("enum", "E", true)];
    assert_eq!(found, wanted);
}
