//! Just enough of Rust's grammar to tell code, strings, comments and tests apart.

use std::collections::BTreeSet;

use crate::File;

/// A Rust file with parts of it blanked; all three have the same lines and columns (in characters).
pub(crate) struct Source {
    /// The file as it is.
    pub(crate) all: Vec<char>,
    /// Comments blanked, strings kept.
    pub(crate) text: Vec<char>,
    /// Comments and the insides of strings blanked.
    pub(crate) code: Vec<char>,
}

impl Source {
    pub(crate) fn new(file: &str) -> Source {
        let all: Vec<char> = file.chars().collect();
        let mut source = Source { text: all.clone(), code: all.clone(), all };
        let mut at = 0;
        while at < source.all.len() {
            at = source.token(at);
        }
        source
    }

    /// Blanks the comment or string that starts at `at`, if one does, and says where the next token starts.
    fn token(&mut self, at: usize) -> usize {
        let next = |n: usize| self.all.get(at + n).copied().unwrap_or('\0');
        match self.all[at] {
            '/' if next(1) == '/' => {
                let end = self.find(at, |rest| rest[0] == '\n');
                self.blank(at, end, true);
                end
            }
            '/' if next(1) == '*' => {
                let end = self.end_of_block_comment(at);
                self.blank(at, end, true);
                end
            }
            'r' if !self.in_word(at) && (next(1) == '"' || next(1) == '#') => self.raw_string(at),
            'b' if !self.in_word(at) && next(1) == 'r' && (next(2) == '"' || next(2) == '#') => self.raw_string(at + 1),
            '"' => {
                let end = self.end_of_quoted(at, '"');
                self.blank(at + 1, end.saturating_sub(1), false);
                end
            }
            // A character, not a lifetime: 'x' or '\...'.
            '\'' if next(1) == '\\' || next(2) == '\'' => {
                let end = self.end_of_quoted(at, '\'');
                self.blank(at + 1, end.saturating_sub(1), false);
                end
            }
            _ => at + 1,
        }
    }

    fn in_word(&self, at: usize) -> bool {
        at > 0 && (self.all[at - 1].is_alphanumeric() || self.all[at - 1] == '_')
    }

    fn find(&self, from: usize, is_end: impl Fn(&[char]) -> bool) -> usize {
        (from..self.all.len()).find(|&at| is_end(&self.all[at..])).unwrap_or(self.all.len())
    }

    fn end_of_block_comment(&self, from: usize) -> usize {
        let (mut depth, mut at) = (0, from);
        while at + 1 < self.all.len() {
            match (self.all[at], self.all[at + 1]) {
                ('/', '*') => (depth, at) = (depth + 1, at + 2),
                ('*', '/') => (depth, at) = (depth - 1, at + 2),
                _ => at += 1,
            }
            if depth == 0 {
                return at;
            }
        }
        self.all.len()
    }

    fn end_of_quoted(&self, from: usize, quote: char) -> usize {
        let mut at = from + 1;
        while at < self.all.len() && self.all[at] != quote {
            at += if self.all[at] == '\\' { 2 } else { 1 };
        }
        (at + 1).min(self.all.len())
    }

    fn raw_string(&mut self, r: usize) -> usize {
        let hashes = self.all[r + 1..].iter().take_while(|&&c| c == '#').count();
        if self.all.get(r + 1 + hashes) != Some(&'"') {
            return r + 1;
        }
        let open = r + 2 + hashes;
        let close =
            self.find(open, |rest| rest[0] == '"' && rest[1..].iter().take_while(|&&c| c == '#').count() >= hashes);
        self.blank(open, close, false);
        (close + 1 + hashes).min(self.all.len())
    }

    fn blank(&mut self, from: usize, to: usize, comment: bool) {
        for at in from..to.min(self.all.len()) {
            if self.all[at] != '\n' {
                self.code[at] = ' ';
                if comment {
                    self.text[at] = ' ';
                }
            }
        }
    }

    /// The line of a place, from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        1 + self.all[..at].iter().filter(|&&c| c == '\n').count()
    }

    /// Places of `needle` in the code.
    pub(crate) fn places(&self, needle: &str) -> Vec<usize> {
        places(&self.code, needle)
    }

    /// The place after the bracket that closes the one at `open`.
    pub(crate) fn after_matching(&self, open: usize) -> usize {
        let mut depth = 0;
        for at in open..self.code.len() {
            match self.code[at] {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return at + 1;
            }
        }
        self.code.len()
    }

    /// Blanks everything that is compiled for tests only; the blanked ranges.
    pub(crate) fn without_tests(&mut self) -> Vec<(usize, usize)> {
        let mut ranges = Vec::new();
        for mark in ["#[cfg(test)]", "#[cfg(all(test", "#[test]"] {
            for at in self.places(mark) {
                let item = self.after_matching(at + 1);
                let end = (item..self.code.len()).find(|&at| matches!(self.code[at], '{' | ';'));
                ranges.push((at, end.map_or(self.code.len(), |end| self.after_matching(end))));
            }
        }
        for &(from, to) in &ranges {
            self.blank(from, to, true);
        }
        ranges
    }
}

/// Places of `needle` in `hay`.
pub(crate) fn places(hay: &[char], needle: &str) -> Vec<usize> {
    let needle: Vec<char> = needle.chars().collect();
    (0..hay.len()).filter(|&at| hay[at..].starts_with(&needle)).collect()
}

/// Rust files that are tests as a whole: in `tests`, `benches` or a fuzz crate, or declared as `#[cfg(test)] mod x;`.
pub(crate) fn test_files(files: &[File]) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let in_folder = file.path.split('/').any(|part| matches!(part, "tests" | "benches" | "fuzz" | "fuzz_targets"));
        if in_folder || file.stem() == "tests" {
            tests.insert(file.path.clone());
        }
        let (folder, _) = file.path.rsplit_once('/').unwrap_or_default();
        let inside = match file.stem() {
            "mod" | "lib" | "main" => folder.to_owned(),
            stem => format!("{folder}/{stem}"),
        };
        let source = Source::new(&file.text);
        for at in source.places("#[cfg(test)]") {
            let rest: String = source.code[source.after_matching(at + 1)..].iter().take(80).collect();
            if let Some(name) = declared_module(&rest) {
                tests.insert(format!("{inside}/{name}.rs"));
                tests.insert(format!("{inside}/{name}/mod.rs"));
            }
        }
    }
    tests
}

/// `x` of `mod x;` or `pub(...) mod x;` at the start of `code`.
fn declared_module(code: &str) -> Option<&str> {
    let (before, after) = code.split_once("mod ")?;
    let (name, _) = after.split_once(';')?;
    (!before.contains(['{', ';']) && !name.contains([' ', '{'])).then_some(name)
}

#[test]
fn strings_comments_and_tests_are_told_apart() {
    let file = "let a = \"x.unwrap()\"; // b.unwrap()\nlet c = 'x'; fn f<'a>() {} r#\"}\"#\n\
                #[cfg(test)]\nmod tests { fn g() { h.unwrap() } }\nlet d = '\\'';/* { /* */ */ i.unwrap();";
    let mut source = Source::new(file);
    source.without_tests();
    let code: String = source.code.iter().collect();
    assert_eq!(code.matches(".unwrap()").count(), 1, "{code}");
    assert_eq!(code.matches('}').count(), 1, "{code}");
    assert!(source.text.iter().collect::<String>().contains("x.unwrap()"));
}

#[test]
fn modules_declared_for_tests_are_test_files() {
    let file = |path: &str, text: &str| File { path: path.into(), bytes: 0, text: text.into() };
    let files = [
        file("crates/a/src/lib.rs", "#[cfg(test)]\nmod fake;\npub mod real;"),
        file("crates/a/src/b.rs", "#[cfg(test)] pub(crate) mod check;"),
        file("crates/a/tests/end.rs", ""),
    ];
    let tests = test_files(&files);
    for path in ["crates/a/src/fake.rs", "crates/a/src/b/check.rs", "crates/a/tests/end.rs"] {
        assert!(tests.contains(path), "{path} not in {tests:?}");
    }
    assert!(!tests.contains("crates/a/src/real.rs"));
}
