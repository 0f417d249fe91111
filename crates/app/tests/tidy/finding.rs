//! What rules find, and which of it the exceptions cover.

use std::collections::BTreeMap;
use std::fmt;

/// An exception: rule, path, number. A path that ends in `/` is a folder, and its number is the sum below it.
pub(crate) type Exception = (&'static str, &'static str, usize);

/// One thing that is not as it should be.
#[derive(Debug)]
pub(crate) struct Finding {
    /// Name of the rule, as in the table of exceptions.
    pub(crate) rule: &'static str,
    /// Path from the root of the workspace.
    pub(crate) path: String,
    /// The measured size, or the number of places in the file.
    pub(crate) amount: usize,
    /// What and where, for the person who mends it.
    pub(crate) text: String,
}

impl Finding {
    pub(crate) fn new(rule: &'static str, path: &str, amount: usize, text: impl Into<String>) -> Finding {
        Finding { rule, path: path.to_owned(), amount, text: text.into() }
    }

    /// One finding for all `places` of a file; none when there are none.
    pub(crate) fn places(rule: &'static str, path: &str, places: &[String]) -> Option<Finding> {
        let amount = places.len();
        (amount > 0).then(|| Finding::new(rule, path, amount, places.join("; ")))
    }

    fn is_under(&self, exception: &Exception) -> bool {
        let (rule, path, _) = *exception;
        self.rule == rule && (self.path == path || path.ends_with('/') && self.path.starts_with(path))
    }

    /// The longest path of the exceptions that name this finding.
    fn exception<'a>(&self, exceptions: &'a [Exception]) -> Option<&'a Exception> {
        exceptions.iter().filter(|exception| self.is_under(exception)).max_by_key(|exception| exception.1.len())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.path, self.rule, self.text)
    }
}

/// Findings that no exception covers, and exceptions whose number is no longer the number.
pub(crate) fn open(findings: &[Finding], exceptions: &[Exception]) -> Vec<String> {
    let uncovered = findings.iter().filter(|finding| finding.exception(exceptions).is_none());
    let mut open: Vec<String> = uncovered.map(ToString::to_string).collect();
    for (&(rule, path, number), findings) in covered(findings, exceptions) {
        let now = amount(path, &findings);
        if now > number {
            open.extend(findings.iter().map(ToString::to_string));
            open.push(format!("{path}: {rule}: the exception says {number}, it is {now} now"));
        } else if now < number {
            open.push(format!("{path}: {rule}: the exception says {number}, it is {now} now: lower it"));
        }
    }
    open.sort();
    open
}

/// What the exceptions cover, then the rows of their table with the numbers of now.
pub(crate) fn left(findings: &[Finding], exceptions: &[Exception]) -> Vec<String> {
    let covered = covered(findings, exceptions);
    let mut lines: Vec<String> = covered.values().flatten().map(ToString::to_string).collect();
    lines.sort();
    for (&(rule, path, _), findings) in covered.iter().filter(|(_, findings)| !findings.is_empty()) {
        lines.push(format!("    ({rule:?}, {path:?}, {}),", amount(path, findings)));
    }
    lines
}

fn covered<'a>(findings: &'a [Finding], exceptions: &'a [Exception]) -> BTreeMap<&'a Exception, Vec<&'a Finding>> {
    let mut covered: BTreeMap<&Exception, Vec<&Finding>> = exceptions.iter().map(|entry| (entry, vec![])).collect();
    for finding in findings {
        if let Some(exception) = finding.exception(exceptions) {
            covered.entry(exception).or_default().push(finding);
        }
    }
    covered
}

/// The sum in a folder, else the largest.
fn amount(path: &str, findings: &[&Finding]) -> usize {
    let amounts = findings.iter().map(|finding| finding.amount);
    if path.ends_with('/') { amounts.sum() } else { amounts.max().unwrap_or(0) }
}

#[test]
fn exceptions_only_ratchet_down() {
    let finding = |amount| vec![Finding::new("file-lines", "a.rs", amount, "long")];
    assert_eq!(open(&finding(500), &[]).len(), 1);
    assert_eq!(open(&finding(500), &[("file-lines", "a.rs", 500)]).len(), 0);
    assert_eq!(open(&finding(501), &[("file-lines", "a.rs", 500)]).len(), 2);
    assert!(open(&finding(450), &[("file-lines", "a.rs", 500)])[0].contains("lower it"));
    assert!(open(&[], &[("file-lines", "a.rs", 500)])[0].contains("it is 0 now"));
}

#[test]
fn an_exception_of_a_folder_is_a_sum() {
    let findings: Vec<Finding> = ["a/b.rs", "a/c.rs", "d.rs"].map(|path| Finding::new("word", path, 2, "w")).into();
    let open = |exceptions| open(&findings, exceptions);
    assert_eq!(open(&[("word", "a/", 4)]), ["d.rs: word: w"]);
    assert_eq!(open(&[("word", "a/", 3), ("word", "d.rs", 2)]).len(), 3);
    assert!(open(&[("word", "a/", 2), ("word", "a/c.rs", 2), ("word", "d.rs", 2)]).is_empty(), "the longest path");
    let left = left(&findings, &[("word", "a/", 5), ("word", "b/", 1)]);
    assert_eq!(left, ["a/b.rs: word: w", "a/c.rs: word: w", "    (\"word\", \"a/\", 4),"]);
}
