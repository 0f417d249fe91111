//! What one file defines, imports and mentions.

use std::collections::BTreeSet;

use crate::source::{identifiers, is_word};

/// A module's part of the code of one file.
#[derive(Default)]
pub(super) struct Module<'a> {
    /// Its name, and for an inline module the number of the module around it.
    pub(super) name: &'a str,
    pub(super) around: Option<usize>,
    /// Items by name, macros too.
    pub(super) defined: BTreeSet<&'a str>,
    pub(super) macros: BTreeSet<&'a str>,
    /// `x` of `mod x;`.
    pub(super) declared: Vec<&'a str>,
    pub(super) uses: Vec<Use<'a>>,
    /// Paths of two and more names in code.
    pub(super) paths: Vec<Path<'a>>,
    /// `x` of `x!`, with their places.
    pub(super) calls: Vec<(usize, &'a str)>,
}

/// One name of a `use`.
pub(super) struct Use<'a> {
    pub(super) path: Path<'a>,
    /// What the module calls it; `None` for `*`.
    pub(super) name: Option<&'a str>,
}

pub(super) struct Path<'a> {
    pub(super) names: Vec<&'a str>,
    pub(super) at: usize,
}

/// The modules of a file: its own, then inline ones.
pub(super) fn modules(code: &str) -> Vec<Module<'_>> {
    let mut parser = Parser { tokens: tokens(code), modules: vec![Module::default()], around: Vec::new() };
    let mut at = 0;
    while at < parser.tokens.len() {
        at = parser.token(at);
    }
    parser.modules
}

/// Words, `::`, and every other character that is not white space, with their places.
fn tokens(code: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    let mut end = 0;
    for (at, word) in identifiers(code).chain([(code.len(), "")]) {
        while end < at {
            let length = if code[end..at].starts_with("::") { 2 } else { 1 };
            if !code.as_bytes()[end].is_ascii_whitespace() {
                tokens.push((end, &code[end..end + length]));
            }
            end += length;
        }
        tokens.push((at, word));
        end = at + word.len();
    }
    tokens.pop();
    tokens
}

/// What a brace opened.
#[derive(PartialEq)]
enum Braces {
    Module(usize),
    /// A macro's call between items: what it holds are items.
    Call,
    Code,
}

struct Parser<'a> {
    tokens: Vec<(usize, &'a str)>,
    modules: Vec<Module<'a>>,
    around: Vec<Braces>,
}

impl<'a> Parser<'a> {
    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.1)
    }

    fn before(&self, at: usize, back: usize) -> &'a str {
        at.checked_sub(back).map_or("", |at| self.text(at))
    }

    fn is_name(&self, at: usize) -> bool {
        self.text(at).starts_with(is_word)
    }

    /// The number of the innermost module.
    fn here(&self) -> usize {
        let inner = self.around.iter().rev().find_map(|braces| match braces {
            Braces::Module(number) => Some(*number),
            _ => None,
        });
        inner.unwrap_or(0)
    }

    /// Whether items of the module stand here, not code.
    fn between_items(&self) -> bool {
        !self.around.iter().rev().take_while(|braces| !matches!(braces, Braces::Module(_))).any(|b| *b == Braces::Code)
    }

    /// Takes what begins at token `at`, and says where the next thing begins.
    fn token(&mut self, at: usize) -> usize {
        let here = self.here();
        let (word, next) = (self.text(at), self.text(at + 1));
        match word {
            "{" => {
                let call = self.before(at, 1) == "!" && self.between_items();
                self.around.push(if call { Braces::Call } else { Braces::Code });
            }
            "}" => drop(self.around.pop()),
            "use" if next != "<" => return self.tree(at + 1, &[]),
            "mod" if self.text(at + 2) == ";" => self.modules[here].declared.push(next),
            "mod" if self.text(at + 2) == "{" => {
                let module = Module { name: next, around: Some(here), ..Module::default() };
                self.around.push(Braces::Module(self.modules.len()));
                self.modules.push(module);
                return at + 3;
            }
            "macro_rules" => {
                let name = self.text(at + 2);
                self.modules[here].defined.insert(name);
                self.modules[here].macros.insert(name);
                return at + 3;
            }
            "fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static" => {
                let name = if next == "mut" { self.text(at + 2) } else { next };
                if self.between_items() && name.starts_with(is_word) && self.before(at, 1) != "*" {
                    self.modules[here].defined.insert(name);
                }
            }
            _ if self.is_name(at) => return self.name(at),
            _ => {}
        }
        at + 1
    }

    /// A name, with what follows it after `::`.
    fn name(&mut self, at: usize) -> usize {
        let here = self.here();
        let (place, word) = self.tokens[at];
        if self.text(at + 1) == "!" {
            self.modules[here].calls.push((place, word));
        }
        let (mut names, mut end) = (vec![word], at + 1);
        while self.text(end) == "::" && self.is_name(end + 1) {
            names.push(self.text(end + 1));
            end += 2;
        }
        if names.len() > 1 && self.before(at, 1) != "::" {
            self.modules[here].paths.push(Path { names, at: place });
        }
        end
    }

    /// The tree of a `use` from token `at` on, under `prefix`; gives the token after it.
    fn tree(&mut self, mut at: usize, prefix: &[&'a str]) -> usize {
        let mut names = prefix.to_vec();
        loop {
            let (place, word) = self.tokens.get(at).copied().unwrap_or_default();
            match word {
                "{" => {
                    at += 1;
                    while !matches!(self.text(at), "}" | "") {
                        at = self.tree(at, &names);
                        at += usize::from(self.text(at) == ",");
                    }
                    return at + 1;
                }
                "*" => {
                    self.use_of(names, place, None);
                    return at + 1;
                }
                // A path from the root names libraries only.
                "::" if names.is_empty() => names.push("::"),
                "self" if !names.is_empty() => {}
                word => names.push(word),
            }
            at += 1;
            match self.text(at) {
                "::" => at += 1,
                "as" => {
                    self.use_of(names, place, Some(self.text(at + 1)));
                    return at + 2;
                }
                _ if names == ["::"] => {}
                _ => {
                    let name = names.last().copied();
                    self.use_of(names, place, name);
                    return at;
                }
            }
        }
    }

    fn use_of(&mut self, names: Vec<&'a str>, at: usize, name: Option<&'a str>) {
        let here = self.here();
        self.modules[here].uses.push(Use { path: Path { names, at }, name });
    }
}

#[test]
fn items_imports_and_paths_of_a_file() {
    let code = "use a::{self, b::{c as d, e::*}};\nuse ::f::g;\npub mod h;\nper_isa! { fn i() {} }\n\
                macro_rules! j { () => {} }\nimpl K { const L: u8 = m::n(); fn o() { p!(super::q::r) } }\n\
                mod s { fn t() {} }\nfn u(x: *const V) {}";
    let modules = modules(code);
    let file = &modules[0];
    let uses: Vec<String> =
        file.uses.iter().map(|used| format!("{} {}", used.path.names.join("::"), used.name.unwrap_or("*"))).collect();
    assert_eq!(uses, ["a a", "a::b::c d", "a::b::e *", "::::f::g g"]);
    assert_eq!(file.declared, ["h"]);
    assert_eq!(file.defined.iter().copied().collect::<Vec<_>>(), ["i", "j", "u"]);
    let paths: Vec<String> = file.paths.iter().map(|path| path.names.join("::")).collect();
    assert_eq!(paths, ["m::n", "super::q::r"]);
    assert_eq!(file.calls.iter().map(|call| call.1).collect::<Vec<_>>(), ["per_isa", "p"]);
    assert_eq!((modules[1].name, modules[1].around, modules[1].defined.contains("t")), ("s", Some(0), true));
}
