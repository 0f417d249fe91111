//! `zoetrope eval`: the share of right answers on the held-out drawn set, by kind of question.

use std::ops::ControlFlow;

use serde::Serialize;
use zoetrope_engine::{FrameIter, Input, MediaSource, Options, Piece, Session};
use zoetrope_lab::draw::{Difficulty, Kind};
use zoetrope_lab::eval::{Item, Report, Row, drawn_set_of, score};
use zoetrope_lab::sample::Media;
use zoetrope_models::contract::{Part, Source};

use super::{limits, plan_options};
use crate::cli::{Common, EvalArgs};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::model::{self, Loaded};
use crate::output;
use crate::progress::Bars;

/// Longest answer of the set is a short sentence.
const ANSWER_TOKENS: usize = 64;

/// The object that `--json` prints.
#[derive(Serialize)]
struct Measured<'a> {
    model: &'a str,
    seed: u64,
    report: &'a Report,
}

/// Asks every question and prints the table.
pub(crate) fn run(args: &EvalArgs, common: &Common) -> Result<(), Failure> {
    let interrupt = Interrupt::install();
    let options = Options {
        plan: plan_options(&args.media)?,
        max_new_tokens: ANSWER_TOKENS,
        cancel: interrupt.flag(),
        ..Options::default()
    };
    let mut bars = Bars::new(common);
    let loaded = model::load(&args.model, &mut bars)?;
    let items = drawn_set_of(args.seed, args.items, &difficulty(args)?);
    let mut asked = 0;
    let report = interrupt.while_busy(|| {
        score(&items, &mut |item: &Item| {
            let answer = answer(&loaded, item, &options, common)?;
            asked += 1;
            bars.count("ask", "questions", asked, items.len());
            Ok::<_, Failure>(answer)
        })
    })?;
    drop(bars);
    if common.json {
        return output::json(&Measured { model: &loaded.name, seed: args.seed, report: &report });
    }
    Ok(output::text(&table(&report))?)
}

/// The difficulty that the arguments name, with its kinds or those asked for.
fn difficulty(args: &EvalArgs) -> Result<Difficulty, Failure> {
    let mut difficulty = Difficulty::named(&args.drawn).map_err(Failure::new)?;
    if !args.kinds.is_empty() {
        difficulty.kinds =
            args.kinds.iter().map(|name| Kind::named(name)).collect::<Result<_, _>>().map_err(Failure::new)?;
    }
    Ok(difficulty)
}

fn answer(loaded: &Loaded, item: &Item, options: &Options, common: &Common) -> Result<String, Failure> {
    let sample = item.sample();
    let mut session = Session::new(loaded.model.as_ref(), limits(common));
    let mut pieces = Vec::new();
    for part in sample.messages.into_iter().flat_map(|message| message.parts) {
        pieces.push(match part {
            Part::Text(text) => Piece::Text(text),
            Part::Media(n) => {
                Piece::Media(Input::Source(format!("drawn {n}"), Box::new(Drawn(sample.media[n].clone()))))
            }
        });
    }
    let answer = session.ask(pieces, options, &mut |_| ControlFlow::Continue(()))?;
    if options.cancel.is_cancelled() { Err(Failure::Interrupted) } else { Ok(answer.text) }
}

/// A drawn picture or clip.
struct Drawn(Media);

impl MediaSource for Drawn {
    fn source(&self) -> Source {
        self.0.source()
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        let indices = indices.to_vec();
        Box::new(indices.into_iter().map(|index| Ok(self.0.frame(index))))
    }
}

fn table(report: &Report) -> String {
    let mut text = format!("{:<10} {:>5} {:>8} {:>7} {:>15}\n", "kind", "n", "right", "chance", "95 % interval");
    let rows = report.kinds.iter().chain(&report.media).chain([&report.all]);
    for Row { kind, n, accuracy, chance, low, high, .. } in rows {
        text.push_str(&format!(
            "{kind:<10} {n:>5} {:>6.1} % {:>5.1} % {:>6.1} - {:>5.1} %\n",
            100.0 * accuracy,
            100.0 * chance,
            100.0 * low,
            100.0 * high
        ));
    }
    text
}
