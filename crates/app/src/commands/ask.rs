//! `zoetrope ask MEDIA... "QUESTION"`.

use std::ops::ControlFlow;

use zoetrope_engine::{Event, FinishReason, Session};
use zoetrope_models::contract::Role;

use super::{limits, options, words};
use crate::cli::{AskArgs, Common};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::model;
use crate::output;
use crate::progress::Bars;
use crate::report::{Report, closing_line};

/// Answers one question: the answer streams to standard output, a closing line goes to standard error.
pub(crate) fn run(args: &AskArgs, common: &Common) -> Result<(), Failure> {
    let (files, question) = words::split(&args.words)?;
    let interrupt = Interrupt::install();
    let options = options(&args.media, &args.answer, &interrupt)?;
    options.sampling.check()?;
    let mut bars = Bars::new(common);
    words::check(&files, &question, &limits(common))?;
    let loaded = model::load(&args.model, &mut bars)?;
    bars.spin("opening".to_string());

    let mut session = Session::new(loaded.model.as_ref(), limits(common));
    if let Some(system) = &args.answer.system {
        session.push(Role::System, vec![zoetrope_engine::Piece::Text(system.clone())])?;
    }
    let mut closed = false;
    let mut watch = |event: Event<'_>| {
        bars.event(&event);
        match event {
            Event::Text(piece) if !common.json && output::answer(piece).is_err() => {
                closed = true;
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    };
    let answer = interrupt.while_busy(|| session.ask(words::pieces(&files, &question), &options, &mut watch))?;
    drop(bars);
    if closed {
        return Err(Failure::Closed);
    }
    if common.json {
        output::json(&Report::new(&loaded.name, &question, &answer))?;
    } else if !answer.text.is_empty() {
        output::text("\n")?;
    }
    if !common.quiet && !common.json {
        output::note(&closing_line(&answer));
    }
    if answer.finish_reason == FinishReason::Cancelled { Err(Failure::Interrupted) } else { Ok(()) }
}
