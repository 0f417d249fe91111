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
mod paths;
mod places;
mod progress;
mod report;
mod terminal;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use zoetrope_lab::train::processes::{Collectives, Launch};
use zoetrope_system::malloc;

use cli::{Cli, Command};
use failure::Failure;

fn main() -> ExitCode {
    // Before there is any thread: it would keep the rights that are taken away.
    #[cfg(unix)]
    if std::env::args_os().nth(1).is_some_and(|argument| argument == zoetrope_media::sandbox::ARGUMENT) {
        return commands::media_child::run();
    }
    malloc::retain_freed();
    let cli = match command_line() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let launch = match &cli.command {
        Command::Train(_) => match commands::train::prepare_process() {
            Ok(launch) => launch,
            Err(failure) => return failure.report(),
        },
        _ => Launch::alone(),
    };
    let server = if let Command::Serve(args) = &cli.command { Some(args.log) } else { None };
    cli.common.apply(server, launch.sharing);
    // On a thread of the pool, so that parallel work begins without waking anyone to hand it over.
    match rayon::scope(|_| run(&cli, &launch.processes)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            launch.processes.fail(failure.words().map_or("interrupted", |(text, _)| text));
            failure.report()
        }
    }
}

/// The command line; else the code to end with, after its help or what is wrong with it was written.
fn command_line() -> Result<Cli, ExitCode> {
    if std::env::args_os().len() < 2 {
        terminal::note(cli::FIRST_STEPS);
        return Err(ExitCode::from(2));
    }
    Cli::try_parse().map(Cli::with_embedded_by_name).map_err(|error| {
        let text = error.to_string();
        // A name of a file in the wrong place is shown as it is written.
        if error.use_stderr() && terminal::visible(&text) != text {
            terminal::note(text.trim_end());
        } else if let Err(unwritten) = error.print() {
            return Failure::from(output::Unwritten(unwritten)).report();
        }
        ExitCode::from(error.exit_code() as u8)
    })
}

fn run(cli: &Cli, processes: &Arc<dyn Collectives>) -> Result<(), Failure> {
    let common = &cli.common;
    match &cli.command {
        Command::Ask(args) => commands::ask::run(args, common),
        Command::Chat(args) => commands::chat::run(args, common),
        Command::Serve(args) => commands::serve::run(args, common),
        Command::Plan(args) => commands::plan::run(args, common),
        Command::Index(args) => commands::index::run(args, common),
        Command::Cache(args) => commands::cache::run(args, common),
        Command::Frames(args) => commands::frames::run(args, common),
        Command::Info(args) => commands::info::run(args, common),
        Command::Families => commands::families::run(common),
        Command::Probe(args) => commands::probe::run(args, common),
        Command::Pull(args) => commands::pull::run(args, common),
        Command::Convert(args) => commands::convert::run(args, common),
        Command::Dump(args) => commands::dump::run(args, common),
        Command::Data(args) => commands::data::run(args, common),
        Command::Train(args) => commands::train::run(args, common, processes),
        Command::Report(args) => commands::report::run(args, common),
        Command::Eval(args) => commands::eval::run(args, common),
        Command::Bench(args) => commands::bench::run(args, common),
        Command::Synth(args) => commands::synth::run(args, common),
        Command::Completions(args) => commands::manual::completions(args),
        Command::Man(args) => commands::manual::man(args),
        Command::List(_) => Err(commands::manual::cache("ls")),
        Command::Rm(_) => Err(commands::manual::cache("rm")),
        Command::DecodeChild => commands::decode_child::run(),
    }
}
