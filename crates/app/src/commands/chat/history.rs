//! Questions of earlier chats, in a file, so that the arrow keys find them.
//!
//! The file has one JSON string a line. A question is appended as soon as it is asked, so that several chats share the
//! file and a chat that is killed loses nothing. A file that cannot be read or written is no reason not to talk.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use zoetrope_system::files::write_whole;

use crate::places;

/// Names another file; set to nothing, no history is kept.
const VARIABLE: &str = "ZOETROPE_HISTORY";
/// Questions that are kept.
pub(super) const MOST: usize = 1000;
/// Bytes of the longest question that is kept.
const LONGEST: usize = 16 << 10;
/// Bytes of the file from which on its older half goes.
const MOST_BYTES: u64 = 1 << 20;

/// The file of questions, or none.
pub(super) struct QuestionHistory {
    file: Option<PathBuf>,
}

impl QuestionHistory {
    /// The user's history; none where it is not wanted or there is no place for it.
    pub(super) fn open(is_wanted: bool) -> Self {
        let file = if is_wanted { place(std::env::var_os(VARIABLE)) } else { None };
        QuestionHistory { file }
    }

    /// The newest questions, oldest first. A file that has grown too long is cut.
    pub(super) fn read(&self) -> Vec<String> {
        let Some(file) = &self.file else { return Vec::new() };
        let (questions, bytes) = match newest(file) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                tracing::debug!("{}: {error}; the questions of earlier chats are not there", file.display());
                return Vec::new();
            }
        };
        if bytes > MOST_BYTES
            && let Err(error) = cut(file, &questions)
        {
            tracing::debug!("{}: {error}; the history was not cut", file.display());
        }
        questions
    }

    /// Adds a question. One that begins with a space is not kept, as in shells.
    pub(super) fn keep(&self, question: &str) {
        let Some(file) = &self.file else { return };
        if question.len() > LONGEST || question.starts_with(' ') || question.trim().is_empty() {
            return;
        }
        if let Err(error) = append(file, question) {
            tracing::debug!("{}: {error}; the question is not kept", file.display());
        }
    }
}

fn place(named: Option<OsString>) -> Option<PathBuf> {
    match named {
        Some(name) if name.is_empty() => None,
        Some(name) => Some(PathBuf::from(name)),
        None => Some(places::state()?.join("questions.jsonl")),
    }
}

/// The last [`MOST`] questions, and the bytes of the file. What is no question in it is passed over.
fn newest(file: &Path) -> io::Result<(Vec<String>, u64)> {
    let opened = File::open(file)?;
    let metadata = opened.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let bytes = metadata.len();
    let mut input = BufReader::new(opened);
    // Others may have let it grow; its end is what counts.
    let limit = 4 * MOST_BYTES;
    if bytes > limit {
        input.seek_relative((bytes - limit).min(i64::MAX as u64) as i64)?;
    }
    let mut questions = Vec::new();
    let mut line = Vec::new();
    let mut input = input.take(limit);
    while input.read_until(b'\n', &mut line)? > 0 {
        questions.extend(serde_json::from_slice::<String>(&line).ok());
        line.clear();
    }
    questions.drain(..questions.len().saturating_sub(MOST));
    Ok((questions, bytes))
}

fn append(file: &Path, question: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut line = serde_json::to_string(question)?;
    line.push('\n');
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    for_the_user_alone(&mut options);
    // One write, so that two chats do not mix their lines.
    options.open(file)?.write_all(line.as_bytes())
}

#[cfg(unix)]
fn for_the_user_alone(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn for_the_user_alone(_: &mut OpenOptions) {}

/// Replaces the file by the newer half of what it may have.
fn cut(file: &Path, questions: &[String]) -> io::Result<()> {
    let mut kept = Vec::new();
    let mut bytes = 0;
    for question in questions.iter().rev() {
        let line = serde_json::to_string(question)? + "\n";
        bytes += line.len() as u64;
        if bytes > MOST_BYTES / 2 {
            break;
        }
        kept.push(line);
    }
    let text: String = kept.into_iter().rev().collect();
    let permissions = std::fs::metadata(file)?.permissions();
    write_whole(file, |out| out.set_permissions(permissions).and_then(|()| out.write_all(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(file: &Path) -> QuestionHistory {
        QuestionHistory { file: Some(file.to_path_buf()) }
    }

    #[test]
    fn questions_are_there_in_the_next_chat() {
        let place = tempfile::tempdir().expect("a folder");
        let file = place.path().join("a/b/questions.jsonl");
        assert_eq!(history(&file).read(), Vec::<String>::new());
        for question in ["one", "two\nlines \\ \"quoted\"", " not kept", "", "三 🙂"] {
            history(&file).keep(question);
        }
        history(&file).keep(&"x".repeat(LONGEST + 1));
        assert_eq!(history(&file).read(), ["one", "two\nlines \\ \"quoted\"", "三 🙂"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        }
        QuestionHistory { file: None }.keep("lost");
        assert_eq!(QuestionHistory { file: None }.read(), Vec::<String>::new());
    }

    #[test]
    fn a_long_or_damaged_file_gives_its_newest_questions_and_is_cut() {
        let place = tempfile::tempdir().expect("a folder");
        let file = place.path().join("questions.jsonl");
        let long = "x".repeat(LONGEST - 8);
        let mut lines = vec![0xff, b'\n'];
        lines.extend((0..400).flat_map(|n| format!("\"{n} {long}\"\n").into_bytes()));
        lines.extend(b"\"last\"\n{not json\n");
        std::fs::write(&file, lines).expect("written");
        let read = history(&file).read();
        assert_eq!((read.last().map(String::as_str), read.len() < 400), (Some("last"), true));
        assert!(std::fs::metadata(&file).expect("there").len() <= MOST_BYTES / 2);
        assert!(history(&file).read().last().is_some_and(|last| last == "last"));
        for _ in 0..=MOST {
            history(&file).keep("short");
        }
        assert_eq!(history(&file).read().len(), MOST);
        // A folder, or a place below a file, is no history and no error.
        for wrong in [place.path().to_path_buf(), file.join("x")] {
            history(&wrong).keep("q");
            assert_eq!(history(&wrong).read(), Vec::<String>::new());
        }
    }

    #[test]
    fn a_variable_names_the_file_or_none() {
        assert_eq!(place(Some("".into())), None);
        assert_eq!(place(Some("/x/y".into())), Some(PathBuf::from("/x/y")));
    }
}
