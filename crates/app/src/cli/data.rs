//! Arguments of `data`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use zoetrope_lab::data::BadLimit;

use super::model::ModelArgs;
use super::numbers::shown_samples;
use super::request::MediaArgs;

/// Data to train on.
#[derive(Args, Debug)]
pub(crate) struct DataArgs {
    #[command(subcommand)]
    pub(crate) command: DataCommand,
}

/// What is done with data.
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Read every row as training would: count kinds and tokens, list bad rows, show samples as the model sees them
    Check(DataCheckArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  zoetrope data check train.json --media pictures/\n  \
    zoetrope data check \"shards/clips-{000..012}.tar\" --model DAMO-NLP-SG/VideoLLaMA3-2B --plot tokens.svg\n\n\
    The format is told by the content: conversations (ShareGPT), messages (OpenAI), rows of ms-swift and\n\
    LLaMA-Factory as JSON or JSON lines, WebDataset shards. docs/training-data.md shows all forms, and what\n\
    makes a row bad. The exit code is 1 when more rows are bad than --max-bad allows.")]
pub(crate) struct DataCheckArgs {
    /// Data files, folders of them, lists of them, or shards as in clips-{000..012}.tar
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Folder that relative media paths start from [default: the data file's folder]
    #[arg(long = "media", value_name = "DIR", help_heading = "Data")]
    pub(crate) media_folder: Option<PathBuf>,
    /// Let rows name media outside that folder, by absolute paths or `..`
    #[arg(long, help_heading = "Data")]
    pub(crate) outside: bool,
    /// Most bad rows: a share, or a number
    #[arg(long, value_name = "SHARE|N", default_value_t = BadLimit::default(), help_heading = "Data")]
    pub(crate) max_bad: BadLimit,
    /// Decode every frame that the model would be shown
    #[arg(long, help_heading = "Data")]
    pub(crate) decode: bool,
    /// Samples to show as the model sees them
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = shown_samples, help_heading = "Data")]
    pub(crate) samples: usize,
    /// Write the histogram of tokens as a picture (SVG)
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    pub(crate) plot: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) media: MediaArgs,
}
