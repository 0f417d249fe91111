//! `zoetrope ask MEDIA... "QUESTION"`.

use std::ops::ControlFlow;

use zoetrope_engine::{ContentPart, Event, FinishReason, Session};
use zoetrope_models::contract::prompt::Role;

use super::media_args::Question;
use super::request::{constraint, follow, media_limits, options};
use super::stored;
use crate::cli::{AskArgs, Common};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::model;
use crate::output::{self, AnswerStream};
use crate::progress::Bars;
use crate::report::{AnswerOutput, closing_line, introduce};
use crate::terminal;

/// Answers one question: the answer streams to standard output, a closing line goes to standard error.
pub(crate) fn run(args: &AskArgs, common: &Common) -> Result<(), Failure> {
    let question = Question::of(&args.content)?;
    let interrupt = Interrupt::install();
    let mut options = options(&args.media, &args.answer, &interrupt)?;
    options.sampling.check()?;
    let constraint = constraint(&args.answer)?;
    let limits = media_limits(&args.media, common);
    question.check(&limits)?;
    let mut bars = Bars::new(common);
    let loaded = model::load(&args.model, &mut bars)?;
    follow(&mut options, constraint.as_ref(), &loaded)?;
    bars.spin("opening".to_string());

    let index = stored::index(&args.stored, &loaded, &limits)?;
    let mut session = Session::new(loaded.model, limits)?;
    session.use_index(index);
    if let Some(system) = &args.answer.system {
        session.push(Role::System, vec![ContentPart::Text(system.clone())])?;
    }
    let mut stream = AnswerStream::default();
    let mut watch = |event: &Event| {
        bars.event(event);
        match event {
            Event::Text(piece) if !common.json => stream.write(piece),
            _ => ControlFlow::Continue(()),
        }
    };
    let answer = interrupt.while_busy(|| session.ask(question.content(), &options, &mut watch))?;
    drop(bars);
    stream.finish()?;
    if common.json {
        output::json(&AnswerOutput::new(&loaded.name, &question.text(), &answer))?;
    } else if !answer.text.is_empty() {
        output::text("\n")?;
    }
    introduce(&args.model, common);
    if !common.quiet && !common.json {
        terminal::note(&closing_line(&answer));
    }
    if answer.finish_reason == FinishReason::Cancelled { Err(Failure::Interrupted) } else { Ok(()) }
}
