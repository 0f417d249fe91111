//! `zoetrope chat`: several turns; media are encoded once, the prompt that stays the same is not read again.

use std::io::{self, BufRead, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use zoetrope_engine::{ContentPart, Event, Limits, Options, Session, open_file};
use zoetrope_models::contract::prompt::Role;

use super::media_args;
use super::request::{media_limits, options};
use crate::cli::{ChatArgs, Common};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::model::{self, Loaded};
use crate::output;
use crate::progress::Bars;
use crate::report::{AnswerOutput, closing_line};

const HELP: &str = "  /add FILE   show a picture or video with the next question
  /media      list what was shown
  /reset      forget everything
  /help       this list
  /quit       end (or Ctrl-D)
Anything else is a question. Ctrl-C stops an answer.";

/// Reads questions from standard input until it ends.
pub(crate) fn run(args: &ChatArgs, common: &Common) -> Result<(), Failure> {
    let interrupt = Interrupt::install();
    let options = options(&args.media, &args.answer, &interrupt)?;
    options.sampling.check()?;
    let mut bars = Bars::new(common);
    let loaded = model::load(&args.model, &mut bars)?;
    drop(bars);
    let mut chat = Chat::new(loaded, args, options, common)?;
    for file in &args.files {
        chat.add(file.clone())?;
    }
    let talkative = io::stdin().is_terminal() && !common.quiet;
    if talkative {
        output::note(&format!("{}: ask, or /help", chat.name));
    }
    let mut line = String::new();
    loop {
        if talkative {
            let _ = write!(io::stderr(), "> ");
        }
        line.clear();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Ok(());
        }
        if chat.line(line.trim(), &interrupt)?.is_break() {
            return Ok(());
        }
    }
}

/// A conversation and what will be shown with its next question.
struct Chat<'c> {
    session: Session,
    limits: Limits,
    name: String,
    system: Option<String>,
    options: Options,
    common: &'c Common,
    waiting: Vec<PathBuf>,
    shown: Vec<PathBuf>,
}

impl<'c> Chat<'c> {
    fn new(
        Loaded { name, model }: Loaded,
        args: &ChatArgs,
        options: Options,
        common: &'c Common,
    ) -> Result<Self, Failure> {
        let system = args.answer.system.clone();
        let limits = media_limits(&args.media, common);
        let session = Session::new(model, limits.clone())?;
        let (waiting, shown) = (Vec::new(), Vec::new());
        let mut chat = Chat { session, limits, name, system, options, common, waiting, shown };
        chat.reset()?;
        Ok(chat)
    }

    fn reset(&mut self) -> Result<(), Failure> {
        self.session.reset()?;
        self.waiting.clear();
        self.shown.clear();
        match &self.system {
            Some(system) => Ok(self.session.push(Role::System, vec![ContentPart::Text(system.clone())])?),
            None => Ok(()),
        }
    }

    /// Opens the file now, so that a mistake shows now.
    fn add(&mut self, file: PathBuf) -> Result<(), Failure> {
        open_file(&file, &self.limits)?;
        self.waiting.push(file);
        Ok(())
    }

    /// Obeys a line or asks it. A mistake in one line does not end the conversation.
    fn line(&mut self, line: &str, interrupt: &Interrupt) -> Result<ControlFlow<()>, Failure> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let done = match word {
            "" => Ok(()),
            "/quit" | "/exit" => return Ok(ControlFlow::Break(())),
            "/help" => {
                output::note(HELP);
                Ok(())
            }
            "/add" if rest.trim().is_empty() => Err(Failure::usage("the file is missing", "/add FILE")),
            "/add" => self.add(PathBuf::from(rest.trim())),
            "/media" => {
                self.list();
                Ok(())
            }
            "/reset" => self.reset(),
            command if command.starts_with('/') => {
                Err(Failure::usage(format!("no command {command}"), "/help lists them"))
            }
            _ => self.ask(line, interrupt),
        };
        match done {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(Failure::Closed) => Err(Failure::Closed),
            Err(failure) => {
                failure.report();
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    fn list(&self) {
        for file in &self.shown {
            output::note(&format!("  {}", file.display()));
        }
        for file in &self.waiting {
            output::note(&format!("  {} (with the next question)", file.display()));
        }
        if self.shown.is_empty() && self.waiting.is_empty() {
            output::note("  nothing was shown yet; /add FILE shows a picture or video");
        }
    }

    fn ask(&mut self, question: &str, interrupt: &Interrupt) -> Result<(), Failure> {
        let content = media_args::content(&self.waiting, question);
        let mut bars = Bars::new(self.common);
        let (json, mut closed) = (self.common.json, false);
        let mut watch = |event: &Event| {
            bars.event(event);
            match event {
                Event::Text(piece) if !json && output::answer(piece).is_err() => {
                    closed = true;
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        };
        let answer = interrupt.while_busy(|| self.session.ask(content, &self.options, &mut watch))?;
        drop(bars);
        if closed {
            return Err(Failure::Closed);
        }
        if !answer.ids.is_empty() {
            self.shown.append(&mut self.waiting);
        }
        if json {
            return output::json(&AnswerOutput::new(&self.name, question, &answer));
        }
        output::text("\n")?;
        if !self.common.quiet {
            output::note(&closing_line(&answer));
        }
        Ok(())
    }
}
