//! The command line.

mod args;
mod model;
mod numbers;
mod request;

use clap::{Args, Parser, Subcommand};

pub(crate) use args::{
    AskArgs, BenchArgs, ChatArgs, ConvertArgs, DumpArgs, EvalArgs, FramesArgs, InfoArgs, PlanArgs, ProbeArgs, PullArgs,
    SynthArgs, TrainArgs,
};
pub(crate) use model::ModelArgs;
use numbers::positive;
pub(crate) use request::{AnswerArgs, Background, MediaArgs};

/// Ask questions about images and videos; answers come from a video-language model on this machine.
#[derive(Debug, Parser)]
#[command(name = "zoetrope", version, about, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask one question about pictures and videos (or about nothing)
    Ask(AskArgs),
    /// Talk: several questions, media added on the way
    Chat(ChatArgs),
    /// Show what a request would cost, without running the model (JSON)
    Plan(PlanArgs),
    /// Write the frames that the model would see as PNG, and their times
    Frames(FramesArgs),
    /// Show what a media file is: its tracks, times and what is read of it
    Probe(ProbeArgs),
    /// Show what a model is
    Info(InfoArgs),
    /// Download a model into the Hugging Face cache
    Pull(PullArgs),
    /// Write a model with its matrices packed, to load at once and take less memory
    Convert(ConvertArgs),
    /// Write ids, patches, features, visual tokens and logits of a request to a safetensors file
    Dump(DumpArgs),
    /// Train a model on synthetic scenes
    Train(TrainArgs),
    /// Measure a model on a held-out set of synthetic questions
    Eval(EvalArgs),
    /// Measure how fast a model runs here, beside what the machine allows
    Bench(BenchArgs),
    /// Write synthetic scenes with questions as PNG and JSON
    #[command(alias = "draw")]
    Synth(SynthArgs),
    /// Decode one stream for a parent process (used by zoetrope itself)
    #[command(hide = true)]
    DecodeChild,
}

/// Options of every command.
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// Threads to compute and decode with [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = positive)]
    pub(crate) threads: Option<usize>,
    /// Print one JSON object on standard output and nothing else there
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress bars and no closing line
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Say more on standard error
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
}

impl Common {
    /// Sets up threads and the log of the process.
    pub(crate) fn apply(&self) {
        let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
        // Fails only when the pool exists already, which it does not this early.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(self.threads.unwrap_or_else(cores)).build_global();
        let level = match (self.quiet, self.verbose) {
            (true, _) => tracing::Level::ERROR,
            (_, true) => tracing::Level::DEBUG,
            _ => tracing::Level::WARN,
        };
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(std::io::stderr)
            .with_target(false)
            .without_time()
            .init();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
