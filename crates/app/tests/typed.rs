//! The chat as it is typed: a terminal of our own, keys, Ctrl-C, what a later chat still knows.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

const UP: &str = "\x1b[A";
const CONTROL_D: &str = "\x04";

/// The program and the terminal that it runs in.
struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Mutex<Vec<u8>>>,
    /// Bytes of the screen that were looked at.
    seen: usize,
}

impl Terminal {
    fn start(home: &Path, columns: u16, args: &[&str]) -> Self {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).expect("a terminal");
        let end = || Stdio::from(pty.slave.try_clone().expect("an end"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_zoetrope"));
        command.args(args).current_dir(home).stdin(end()).stdout(end()).stderr(end());
        command.env("HOME", home).env("TERM", "xterm").env("HF_HUB_OFFLINE", "1");
        command.env_remove("XDG_STATE_HOME").env_remove("ZOETROPE_HISTORY").env_remove("COLUMNS");
        let child = command.spawn().expect("the binary starts");
        drop(command);
        drop(pty.slave);
        let keys = File::from(pty.master);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut output, shared) = (keys.try_clone().expect("an end"), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut block) {
                shared.lock().expect("screen").extend(&block[..count]);
            }
        });
        Terminal { child, keys, screen, seen: 0 }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("pressed");
    }

    fn interrupt(&self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).expect("a process");
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().expect("screen")).into_owned()
    }

    /// Waits until a text appears after what was looked at.
    fn wait_for(&mut self, text: &str) {
        let begun = Instant::now();
        loop {
            let screen = self.text();
            if let Some(at) = screen.get(self.seen..).and_then(|new| new.find(text)) {
                self.seen += at + text.len();
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "no {text:?} in {screen:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks, and waits for the answer and the prompt after it.
    fn ask(&mut self, question: &str) {
        self.press(&format!("{question}\r"));
        self.wait_for(ANSWERED);
        self.wait_for("> ");
    }

    /// The exit code, and all that was shown.
    fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().expect("it ends").code();
        // The other end of the terminal is closed now; what was written is still to be read.
        std::thread::sleep(Duration::from_millis(100));
        (code, self.text())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended does not mind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the line that follows every answer.
const ANSWERED: &str = " written | ";

#[test]
fn questions_of_earlier_chats_are_an_arrow_key_away_unless_that_is_not_wanted() {
    let home = tempfile::tempdir().expect("a home");
    let file = home.path().join(".local/state/zoetrope/questions.jsonl");
    let mut chat = Terminal::start(home.path(), 80, &["chat", "--no-history"]);
    chat.wait_for("> ");
    chat.ask("a secret");
    chat.press(CONTROL_D);
    let (code, screen) = chat.end();
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.ends_with('\n'), "the shell's prompt stands in a line of its own: {screen:?}");
    assert!(!file.exists());
    let mut chat = Terminal::start(home.path(), 80, &["chat"]);
    chat.wait_for("> ");
    chat.ask("which color?");
    chat.press(CONTROL_D);
    assert_eq!(chat.end().0, Some(0));
    assert_eq!(std::fs::read_to_string(&file).expect("a history"), "\"which color?\"\n");
    let mut chat = Terminal::start(home.path(), 80, &["chat"]);
    chat.wait_for("> ");
    chat.press(UP);
    chat.wait_for("which color?");
    chat.ask("");
    chat.press("/quit\r");
    assert_eq!(chat.end().0, Some(0));
}

#[test]
fn lines_that_come_at_once_are_all_asked() {
    let home = tempfile::tempdir().expect("a home");
    let mut chat = Terminal::start(home.path(), 80, &["chat"]);
    chat.wait_for("> ");
    chat.press("one?\rtwo?\rthree?\r");
    for _ in 0..3 {
        chat.wait_for(ANSWERED);
    }
    chat.wait_for("> ");
    chat.press("/quit\r");
    assert_eq!(chat.end().0, Some(0));
}

#[test]
fn lines_are_broken_between_words_where_the_terminal_is_narrow() {
    let home = tempfile::tempdir().expect("a home");
    let mut chat = Terminal::start(home.path(), 40, &["chat"]);
    chat.wait_for("> ");
    chat.press("/help\r");
    chat.wait_for("Ctrl-C stops an answer.");
    chat.wait_for("> ");
    chat.press("/quit\r");
    let screen = chat.end().1;
    let mut told = screen.lines().filter(|line| !line.contains('\x1b'));
    assert!(told.all(|line| line.trim_end().chars().count() <= 40), "{screen}");
    assert!(screen.contains("shapes only; for\r\n  anything else name a model:"), "{screen}");
}

#[test]
fn ctrl_c_before_there_is_an_answer_ends_a_question_at_once() {
    let home = tempfile::tempdir().expect("a home");
    let slow = home.path().join("slow.pgm");
    mkfifo(&slow, Mode::S_IRWXU).expect("a pipe");
    // For reading, too: that never waits for the other end.
    let _pipe = File::options().read(true).write(true).open(&slow).expect("a pipe");
    let mut ask = Terminal::start(home.path(), 80, &["ask", "slow.pgm", "what is this?"]);
    ask.wait_for("opening");
    ask.interrupt();
    let (code, screen) = ask.end();
    assert_eq!(code, Some(130), "{screen}");
    assert!(screen.ends_with('\n'), "{screen:?}");
}

#[test]
fn ctrl_c_while_a_file_is_opened_stops_that_and_not_the_chat() {
    let home = tempfile::tempdir().expect("a home");
    let slow = home.path().join("slow.pgm");
    mkfifo(&slow, Mode::S_IRWXU).expect("a pipe");
    let mut chat = Terminal::start(home.path(), 80, &["chat"]);
    chat.wait_for("> ");
    chat.ask("hello");
    chat.press("slow.pgm what is this?\r");
    // For reading, too: that never waits for the other end.
    let mut pipe = File::options().read(true).write(true).open(&slow).expect("a pipe");
    chat.wait_for("opening slow.pgm");
    chat.interrupt();
    // Until the signal has been taken.
    std::thread::sleep(Duration::from_millis(300));
    pipe.write_all(&[&b"P5 32 32 255\n"[..], &[128; 1024]].concat()).expect("read");
    drop(pipe);
    chat.wait_for("slow.pgm: stopped while it was opened");
    chat.wait_for("> ");
    chat.press("and now?\r");
    chat.wait_for("kept from before");
    chat.wait_for("> ");
    chat.press("/quit\r");
    let (code, screen) = chat.end();
    assert_eq!(code, Some(0), "{screen}");
}
