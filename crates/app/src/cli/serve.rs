//! Options of the server.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::model::ModelArgs;
use super::numbers::{frames, positive, tokens};

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  zoetrope serve\n  \
    zoetrope serve --model DAMO-NLP-SG/VideoLLaMA3-2B --port 9000\n  \
    zoetrope serve --host 0.0.0.0 --api-key \"$KEY\" --media-root /films\n\n\
    Then open http://127.0.0.1:8000, or ask with any client of OpenAI's API. docs/serving.md shows several.")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Another model, loaded when it is first asked for (may be given several times)
    #[arg(long, value_name = "FOLDER|NAME", help_heading = "Model")]
    pub(crate) also_model: Vec<OsString>,
    /// GB of memory that the weights of all models may take; models that nobody uses go first
    #[arg(long, value_name = "GB", value_parser = positive, help_heading = "Model")]
    pub(crate) model_memory: Option<usize>,
    /// Address to listen on; others than those of this machine alone should have an API key
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", help_heading = "Server")]
    pub(crate) host: IpAddr,
    /// Port to listen on; 0 is a free one
    #[arg(long, value_name = "PORT", default_value_t = 8000, help_heading = "Server")]
    pub(crate) port: u16,
    /// Key that every request must have
    #[arg(long, value_name = "KEY", env = "ZOETROPE_API_KEY", hide_env_values = true, help_heading = "Server")]
    pub(crate) api_key: Option<String>,
    /// Another name of this machine that requests may use (may be given several times)
    #[arg(long, value_name = "NAME", help_heading = "Server")]
    pub(crate) allow_host: Vec<String>,
    /// Another site, by scheme and name, whose pages may ask (may be given several times)
    #[arg(long, value_name = "ORIGIN", help_heading = "Server")]
    pub(crate) allow_origin: Vec<String>,
    /// Neither use nor keep what was computed of films (see `zoetrope cache`)
    #[arg(long, help_heading = "Server")]
    pub(crate) no_cache: bool,
    /// Folder that `file:` addresses of requests may name files in; without it they are refused
    #[arg(long, value_name = "FOLDER", help_heading = "Server")]
    pub(crate) media_root: Option<PathBuf>,
    /// Fetch films of requests from this domain and those below it only (may be given several times) [default: from
    /// every public address]
    #[arg(long, value_name = "DOMAIN", help_heading = "Server")]
    pub(crate) fetch_domain: Vec<String>,
    /// Fetch from private addresses, too, such as those of the local network
    #[arg(long, help_heading = "Server")]
    pub(crate) fetch_private: bool,
    /// Decode media in this process, without the cage that keeps a hostile file away from the rest
    #[arg(long, help_heading = "Server")]
    pub(crate) no_sandbox: bool,
    /// Requests that run or wait at once; more are told to come again (429)
    #[arg(long, value_name = "N", value_parser = positive, default_value_t = 128, help_heading = "Server")]
    pub(crate) max_requests: usize,
    /// Sequences that are computed at once
    #[arg(long, value_name = "N", value_parser = positive, default_value_t = 64, help_heading = "Server")]
    pub(crate) max_sequences: usize,
    /// Most frames of a film
    #[arg(long, value_name = "N", value_parser = frames, default_value_t = 2048, help_heading = "Server")]
    pub(crate) max_frames: usize,
    /// Most tokens of an answer; what a request wants more is cut
    #[arg(long, value_name = "N", value_parser = tokens, default_value_t = 8192, help_heading = "Server")]
    pub(crate) max_new_tokens: usize,
    /// MB of keys and values [default: a quarter of the memory, at most 8192]
    #[arg(long, value_name = "MB", value_parser = positive, help_heading = "Server")]
    pub(crate) cache_memory: Option<usize>,
    /// MB of a body of JSON
    #[arg(long, value_name = "MB", value_parser = positive, default_value_t = 64, help_heading = "Server")]
    pub(crate) max_body: usize,
    /// MB of one file that is fetched from the web
    #[arg(long, value_name = "MB", value_parser = positive, default_value_t = 256, help_heading = "Server")]
    pub(crate) max_fetch: usize,
    /// MB of one uploaded file
    #[arg(long, value_name = "MB", value_parser = positive, default_value_t = 4096, help_heading = "Server")]
    pub(crate) max_file: usize,
    /// MB of all uploaded and fetched files
    #[arg(long, value_name = "MB", value_parser = positive, default_value_t = 20480, help_heading = "Server")]
    pub(crate) max_files: usize,
    /// Seconds that a request may take
    #[arg(long, value_name = "SECONDS", value_parser = positive, default_value_t = 3600, help_heading = "Server")]
    pub(crate) request_time: usize,
    /// Seconds that running answers may go on when the server is told to end
    #[arg(long, value_name = "SECONDS", value_parser = positive, default_value_t = 10, help_heading = "Server")]
    pub(crate) drain_time: usize,
    /// How the log is written: a line a request on standard error
    #[arg(long, value_enum, default_value = "text", help_heading = "Server")]
    pub(crate) log: LogFormat,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}
