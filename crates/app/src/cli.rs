//! The command line.

mod numbers;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use numbers::{finite, not_negative, positive, positive_number, share};

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
    /// Show what a model is
    Info(InfoArgs),
    /// Download a model into the Hugging Face cache
    Pull(PullArgs),
    /// Write a model with its matrices packed, to load at once and take less memory
    Convert(ConvertArgs),
    /// Write ids, patches, visual tokens and logits of a request to a safetensors file
    Dump(DumpArgs),
    /// Train a model on drawn scenes
    Train(TrainArgs),
    /// Measure a model on a held-out set of drawn questions
    Eval(EvalArgs),
    /// Measure how fast a model runs here, beside what the machine allows
    Bench(BenchArgs),
    /// Draw scenes with questions as PNG and JSON
    Draw(DrawArgs),
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

/// How matrices are held and multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Precision {
    /// As a converted model has them; else int8 on a CPU, or f32 for a model under 100 MB
    Auto,
    /// 32-bit float
    F32,
    /// bfloat16, sums in f32
    Bf16,
    /// 8-bit whole numbers with scales, sums exact
    Int8,
    /// 4-bit whole numbers with a scale for 32
    Int4,
}

/// How keys and values are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KvCacheDtype {
    /// bf16 beside matrices packed as bf16, int8 or int4; else f32
    Auto,
    /// 32-bit float
    F32,
    /// bfloat16
    Bf16,
    /// 8-bit whole numbers with a scale for each token and head: half of bf16, and coarser (see docs/benchmarks.md)
    Int8,
}

/// Which model.
#[derive(Args, Debug)]
pub(crate) struct ModelArgs {
    /// A model folder or a name on the Hugging Face hub (see `pull`) [default: the embedded model]
    #[arg(long, short, value_name = "FOLDER|NAME", help_heading = "Model")]
    pub(crate) model: Option<String>,
    /// How matrices are held and multiplied
    #[arg(long, value_enum, default_value = "auto", help_heading = "Model")]
    pub(crate) dtype: Precision,
    /// How keys and values, the memory that grows with prompt and answer, are held
    #[arg(long, value_enum, default_value = "auto", help_heading = "Model")]
    pub(crate) kv_cache_dtype: KvCacheDtype,
}

/// Which frames, at which size.
#[derive(Args, Debug, Default)]
pub(crate) struct MediaArgs {
    /// Frames a second to look at [default: what the model was trained with]
    #[arg(long, value_name = "RATE", value_parser = positive_number, help_heading = "Media")]
    pub(crate) fps: Option<f64>,
    /// Most frames of a video
    #[arg(long, value_name = "N", value_parser = positive, help_heading = "Media")]
    pub(crate) max_frames: Option<usize>,
    /// Most visual tokens of all media; pictures shrink to fit
    #[arg(long, value_name = "N", value_parser = positive, help_heading = "Media")]
    pub(crate) max_visual_tokens: Option<usize>,
    /// Look at videos from this second on
    #[arg(long, value_name = "SECONDS", value_parser = finite, allow_hyphen_values = true, help_heading = "Media")]
    pub(crate) start: Option<f64>,
    /// Look at videos up to this second
    #[arg(long, value_name = "SECONDS", value_parser = finite, allow_hyphen_values = true, help_heading = "Media")]
    pub(crate) end: Option<f64>,
    /// Side of the square of patches that becomes one token of a picture
    #[arg(long, value_name = "N", value_parser = positive, help_heading = "Media")]
    pub(crate) image_merge: Option<usize>,
    /// Keep visual tokens that repeat the frame before
    #[arg(long, help_heading = "Media")]
    pub(crate) no_prune: bool,
}

/// How answers are written. Without any of the sampling options the answer is greedy: the likeliest token each time.
#[derive(Args, Debug)]
pub(crate) struct AnswerArgs {
    /// Most tokens of an answer
    #[arg(long, value_name = "N", default_value_t = 1024, help_heading = "Answer")]
    pub(crate) max_new_tokens: usize,
    /// Sample with this temperature [default: 0, which is greedy: the likeliest token each time]
    #[arg(long, value_name = "T", value_parser = not_negative, help_heading = "Answer")]
    pub(crate) temperature: Option<f64>,
    /// Sample from the likeliest tokens that together have this probability (temperature 1 unless given)
    #[arg(long, value_name = "P", value_parser = share, help_heading = "Answer")]
    pub(crate) top_p: Option<f64>,
    /// Sample from this many likeliest tokens (temperature 1 unless given)
    #[arg(long, value_name = "K", value_parser = positive, help_heading = "Answer")]
    pub(crate) top_k: Option<usize>,
    /// Make tokens that were there before less likely; 1 changes nothing
    #[arg(long, value_name = "X", value_parser = positive_number, default_value_t = 1.0, help_heading = "Answer")]
    pub(crate) repetition_penalty: f64,
    /// Seed of the sampling: the same seed gives the same answer
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Answer")]
    pub(crate) seed: u64,
    /// End the answer before this text (may be given several times)
    #[arg(long, value_name = "TEXT", help_heading = "Answer")]
    pub(crate) stop: Vec<String>,
    /// Instructions for the model before the conversation
    #[arg(long, value_name = "TEXT", help_heading = "Answer")]
    pub(crate) system: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  zoetrope ask clip.mp4 \"What happens?\"\n  \
    zoetrope ask before.png after.png \"What changed?\"\n  \
    zoetrope ask talk.mkv slide.jpg \"When is this slide shown?\" --start 60 --end 300 --json")]
pub(crate) struct AskArgs {
    /// Pictures and videos, then the question in quotes (`-` reads it from standard input)
    #[arg(required = true, value_name = "MEDIA... QUESTION", num_args = 1..)]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) media: MediaArgs,
    #[command(flatten)]
    pub(crate) answer: AnswerArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ChatArgs {
    /// Pictures and videos to begin with
    #[arg(value_name = "MEDIA")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) media: MediaArgs,
    #[command(flatten)]
    pub(crate) answer: AnswerArgs,
}

#[derive(Args, Debug)]
pub(crate) struct PlanArgs {
    /// Pictures and videos
    #[arg(value_name = "MEDIA", required_unless_present = "size")]
    pub(crate) files: Vec<PathBuf>,
    /// Plan for a size without a file: 640x480 is a picture, 1280x720:300@30 a video of 300 frames at 30 a second
    #[arg(long, value_name = "WxH[:FRAMES@RATE]")]
    pub(crate) size: Vec<String>,
    /// The question that would be asked
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) question: String,
    /// Instructions that would be given
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// Tokens of the answer that memory is counted for
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub(crate) max_new_tokens: usize,
    /// Decode the frames to count the visual tokens that survive pruning
    #[arg(long, conflicts_with = "size")]
    pub(crate) prune_now: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) media: MediaArgs,
}

#[derive(Args, Debug)]
pub(crate) struct FramesArgs {
    /// Pictures and videos
    #[arg(value_name = "MEDIA", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Folder to write to; made when it is not there
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) media: MediaArgs,
}

#[derive(Args, Debug)]
pub(crate) struct InfoArgs {
    /// A model folder or a name on the hub [default: the embedded model]
    #[arg(value_name = "FOLDER|NAME")]
    pub(crate) model: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct PullArgs {
    /// Name on the hub, such as DAMO-NLP-SG/VideoLLaMA3-2B
    pub(crate) name: String,
}

#[derive(Args, Debug)]
pub(crate) struct DumpArgs {
    /// Pictures and videos, then the question in quotes (`-` reads it from standard input)
    #[arg(required = true, value_name = "MEDIA... QUESTION", num_args = 1..)]
    pub(crate) words: Vec<String>,
    /// The safetensors file to write
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Greedy steps
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) max_new_tokens: usize,
    /// Instructions for the model before the question
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) media: MediaArgs,
}

#[derive(Args, Debug)]
pub(crate) struct TrainArgs {
    /// The recipe (JSON)
    pub(crate) recipe: PathBuf,
    /// Folder of the model to train: its configuration, tokenizer and weights
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) model: PathBuf,
    /// Folder of the checkpoint; training goes on from the one that is there
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Start a new run from random weights instead of the model's
    #[arg(long)]
    pub(crate) from_scratch: bool,
    /// Stop after this many steps of the run
    #[arg(long, value_name = "N")]
    pub(crate) until: Option<usize>,
}

#[derive(Args, Debug)]
pub(crate) struct ConvertArgs {
    /// A model folder or a name on the Hugging Face hub
    #[arg(value_name = "FOLDER|NAME")]
    pub(crate) model: String,
    /// Folder to write to; made when it is not there
    #[arg(value_name = "OUT")]
    pub(crate) out: PathBuf,
    /// How matrices are packed
    #[arg(long, value_enum, default_value = "int8")]
    pub(crate) dtype: Packing,
    /// A GGUF file to take the language part's weights from; everything else stays the model's
    #[arg(long, value_name = "FILE")]
    pub(crate) language: Option<PathBuf>,
}

/// How matrices are packed in a converted model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Packing {
    /// bfloat16
    Bf16,
    /// 8-bit whole numbers with a scale a row
    Int8,
    /// 4-bit whole numbers with a scale for 32
    Int4,
}

#[derive(Args, Debug)]
pub(crate) struct EvalArgs {
    /// Questions
    #[arg(long, value_name = "N", default_value_t = 480, value_parser = positive)]
    pub(crate) items: usize,
    /// Seed of the set
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) seed: u64,
    /// How hard: one_object, pictures, easy_clips, clips or full
    #[arg(long, value_name = "NAME", default_value = "full")]
    pub(crate) drawn: String,
    /// Kinds of questions, with commas between [default: all of them]
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub(crate) kinds: Vec<String>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) media: MediaArgs,
}

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// A clip to decode, too
    #[arg(value_name = "CLIP")]
    pub(crate) clip: Option<PathBuf>,
    /// Frames to encode
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = positive)]
    pub(crate) frames: usize,
    /// Width and height of the frames that are encoded
    #[arg(long, value_name = "PIXELS", default_value_t = 448, value_parser = positive)]
    pub(crate) side: usize,
    /// Tokens of the prompt
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = positive)]
    pub(crate) prompt: usize,
    /// Tokens of the answer
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = positive)]
    pub(crate) answer: usize,
    /// Repetitions; the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = positive)]
    pub(crate) repeats: usize,
}

#[derive(Args, Debug)]
pub(crate) struct DrawArgs {
    /// Folder to write to; made when it is not there
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Scenes
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = positive)]
    pub(crate) items: usize,
    /// Seed of the set
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) seed: u64,
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
