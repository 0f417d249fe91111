//! `zoetrope eval`: accuracy on the held-out synthetic set by kind of question.

use serde::Serialize;
use zoetrope_engine::Options;
use zoetrope_lab::eval::{self, EvalItem, EvalReport, held_out_set_of};
use zoetrope_lab::synth::{Difficulty, QuestionKind};

use super::request::{limits, plan_options};
use crate::cli::{Common, EvalArgs};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::model;
use crate::output;
use crate::progress::Bars;
use crate::terminal;

/// The object that `--json` prints.
#[derive(Serialize)]
struct EvalOutput<'a> {
    model: &'a str,
    seed: u64,
    report: &'a EvalReport,
}

/// Asks every question and prints the table.
pub(crate) fn run(args: &EvalArgs, common: &Common) -> Result<(), Failure> {
    let interrupt = Interrupt::install();
    let options = Options {
        plan: plan_options(&args.media)?,
        max_new_tokens: eval::MAX_ANSWER_TOKENS,
        cancel: interrupt.flag(),
        ..Options::default()
    };
    let mut bars = Bars::new(common);
    let loaded = model::load(&args.model, &mut bars)?;
    let items = items(args, common)?;
    let mut on_answer = |answered| bars.count("ask", "questions", answered, items.len());
    let report =
        interrupt.while_busy(|| eval::run(&loaded.model, &items, &limits(common), &options, &mut on_answer))?;
    drop(bars);
    if common.json {
        return output::json(&EvalOutput { model: &loaded.name, seed: args.seed, report: &report });
    }
    Ok(output::text(&report.to_string())?)
}

/// The questions. Kinds that the difficulty lacks are told; a set without any question is an error.
fn items(args: &EvalArgs, common: &Common) -> Result<Vec<EvalItem>, Failure> {
    let difficulty = difficulty(args)?;
    let items = held_out_set_of(args.seed, args.items, &difficulty);
    // Kinds are asked in turn, so that of a few questions only some have their turn.
    let wanted = difficulty.kinds.iter().take(args.items);
    let lacks = wanted.filter(|kind| !items.iter().any(|item| item.question.kind == **kind));
    let lacks: Vec<&str> = lacks.map(|kind| kind.name()).collect();
    let what = format!("{} has no questions of the kinds {}", args.difficulty, lacks.join(", "));
    if items.is_empty() {
        return Err(Failure::usage(what, "--kinds or --difficulty must name others"));
    }
    if !lacks.is_empty() && !common.quiet {
        terminal::note(&format!("{what}: {} of {} questions are left", items.len(), args.items));
    }
    Ok(items)
}

/// The difficulty that the arguments name, with its kinds of questions or those of the arguments.
fn difficulty(args: &EvalArgs) -> Result<Difficulty, Failure> {
    let mut difficulty = Difficulty::named(&args.difficulty).map_err(Failure::new)?;
    if !args.kinds.is_empty() {
        let kinds = args.kinds.iter().map(|name| QuestionKind::named(name));
        difficulty.kinds = kinds.collect::<Result<_, _>>().map_err(Failure::new)?;
    }
    Ok(difficulty)
}
