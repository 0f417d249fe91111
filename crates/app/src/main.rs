//! The `zoetrope` binary: questions about images and videos, answered by video-language models.
//!
//! `cli` is the manual; each subcommand is one file in `commands`. This crate is the only one that knows the terminal
//! and the JSON that goes over it. Deliberately absent: arithmetic, decoding, model code.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod embedded;
mod failure;
mod interrupt;
mod model;
mod output;
mod process_memory;
mod progress;
mod report;

use std::process::ExitCode;

use clap::Parser;
use zoetrope_system::malloc;

use cli::{Cli, Command};
use failure::Failure;

fn main() -> ExitCode {
    malloc::retain_freed();
    let cli = Cli::parse();
    if matches!(cli.command, Command::Train(_)) {
        commands::train::prepare_process();
    }
    cli.common.apply();
    // On a thread of the pool, so that parallel work begins without waking anyone to hand it over.
    match rayon::scope(|_| run(&cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let common = &cli.common;
    match &cli.command {
        Command::Ask(args) => commands::ask::run(args, common),
        Command::Chat(args) => commands::chat::run(args, common),
        Command::Plan(args) => commands::plan::run(args, common),
        Command::Frames(args) => commands::frames::run(args, common),
        Command::Info(args) => commands::info::run(args, common),
        Command::Probe(args) => commands::probe::run(args, common),
        Command::Pull(args) => commands::pull::run(args, common),
        Command::Convert(args) => commands::convert::run(args, common),
        Command::Dump(args) => commands::dump::run(args, common),
        Command::Train(args) => commands::train::run(args, common),
        Command::Eval(args) => commands::eval::run(args, common),
        Command::Bench(args) => commands::bench::run(args, common),
        Command::Synth(args) => commands::synth::run(args, common),
        Command::DecodeChild => commands::decode_child::run(),
    }
}
