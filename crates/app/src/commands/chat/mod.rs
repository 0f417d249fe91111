//! `zoetrope chat`: several turns; media are encoded once, the prompt that stays the same is not read again.

mod conversation;
mod lines;
mod media;

use std::io::{self, IsTerminal};

use super::media_args::check_file;
use super::request::{constraint, follow, media_limits, options};
use super::stored;
use crate::cli::{ChatArgs, Common};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::model;
use crate::paths;
use crate::progress::Bars;
use crate::report::introduce;
use crate::terminal;
use conversation::Chat;
use lines::{Line, Lines};

/// Reads questions from standard input until it ends. Where that is not a terminal, a line that failed makes the whole
/// end with an error.
pub(crate) fn run(args: &ChatArgs, common: &Common) -> Result<(), Failure> {
    let interrupt = Interrupt::install();
    let mut options = options(&args.media, &args.answer, &interrupt)?;
    options.sampling.check()?;
    let constraint = constraint(&args.answer)?;
    let files: Vec<_> = args.files.iter().map(|file| paths::of_word(file.as_os_str())).collect();
    files.iter().try_for_each(|file| check_file(file))?;
    let limits = media_limits(&args.media, common);
    // A character has four bytes at most.
    let longest_line = limits.characters.saturating_mul(4);
    let mut bars = Bars::new(common);
    let loaded = model::load(&args.model, &mut bars)?;
    follow(&mut options, constraint.as_ref(), &loaded)?;
    drop(bars);
    introduce(&args.model, common);
    let index = stored::index(&args.stored, &loaded, &limits)?;
    let mut chat = Chat::new(loaded, args.answer.system.clone(), limits, options, common)?;
    chat.use_index(index);
    for file in files {
        chat.add(file)?;
    }
    let is_typed = io::stdin().is_terminal() && io::stdout().is_terminal();
    if io::stdin().is_terminal() && !common.quiet {
        terminal::note(&format!("{}: ask, or /help", chat.name()));
    }
    let mut lines = Lines::open(is_typed, common.quiet, longest_line);
    loop {
        let line = match lines.next()? {
            Line::Text(line) => line,
            Line::TooLong => {
                let text = format!("a line of more than {longest_line} bytes, which is the limit");
                chat.report(&Failure::Error(text, Some("shorten the question".to_string())))?;
                continue;
            }
            Line::End => break,
        };
        if chat.line(&line, &interrupt)?.is_break() {
            break;
        }
    }
    if chat.has_failed() && !is_typed { Err(Failure::Reported) } else { Ok(()) }
}
