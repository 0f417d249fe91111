//! One file a subcommand, and what several of them share.

pub(crate) mod ask;
pub(crate) mod bench;
pub(crate) mod chat;
pub(crate) mod convert;
pub(crate) mod decode_child;
pub(crate) mod draw;
pub(crate) mod dump;
pub(crate) mod eval;
pub(crate) mod frames;
pub(crate) mod info;
pub(crate) mod plan;
pub(crate) mod pull;
pub(crate) mod train;
mod words;

use zoetrope_engine::{Limits, Options, Sampling};
use zoetrope_models::contract::PlanOptions;

use crate::cli::{AnswerArgs, Common, MediaArgs};
use crate::failure::Failure;
use crate::interrupt::Interrupt;

/// What the media options say.
fn plan_options(args: &MediaArgs) -> Result<PlanOptions, Failure> {
    if let (Some(start), Some(end)) = (args.start, args.end)
        && start >= end
    {
        return Err(Failure::usage(
            format!("--start {start} is not before --end {end}"),
            "both are seconds of the clip",
        ));
    }
    Ok(PlanOptions {
        fps: args.fps,
        max_frames: args.max_frames,
        max_visual_tokens: args.max_visual_tokens,
        start: args.start,
        end: args.end,
        image_merge: args.image_merge,
        prune: args.no_prune.then_some(false),
    })
}

/// What the answer options say. Sampling is greedy unless the user asks for chance.
fn sampling(args: &AnswerArgs) -> Sampling {
    let asks_for_chance = args.top_p.is_some() || args.top_k.is_some();
    Sampling {
        temperature: args.temperature.unwrap_or(if asks_for_chance { 1.0 } else { 0.0 }),
        top_k: args.top_k,
        top_p: args.top_p,
        repetition_penalty: args.repetition_penalty,
        seed: args.seed,
        ..Sampling::default()
    }
}

/// Engine options of a question.
fn options(media: &MediaArgs, answer: &AnswerArgs, interrupt: &Interrupt) -> Result<Options, Failure> {
    Ok(Options {
        plan: plan_options(media)?,
        sampling: sampling(answer),
        max_new_tokens: answer.max_new_tokens,
        stops: answer.stop.clone(),
        cancel: interrupt.flag(),
    })
}

/// The default limits with the user's number of threads.
fn limits(common: &Common) -> Limits {
    let mut limits = Limits::default();
    if let Some(threads) = common.threads {
        limits.files.threads = threads;
    }
    limits
}
