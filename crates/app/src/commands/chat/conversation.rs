//! The conversation: what each line does to it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use zoetrope_engine::{
    Answer, ContentPart, EngineError, Event, FeatureIndex, FinishReason, Limits, MediaInput, MediaSource, OpenedMedia,
    Options, Session, check_limit, open_file,
};
use zoetrope_models::contract::prompt::Role;

use super::super::media_args::check_file;
use super::media;
use crate::cli::Common;
use crate::failure::Failure;
use crate::model::Loaded;
use crate::output::{self, AnswerStream};
use crate::progress::Bars;
use crate::report::{AnswerOutput, closing_line};
use crate::terminal;

const HELP: &str = "  /add FILE...   show pictures or videos with the next question (a line may begin with them, too)
  /drop [FILE]   do not show what was added
  /media         list what was shown, and how full the conversation is
  /reset, /clear forget everything
  /help, /?      this list
  /quit, /bye    end (or Ctrl-D)
Anything else is a question; \"\"\" or a backslash at the end of a line goes on with the next. Ctrl-C stops an answer.";

/// From this share of the model's positions on, it is told how full a conversation is.
const NEARLY_FULL: f64 = 0.8;

/// A conversation and what will be shown with its next question.
pub(super) struct Chat<'c> {
    session: Session,
    limits: Limits,
    name: String,
    system: Option<String>,
    options: Options,
    common: &'c Common,
    waiting: Vec<Waiting>,
    shown: Vec<PathBuf>,
    /// Tokens of the conversation so far.
    used: usize,
    failed: bool,
}

/// A file that was opened and not shown yet.
struct Waiting {
    file: PathBuf,
    source: Arc<dyn MediaSource>,
}

/// What `--json` prints for a line that failed.
#[derive(Serialize)]
struct ErrorOutput<'a> {
    error: &'a str,
    hint: Option<&'a str>,
}

impl<'c> Chat<'c> {
    pub(super) fn new(
        Loaded { name, model, .. }: Loaded,
        system: Option<String>,
        limits: Limits,
        options: Options,
        common: &'c Common,
    ) -> Result<Self, Failure> {
        let session = Session::new(model, limits.clone())?;
        let (waiting, shown) = (Vec::new(), Vec::new());
        let mut chat = Chat { session, limits, name, system, options, common, waiting, shown, used: 0, failed: false };
        chat.reset()?;
        Ok(chat)
    }

    /// Looks for stored features of the media to come.
    pub(super) fn use_index(&mut self, index: Option<FeatureIndex>) {
        self.session.use_index(index);
    }

    /// The model's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether any line has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    fn reset(&mut self) -> Result<(), Failure> {
        self.session.reset()?;
        self.waiting.clear();
        self.shown.clear();
        self.used = 0;
        match &self.system {
            Some(system) => Ok(self.session.push(Role::System, vec![ContentPart::Text(system.clone())])?),
            None => Ok(()),
        }
    }

    /// Opens the file now, so that a mistake shows now.
    pub(super) fn add(&mut self, file: PathBuf) -> Result<(), Failure> {
        check_file(&file)?;
        if file.as_os_str() == "-" {
            return Err(Failure::new("-: standard input has the questions, and cannot be a file here"));
        }
        let count = self.shown.len() + self.waiting.len() + 1;
        check_limit("pictures and videos of a conversation", count, self.limits.media)?;
        let name = file.display().to_string();
        let mut bars = Bars::new(self.common);
        bars.spin(format!("opening {name}"));
        let source = open_file(&file, &self.limits);
        drop(bars);
        // Opening is not cut short; what came of it is dropped.
        if self.options.cancel.is_cancelled() {
            return Err(Failure::new(format!("{name}: stopped while it was opened; it was not added")));
        }
        self.waiting.push(Waiting { file, source: source? });
        Ok(())
    }

    /// Obeys a line or asks it. A mistake in one line does not end the conversation.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<ControlFlow<()>, Failure> {
        let line = line.trim_ascii();
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (word, rest) = (&line[..end], line[end..].trim_ascii());
        let done = match word {
            b"" => Ok(()),
            b"/quit" | b"/exit" | b"/bye" => return Ok(ControlFlow::Break(())),
            b"/help" | b"/?" => {
                terminal::note(HELP);
                Ok(())
            }
            b"/add" => self.add_all(rest),
            b"/drop" => self.drop_waiting(rest),
            b"/media" => {
                self.list();
                Ok(())
            }
            b"/reset" | b"/clear" => self.reset().map(|()| self.say("  a new conversation; nothing was shown yet")),
            _ => self.question(line),
        };
        match done {
            Ok(()) => {}
            Err(Failure::Closed) => return Err(Failure::Closed),
            Err(failure) => self.report(&failure)?,
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Says what was done, to whoever wants to know.
    fn say(&self, line: &str) {
        if !self.common.quiet {
            terminal::note(line);
        }
    }

    /// Tells what went wrong with a line.
    pub(super) fn report(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.failed = true;
        if let (true, Some((error, hint))) = (self.common.json, failure.words()) {
            output::json_line(&ErrorOutput { error, hint })?;
        }
        failure.report();
        Ok(())
    }

    fn add_all(&mut self, argument: &[u8]) -> Result<(), Failure> {
        if argument.is_empty() {
            return Err(Failure::usage("the file is missing", "/add FILE"));
        }
        for file in media::named(argument) {
            let name = file.display().to_string();
            self.add(file)?;
            self.say(&format!("  {} (with the next question)", terminal::one_line(&name)));
        }
        Ok(())
    }

    fn drop_waiting(&mut self, argument: &[u8]) -> Result<(), Failure> {
        let named = media::named(argument);
        let is_dropped = |waiting: &Waiting| argument.is_empty() || named.contains(&waiting.file);
        let (dropped, kept): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(is_dropped);
        self.waiting = kept;
        for Waiting { file, .. } in &dropped {
            self.say(&format!("  {} is not shown", shown(file)));
        }
        match (dropped.is_empty(), argument.is_empty()) {
            (false, _) => Ok(()),
            (true, true) => Err(Failure::usage("nothing waits for a question", "/media lists what was shown")),
            (true, false) => {
                let argument = String::from_utf8_lossy(argument);
                Err(Failure::usage(format!("{argument} does not wait for a question"), "/media lists what does"))
            }
        }
    }

    fn list(&self) {
        for file in &self.shown {
            terminal::note(&format!("  {}", shown(file)));
        }
        for Waiting { file, .. } in &self.waiting {
            terminal::note(&format!("  {} (with the next question)", shown(file)));
        }
        if self.used > 0 {
            terminal::note(&format!("  {} of {} tokens are used", self.used, self.positions()));
        }
        if self.shown.is_empty() && self.waiting.is_empty() {
            terminal::note("  nothing was shown yet; /add FILE shows a picture or video");
        }
    }

    /// Most tokens of a conversation.
    fn positions(&self) -> usize {
        self.session.processor().info().max_positions.min(self.limits.prompt_tokens)
    }

    /// A line that is no command: files, a question, or both.
    fn question(&mut self, line: &[u8]) -> Result<(), Failure> {
        let (files, end) = media::leading(line);
        let question = line[end..].trim_ascii();
        if files.is_empty() && line.starts_with(b"/") {
            let word = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
            let word = String::from_utf8_lossy(word);
            return Err(match word[1..].contains('/') {
                true => Failure::usage(format!("{word}: no such file"), "a question does not begin with a slash"),
                false => Failure::usage(format!("no command {word}"), "/help lists them"),
            });
        }
        let with = if question.is_empty() { "the next" } else { "this" };
        for file in files {
            let name = shown(&file);
            self.add(file)?;
            self.say(&format!("  {name} (with {with} question)"));
        }
        let text = String::from_utf8_lossy(question);
        if text.is_empty() {
            return Ok(());
        }
        if text.contains(char::REPLACEMENT_CHARACTER) && std::str::from_utf8(question).is_err() {
            terminal::note(&format!("  not UTF-8; read as: {}", terminal::one_line(&text)));
        }
        for file in media::mentioned(question) {
            if !self.shown.contains(&file) && !self.waiting.iter().any(|waiting| waiting.file == file) {
                terminal::note(&format!("  {} is a file that was not shown; /add shows it", shown(&file)));
            }
        }
        self.ask(&text)
    }

    fn ask(&mut self, question: &str) -> Result<(), Failure> {
        let opened = |waiting: &Waiting| {
            MediaInput::Opened(OpenedMedia::of_file(waiting.file.clone(), Arc::clone(&waiting.source)))
        };
        let mut content: Vec<_> = self.waiting.iter().map(opened).map(ContentPart::Media).collect();
        content.push(ContentPart::Text(question.to_string()));
        let mut bars = Bars::new(self.common);
        let json = self.common.json;
        let mut stream = AnswerStream::default();
        let mut watch = |event: &Event| {
            bars.event(event);
            match event {
                Event::Text(piece) if !json => stream.write(piece),
                _ => ControlFlow::Continue(()),
            }
        };
        let answer = self.session.ask(content, &self.options, &mut watch);
        drop(bars);
        stream.finish()?;
        let answer = answer.map_err(|error| self.failure(error))?;
        if !answer.ids.is_empty() {
            self.shown.extend(self.waiting.drain(..).map(|waiting| waiting.file));
            self.used = answer.tokens.prompt + answer.tokens.generated;
        }
        self.tell(question, &answer)
    }

    fn tell(&self, question: &str, answer: &Answer) -> Result<(), Failure> {
        if self.common.json {
            return output::json_line(&AnswerOutput::new(&self.name, question, answer));
        }
        let unanswered = answer.finish_reason == FinishReason::Cancelled && answer.ids.is_empty();
        if !unanswered {
            output::text("\n")?;
        }
        if !self.common.quiet {
            terminal::note(&closing_line(answer));
            if unanswered && !self.waiting.is_empty() {
                terminal::note("  what was added stays for the next question; /drop takes it away");
            }
            let share = self.used as f64 / self.positions() as f64;
            if share > NEARLY_FULL {
                terminal::note(&format!("  the conversation is {:.0} % full; /reset begins a new one", 100.0 * share));
            }
        }
        Ok(())
    }

    /// Takes what failed away from the next question, and says what happened.
    fn failure(&mut self, error: EngineError) -> Failure {
        match &error {
            EngineError::Media { name, .. } => {
                self.waiting.retain(|waiting| waiting.file.display().to_string() != *name)
            }
            EngineError::Limit { what: "characters of a message", .. } | EngineError::Cancelled => {}
            _ => self.waiting.clear(),
        }
        match error {
            EngineError::Limit { what: "prompt tokens" | "bytes of keys and values", number, limit }
                if self.used > 0 =>
            {
                Failure::Error(
                    format!("the conversation is full: with this question it has {number} of {limit} tokens or bytes"),
                    Some("/reset begins a new one; a shorter question may still fit".to_string()),
                )
            }
            EngineError::Limit { what: "visual tokens", number, limit } if !self.shown.is_empty() => Failure::Error(
                format!("the conversation is full: with what was added it has {number} visual tokens of {limit}"),
                Some("/reset begins a new one; /add shows it again with a smaller --max-visual-tokens".to_string()),
            ),
            error => error.into(),
        }
    }
}

/// A file's name on one line.
fn shown(file: &Path) -> String {
    terminal::one_line(&file.display().to_string())
}
