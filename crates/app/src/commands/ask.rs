//! `zoetrope ask MEDIA... "QUESTION"`.

use std::ops::ControlFlow;

use zoetrope_engine::{ContentPart, Event, FinishReason, Session};
use zoetrope_models::contract::prompt::Role;

use super::media_args;
use super::request::{media_limits, options};
use crate::cli::{AskArgs, Common};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::model;
use crate::output;
use crate::progress::Bars;
use crate::report::{AnswerOutput, closing_line};

/// Answers one question: the answer streams to standard output, a closing line goes to standard error.
pub(crate) fn run(args: &AskArgs, common: &Common) -> Result<(), Failure> {
    let (files, question) = media_args::split(&args.words)?;
    let interrupt = Interrupt::install();
    let options = options(&args.media, &args.answer, &interrupt)?;
    options.sampling.check()?;
    let mut bars = Bars::new(common);
    media_args::check(&files, &question, &media_limits(&args.media, common))?;
    let loaded = model::load(&args.model, &mut bars)?;
    bars.spin("opening".to_string());

    let mut session = Session::new(loaded.model, media_limits(&args.media, common))?;
    if let Some(system) = &args.answer.system {
        session.push(Role::System, vec![ContentPart::Text(system.clone())])?;
    }
    let mut closed = false;
    let mut watch = |event: &Event| {
        bars.event(event);
        match event {
            Event::Text(piece) if !common.json && output::answer(piece).is_err() => {
                closed = true;
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    };
    let answer = interrupt.while_busy(|| session.ask(media_args::content(&files, &question), &options, &mut watch))?;
    drop(bars);
    if closed {
        return Err(Failure::Closed);
    }
    if common.json {
        output::json(&AnswerOutput::new(&loaded.name, &question, &answer))?;
    } else if !answer.text.is_empty() {
        output::text("\n")?;
    }
    if !common.quiet && !common.json {
        output::note(&closing_line(&answer));
    }
    if answer.finish_reason == FinishReason::Cancelled { Err(Failure::Interrupted) } else { Ok(()) }
}
