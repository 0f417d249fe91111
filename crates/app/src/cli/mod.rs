//! The command line.

mod args;
mod content;
mod data;
mod model;
mod numbers;
mod request;
mod serve;

use std::path::Path;
use std::sync::LazyLock;

use clap::{Args, Parser, Subcommand};

pub(crate) use args::{
    AskArgs, BenchArgs, CacheArgs, CacheCommand, ChatArgs, CompletionsArgs, ConvertArgs, DumpArgs, EvalArgs,
    FramesArgs, IndexArgs, InfoArgs, ManArgs, PlanArgs, PointerArgs, ProbeArgs, PullArgs, ReportArgs, StoredDtype,
    SynthArgs, TrainArgs,
};
pub(crate) use content::{ContentArgs, Piece};
pub(crate) use data::{DataArgs, DataCheckArgs, DataCommand};
pub(crate) use model::{ModelArgs, ModelSource};
use numbers::threads;
pub(crate) use request::{AnswerArgs, Background, IndexUseArgs, MediaArgs};
pub(crate) use serve::{LogFormat, ServeArgs};

use crate::embedded::EMBEDDED_NAME;
use crate::terminal::StandardError;

/// Version, commit (where the program was built from a checkout), and the instruction set that it would use here.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let commit = option_env!("ZOETROPE_COMMIT").filter(|commit| !commit.is_empty());
    let commit = commit.map_or(String::new(), |commit| format!("{commit}, "));
    format!("{} ({commit}{})", env!("CARGO_PKG_VERSION"), zoetrope_lab::bench::instruction_set())
});

/// What `zoetrope` alone says.
pub(crate) const FIRST_STEPS: &str = "\
Ask about a video or a picture (the model inside this program knows drawn shapes only):
  zoetrope ask clip.mp4 \"What happens?\" --model DAMO-NLP-SG/VideoLLaMA3-2B
Talk about it, question after question:
  zoetrope chat clip.mp4 --model DAMO-NLP-SG/VideoLLaMA3-2B
See what a file is and what a question would cost:
  zoetrope plan clip.mp4

All commands: zoetrope --help";

/// Ask questions about images and videos; answers come from a video-language model on this machine.
#[derive(Debug, Parser)]
#[command(name = "zoetrope", version = VERSION.as_str(), about, max_term_width = 100)]
#[command(subcommand_required = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// The embedded model by its name is the embedded model, unless a folder is called so.
    pub(crate) fn with_embedded_by_name(mut self) -> Self {
        let model = match &mut self.command {
            Command::Ask(AskArgs { model, .. })
            | Command::Chat(ChatArgs { model, .. })
            | Command::Plan(PlanArgs { model, .. })
            | Command::Index(IndexArgs { model, .. })
            | Command::Frames(FramesArgs { model, .. })
            | Command::Dump(DumpArgs { model, .. })
            | Command::Eval(EvalArgs { model, .. })
            | Command::Serve(ServeArgs { model, .. })
            | Command::Bench(BenchArgs { model, .. }) => &mut model.model,
            Command::Info(InfoArgs { model, .. }) => model,
            Command::Data(DataArgs { command: DataCommand::Check(DataCheckArgs { model, .. }) }) => &mut model.model,
            _ => return self,
        };
        model.take_if(|name| name == EMBEDDED_NAME && !Path::new(name).exists());
        self
    }
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask one question about pictures and videos (or about nothing)
    Ask(AskArgs),
    /// Talk: several questions, media added on the way
    #[command(alias = "run")]
    Chat(ChatArgs),
    /// Answer questions over HTTP: OpenAI's API, and a page to look at
    #[command(alias = "server")]
    Serve(ServeArgs),
    /// Show what a request would cost, without running the model (JSON)
    Plan(PlanArgs),
    /// Encode a film once and store its features, so that every further question is cheap
    Index(IndexArgs),
    /// List and remove what is kept of films that were asked about
    Cache(CacheArgs),
    /// Write the frames that the model would see as PNG, and their times
    Frames(FramesArgs),
    /// Show what a media file is: its tracks, times and what is read of it
    Probe(ProbeArgs),
    /// Show what a model is
    #[command(alias = "show")]
    Info(InfoArgs),
    /// List the families of models that run here, what each can be given, and their checkpoints
    Families,
    /// Download a model into the Hugging Face cache
    Pull(PullArgs),
    /// Write a model with its matrices packed, to load at once and take less memory
    Convert(ConvertArgs),
    /// Write ids, patches, features, visual tokens and logits of a request to a safetensors file
    Dump(DumpArgs),
    /// Look at data to train on: what it holds, which rows are bad, how the model sees it
    Data(DataArgs),
    /// Train a model, or fine-tune it on your own clips
    Train(TrainArgs),
    /// Make the report of a training run again, or compare several runs on one page (HTML)
    Report(ReportArgs),
    /// Measure a model on a held-out set of synthetic questions
    Eval(EvalArgs),
    /// Measure how fast a model runs here, beside what the machine allows
    Bench(BenchArgs),
    /// Write synthetic scenes with questions as PNG and JSON
    #[command(alias = "draw")]
    Synth(SynthArgs),
    /// Write the completions of a shell to standard output
    Completions(CompletionsArgs),
    /// Write manual pages (roff): one to standard output, or all of them to a folder
    Man(ManArgs),
    /// Models are listed by the tools of the hub
    #[command(hide = true, alias = "ls", alias = "models")]
    List(PointerArgs),
    /// Models are removed by the tools of the hub
    #[command(hide = true)]
    Rm(PointerArgs),
    /// Decode one stream for a parent process (used by zoetrope itself)
    #[command(hide = true)]
    DecodeChild,
}

/// Over the options that every command has, apart from its own.
const GENERAL: &str = "General";

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// Threads to compute and decode with [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = threads, help_heading = GENERAL)]
    pub(crate) threads: Option<usize>,
    /// Print one JSON object on standard output and nothing else there
    #[arg(long, global = true, help_heading = GENERAL)]
    pub(crate) json: bool,
    /// No progress bars and no closing line
    #[arg(long, short, global = true, help_heading = GENERAL)]
    pub(crate) quiet: bool,
    /// Say more on standard error
    #[arg(long, short, global = true, conflicts_with = "quiet", help_heading = GENERAL)]
    pub(crate) verbose: bool,
}

impl Common {
    /// Sets up threads and the log of the process. A server's log has a line a request, in this format. As many
    /// processes as `sharing` have the cores together.
    pub(crate) fn apply(&self, server: Option<LogFormat>, sharing: usize) {
        let cores = || std::thread::available_parallelism().map_or(1, |cores| (cores.get() / sharing).max(1));
        // Fails only when the pool exists already, which it does not this early.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(self.threads.unwrap_or_else(cores)).build_global();
        let level = match (self.quiet, self.verbose) {
            (true, _) => tracing::Level::ERROR,
            (_, true) => tracing::Level::DEBUG,
            _ if server.is_some() => tracing::Level::INFO,
            _ => tracing::Level::WARN,
        };
        let log = tracing_subscriber::fmt().with_max_level(level).with_writer(|| StandardError).with_target(false);
        match server {
            None => log.without_time().init(),
            Some(LogFormat::Text) => log.init(),
            Some(LogFormat::Json) => log.json().flatten_event(true).init(),
        }
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
