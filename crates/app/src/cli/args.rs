//! Arguments of the commands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::content::ContentArgs;
use super::model::{BaseArgs, ModelArgs, PackedDtype};
use super::numbers::{bench_frames, positive, sequences, side, tokens};
use super::request::{AnswerArgs, IndexUseArgs, MediaArgs};

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  zoetrope ask clip.mp4 \"What happens?\"\n  \
    zoetrope ask before.png after.png \"What changed?\"\n  \
    zoetrope ask talk.mkv slide.jpg \"When is this slide shown?\" --start 60 --end 300 --json\n  \
    zoetrope ask --text \"First:\" a.mp4 --text \"Then:\" b.png \"Does the second continue the first?\"\n  \
    zoetrope ask frames/ \"What happens?\" --frame-rate 3\n\n\
    A folder that holds nothing but pictures is a video of them, in natural order of their names (f2 before f10).")]
pub(crate) struct AskArgs {
    #[command(flatten)]
    pub(crate) content: ContentArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) media: MediaArgs,
    #[command(flatten)]
    pub(crate) stored: IndexUseArgs,
    #[command(flatten)]
    pub(crate) answer: AnswerArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  zoetrope chat clip.mp4\n  zoetrope chat --model DAMO-NLP-SG/VideoLLaMA3-2B\n\n\
    A line that begins with files shows them; /help lists the commands. What is typed is kept in\n\
    ~/.local/state/zoetrope/questions.jsonl (ZOETROPE_HISTORY names another file, or none when it is\n\
    empty). A question that begins with a space is not kept.")]
pub(crate) struct ChatArgs {
    /// Pictures, videos and folders of frames to begin with
    #[arg(value_name = "MEDIA")]
    pub(crate) files: Vec<PathBuf>,
    /// Do not keep the questions for the arrow keys of later chats
    #[arg(long)]
    pub(crate) no_history: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) media: MediaArgs,
    #[command(flatten)]
    pub(crate) stored: IndexUseArgs,
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
    #[command(flatten)]
    pub(crate) stored: IndexUseArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "The file lies beside the film as FILM.zoetrope-features, or in the cache where that folder\n\
    cannot be written to. `ask` and `chat` use it without being told, as long as film, model and media\n\
    options are the same. A run that was stopped, at whatever moment, goes on when the same command is\n\
    given again.\n\nExample:\n  zoetrope index film.mkv --fps 1 --model FOLDER\n  \
    zoetrope ask film.mkv \"Who is at the door?\" --fps 1 --model FOLDER")]
pub(crate) struct IndexArgs {
    /// The film: a video, a folder of frames, or features that were published as a pickle (FILM.pkl)
    #[arg(value_name = "FILM")]
    pub(crate) film: PathBuf,
    /// File to write; a question is told of it with --index [default: FILM.zoetrope-features]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// What features are stored as
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) store: StoredDtype,
    /// Replace features of another model or of other media options
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) media: MediaArgs,
}

/// What features are stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoredDtype {
    /// As the encoder gives them: answers are the same, bit for bit
    Auto,
    /// 16-bit float: half the bytes; answers may differ in the last digits
    F16,
    /// bfloat16: half the bytes, and coarser
    Bf16,
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
pub(crate) struct ProbeArgs {
    /// Pictures and videos
    #[arg(value_name = "MEDIA", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The video track to read, where a file has several
    #[arg(long, value_name = "N")]
    pub(crate) track: Option<usize>,
}

#[derive(Args, Debug)]
pub(crate) struct InfoArgs {
    /// A model folder or a name on the hub [default: the embedded model]
    #[arg(value_name = "FOLDER|NAME")]
    pub(crate) model: Option<OsString>,
    #[command(flatten)]
    pub(crate) base: BaseArgs,
}

#[derive(Args, Debug)]
pub(crate) struct PullArgs {
    /// Name on the hub, such as DAMO-NLP-SG/VideoLLaMA3-2B
    pub(crate) name: String,
}

#[derive(Args, Debug)]
pub(crate) struct DumpArgs {
    #[command(flatten)]
    pub(crate) content: ContentArgs,
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
#[command(after_help = "Examples:\n  zoetrope train recipe.toml --model FOLDER --out runs/mine --dry-run\n  \
    zoetrope train recipe.toml --model FOLDER --out runs/mine\n  \
    zoetrope ask clip.mp4 \"What happens?\" --model FOLDER --adapter runs/mine/adapter\n\n\
    A run that was stopped, at whatever moment, goes on when the same command is given again.\n\
    docs/training.md describes recipes.")]
pub(crate) struct TrainArgs {
    /// The recipe (TOML)
    pub(crate) recipe: PathBuf,
    /// The model to train, a folder or a name on the Hugging Face hub: its configuration, tokenizer and weights
    #[arg(long, short, value_name = "FOLDER|NAME")]
    pub(crate) model: OsString,
    #[command(flatten)]
    pub(crate) base: BaseArgs,
    /// Folder of the run; training goes on from the checkpoint that is there
    #[arg(long, short, value_name = "DIR", required_unless_present = "dry_run")]
    pub(crate) out: Option<PathBuf>,
    /// Start a new run from random weights instead of the model's
    #[arg(long)]
    pub(crate) from_scratch: bool,
    /// Stop after this many steps of the run
    #[arg(long, value_name = "N")]
    pub(crate) until: Option<usize>,
    /// Also write the whole model with the adapter merged into it
    #[arg(long)]
    pub(crate) merge: bool,
    /// Say what the run would take: samples, tokens, memory, and time from a step that is measured
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  zoetrope report runs/nano\n  zoetrope report runs/a runs/b --out compared.html\n\n\
    `train` writes metrics.jsonl, report.html and event files for TensorBoard\n\
    (tensorboard --logdir FOLDER) to the folder of the run."
)]
pub(crate) struct ReportArgs {
    /// Folders of training runs: what `train --out` named
    #[arg(value_name = "FOLDER", required = true)]
    pub(crate) folders: Vec<PathBuf>,
    /// Page to write [default: report.html in the folder; of several runs, comparison.html here]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ConvertArgs {
    /// A model folder or a name on the Hugging Face hub
    #[arg(value_name = "FOLDER|NAME")]
    pub(crate) model: OsString,
    /// Folder to write to; made when it is not there
    #[arg(value_name = "OUT")]
    pub(crate) out: PathBuf,
    /// What matrices are packed as
    #[arg(long, value_enum, default_value = "int8")]
    pub(crate) dtype: PackedDtype,
    /// A GGUF file to take the language part's weights from; everything else stays the model's
    #[arg(long, value_name = "FILE")]
    pub(crate) language: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) base: BaseArgs,
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
    #[arg(long, alias = "drawn", value_name = "NAME", default_value = "full")]
    pub(crate) difficulty: String,
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
    /// Random weights of the model's shape: measures a folder that has no weights (f32 unless --dtype says more)
    #[arg(long)]
    pub(crate) random_weights: bool,
    /// Frames to encode
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = bench_frames)]
    pub(crate) frames: usize,
    /// Width and height of the frames that are encoded
    #[arg(long, value_name = "PIXELS", default_value_t = 448, value_parser = side)]
    pub(crate) side: usize,
    /// Tokens of the prompt
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = tokens)]
    pub(crate) prompt: usize,
    /// Tokens of the answer
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = tokens)]
    pub(crate) answer: usize,
    /// Also compare this many answers written together with as many written one after the other
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = sequences)]
    pub(crate) sequences: usize,
    /// Repetitions; the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = positive)]
    pub(crate) repeats: usize,
}

#[derive(Args, Debug)]
pub(crate) struct SynthArgs {
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

#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  zoetrope man ask | man -l -\n  zoetrope man --out ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The command that the page is about [default: zoetrope as a whole]
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Option<String>,
    /// Folder to write the pages of all commands to; made when it is not there
    #[arg(long, short, value_name = "DIR", conflicts_with = "command")]
    pub(crate) out: Option<PathBuf>,
}

/// What was computed of films is kept on disk, so that a further question about the same film, under whatever name, is
/// answered at once. It goes by itself when it takes too much: what was not used for the longest time first.
#[derive(Args, Debug)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

/// What is done with the cache.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum CacheCommand {
    /// List films with what is kept of them, their sizes and their last use
    #[command(alias = "list")]
    Ls,
    /// Remove what is kept of films, named as `ls` names them or their models
    Rm {
        /// Names of films or models
        #[arg(value_name = "NAME", required_unless_present = "all")]
        names: Vec<String>,
        /// Remove everything
        #[arg(long, conflicts_with = "names")]
        all: bool,
    },
    /// Remove what is damaged, and what was not used for the longest time beyond a size
    Prune {
        /// Size that may stay, such as 500MB or 2GB [default: what the cache may take]
        #[arg(long, value_name = "SIZE", value_parser = super::numbers::bytes)]
        to: Option<u64>,
        /// Read every file and remove those that are damaged
        #[arg(long)]
        check: bool,
    },
    /// Print the folder
    Path,
}

/// What follows a command that is told where to go instead.
#[derive(Args, Debug)]
pub(crate) struct PointerArgs {
    /// Whatever stands there
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) rest: Vec<OsString>,
}
