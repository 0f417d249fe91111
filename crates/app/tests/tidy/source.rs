//! Just enough of Rust's grammar to tell code, literals, comments and tests apart.

use std::ops::Range;

/// A Rust file, and copies of it with parts blanked. All have the same bytes at the same places elsewhere.
pub(crate) struct Source {
    /// The file as it is.
    pub(crate) all: String,
    /// Without comments and the insides of literals.
    pub(crate) code: String,
    /// `code` without what is compiled for tests only.
    pub(crate) shipped: String,
    /// Without the insides of literals: code and comments.
    pub(crate) words: String,
    /// Where comments are, each line of `//` on its own.
    pub(crate) comments: Vec<Range<usize>>,
    /// What is compiled for tests only.
    tests: Vec<Range<usize>>,
    /// Where lines start.
    lines: Vec<usize>,
}

impl Source {
    pub(crate) fn new(file: &str) -> Source {
        let (comments, literals) = comments_and_literals(file);
        let words = blanked(file, &literals);
        let code = blanked(&words, &comments);
        let tests = tests(&code);
        let lines = [0].into_iter().chain(file.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Source { all: file.to_owned(), shipped: blanked(&code, &tests), code, words, comments, tests, lines }
    }

    /// The line of a place, from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|&start| start <= at)
    }

    /// Lines, from 1, with their number; those of tests are left out.
    pub(crate) fn lines_without_tests(&self) -> Vec<(usize, &str)> {
        let tests: Vec<_> = self.tests.iter().map(|test| self.line(test.start)..=self.line(test.end - 1)).collect();
        let numbered = self.all.lines().enumerate().map(|(number, line)| (number + 1, line));
        numbered.filter(|(number, _)| !tests.iter().any(|test| test.contains(number))).collect()
    }
}

/// `text` with everything but line ends in `ranges` replaced by spaces.
fn blanked(text: &str, ranges: &[Range<usize>]) -> String {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for range in ranges.iter().filter(|range| !range.is_empty()) {
        if range.start >= at {
            out.push_str(&text[at..range.start]);
            let blank = text[range.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' });
            out.extend(blank);
            at = range.end;
        }
    }
    out.push_str(&text[at..]);
    out
}

/// Where comments are, and the insides of literals.
fn comments_and_literals(file: &str) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (mut comments, mut literals) = (Vec::new(), Vec::new());
    let (bytes, mut at) = (file.as_bytes(), 0);
    while at < bytes.len() {
        let start = at;
        at += 1;
        match bytes[start] {
            b'/' if bytes.get(at) == Some(&b'/') => {
                at = file[start..].find('\n').map_or(file.len(), |end| start + end);
                comments.push(start..at);
            }
            b'/' if bytes.get(at) == Some(&b'*') => {
                at = start + block_comment(&file[start..]);
                comments.push(start..at);
            }
            quote => {
                let literal = match quote {
                    b'"' => Some(quoted(file, start, "\"")),
                    b'\'' if is_character(&file[start..]) => Some(quoted(file, start, "'")),
                    b'r' => raw_string(file, start),
                    _ => None,
                };
                if let Some((inside, end)) = literal {
                    literals.push(inside);
                    at = end;
                }
            }
        }
    }
    (comments, literals)
}

/// Length of the block comment, with those inside it, at the start of `rest`.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(mark) = rest.as_bytes().get(at..at + 2) {
        match mark {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The inside of the literal whose first quote is at `open`, and the place after the literal.
fn quoted(file: &str, open: usize, quote: &str) -> (Range<usize>, usize) {
    let mut at = open + 1;
    while let Some(next) = file[at..].chars().next() {
        if file[at..].starts_with(quote) {
            return (open + 1..at, at + 1);
        }
        at += next.len_utf8();
        if next == '\\' {
            at += file[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    (open + 1..at, at)
}

/// Whether `rest` starts with a character, `'x'` or `'\...'`, and not with a lifetime.
fn is_character(rest: &str) -> bool {
    let mut rest = rest.chars();
    rest.next() == Some('\'') && (rest.next() == Some('\\') || rest.next() == Some('\''))
}

/// The inside of the raw string whose `r` is at `r`, and the place after the string.
fn raw_string(file: &str, r: usize) -> Option<(Range<usize>, usize)> {
    let before = file[..r].strip_suffix('b').unwrap_or(&file[..r]);
    if before.ends_with(is_word) {
        return None;
    }
    let hashes = file[r + 1..].bytes().take_while(|&byte| byte == b'#').count();
    let open = r + 1 + hashes + 1;
    if file.as_bytes().get(open - 1) != Some(&b'"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let end = file[open..].find(&close).map_or(file.len(), |end| open + end);
    Some((open..end, (end + close.len()).min(file.len())))
}

/// What is compiled for tests only, in order, and without what lies in another such place.
fn tests(code: &str) -> Vec<Range<usize>> {
    let marks = ["#[cfg(test)]", "#[cfg(all(test", "#[test]"];
    let mut starts: Vec<usize> = marks.iter().flat_map(|mark| code.match_indices(mark)).map(|(at, _)| at).collect();
    starts.sort_unstable();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for at in starts {
        if ranges.last().is_none_or(|last| last.end <= at) {
            let end = match body(code, after_matching(code, at + 1)) {
                Ok(open) => after_matching(code, open),
                Err(end) => end,
            };
            ranges.push(at..end);
        }
    }
    ranges
}

/// Where the braces of the item at `at` open; `Err` has the place after its `;`, or the end, when it has none.
pub(crate) fn body(code: &str, at: usize) -> Result<usize, usize> {
    let bytes = code.as_bytes();
    let mut here = at;
    while here < bytes.len() {
        match bytes[here] {
            b'(' | b'[' => here = after_matching(code, here),
            b'{' => return Ok(here),
            b';' => return Err(here + 1),
            _ => here += 1,
        }
    }
    Err(bytes.len())
}

/// The place after the bracket that closes the one at `open`.
pub(crate) fn after_matching(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// Whether `c` may stand in an identifier.
pub(crate) fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Places of `word` in `text`, where it is an identifier or keyword of its own.
pub(crate) fn places<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let joined = |at: usize| text[..at].ends_with(is_word) || text[at + word.len()..].starts_with(is_word);
    text.match_indices(word).map(|(at, _)| at).filter(move |at| !joined(*at))
}

/// Identifiers, keywords and numbers of `text`, each with its place. Everything beyond ASCII counts as letters.
pub(crate) fn identifiers(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let in_word = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 128;
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && !in_word(bytes[at]) {
            at += 1;
        }
        let start = at;
        while at < bytes.len() && in_word(bytes[at]) {
            at += 1;
        }
        (start < at).then(|| (start, &text[start..at]))
    })
}

#[test]
fn strings_comments_and_tests_are_told_apart() {
    let file = "let a = \"x.unwrap()\"; // b.unwrap()\nlet c = 'é'; fn f<'a>() {} r#\"}\"#\n\
                #[cfg(test)]\nmod tests { fn g() { h.unwrap() } }\nlet d = '\\'';/* { /* */ */ i.unwrap();";
    let source = Source::new(file);
    assert_eq!(source.shipped.matches(".unwrap()").count(), 1, "{}", source.shipped);
    assert_eq!(source.shipped.matches('}').count(), 1, "{}", source.shipped);
    assert_eq!(source.code.matches(".unwrap()").count(), 2, "{}", source.code);
    assert_eq!(source.words.matches(".unwrap()").count(), 3, "{}", source.words);
    assert_eq!(source.comments.len(), 2);
    let lines: Vec<usize> = source.lines_without_tests().iter().map(|line| line.0).collect();
    assert_eq!(lines, [1, 2, 5]);
}

#[test]
fn an_array_among_the_arguments_does_not_end_a_test() {
    let source = Source::new("#[cfg(test)]\nfn f(x: [u8; 2]) { g() }\nfn h() {}");
    assert!(!source.shipped.contains("g()") && source.shipped.contains("h()"));
}

#[test]
fn identifiers_come_with_their_places() {
    let words: Vec<(usize, &str)> = identifiers("a::b_1(r\u{e9}sum\u{e9})").collect();
    assert_eq!(words, [(0, "a"), (3, "b_1"), (7, "r\u{e9}sum\u{e9}")]);
    assert_eq!(places("b_1(b, b) bb", "b").collect::<Vec<_>>(), [4, 7]);
}
