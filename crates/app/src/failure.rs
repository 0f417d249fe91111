//! Errors as people read them: one line with the cause, one with what to do, and an exit code.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::ExitCode;

use zoetrope_engine::EngineError;
use zoetrope_hub::HubError;
use zoetrope_lab::LabError;
use zoetrope_media::MediaError;
use zoetrope_models::error::ModelError;

use crate::terminal;

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something went wrong: the cause, and what to do about it. Exit code 1.
    Error(String, Option<String>),
    /// The command line does not make sense. Exit code 2.
    Usage(String, Option<String>),
    /// Whoever read our output has closed it; nothing to say. Exit code 0.
    Closed,
    /// Something went wrong and was told already. Exit code 1.
    Reported,
    /// Interrupted by Ctrl-C after saying what there was. Exit code 130.
    Interrupted,
}

impl Failure {
    /// An error without advice.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Failure::Error(text.into(), None)
    }

    /// A mistake in the command line with advice.
    pub(crate) fn usage(text: impl Into<String>, hint: &str) -> Self {
        Failure::Usage(text.into(), Some(hint.to_string()))
    }

    /// An error about a file.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        Failure::new(format!("{}: {}", path.display(), io_words(error)))
    }

    /// Takes `part` out of the words.
    pub(crate) fn without(self, part: &str) -> Self {
        match self {
            Failure::Error(text, hint) => Failure::Error(text.replace(part, ""), hint),
            other => other,
        }
    }

    /// Puts `words` before the cause.
    pub(crate) fn after(self, words: &str) -> Self {
        match self {
            Failure::Error(text, hint) => Failure::Error(format!("{words}{text}"), hint),
            Failure::Usage(text, hint) => Failure::Usage(format!("{words}{text}"), hint),
            other => other,
        }
    }

    /// What there is to say: the cause, and what to do about it.
    pub(crate) fn words(&self) -> Option<(&str, Option<&str>)> {
        match self {
            Failure::Error(text, hint) | Failure::Usage(text, hint) => Some((text, hint.as_deref())),
            Failure::Closed | Failure::Reported | Failure::Interrupted => None,
        }
    }

    /// Writes it to standard error; the exit code of the process.
    pub(crate) fn report(&self) -> ExitCode {
        if let Some((text, hint)) = self.words() {
            terminal::note(&format!("error: {}", terminal::one_line(text)));
            if let Some(hint) = hint {
                terminal::note(&format!("  hint: {}", terminal::one_line(hint)));
            }
        }
        match self {
            Failure::Error(..) | Failure::Reported => ExitCode::from(1),
            Failure::Usage(..) => ExitCode::from(2),
            Failure::Closed => ExitCode::SUCCESS,
            Failure::Interrupted => ExitCode::from(130),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Media { name, error } => media(&name, &error),
            EngineError::Model(error) => error.into(),
            EngineError::Limit { what, .. } => {
                let hint = limit_hint(what).map(str::to_string);
                Failure::Error(error.to_string(), hint)
            }
            other => Failure::new(other.to_string()),
        }
    }
}

impl From<LabError> for Failure {
    fn from(error: LabError) -> Self {
        match error {
            LabError::Model(error) => error.into(),
            LabError::Engine(error) => error.into(),
            LabError::Cancelled => Failure::Interrupted,
            other => Failure::new(other.to_string()),
        }
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let hint = match &error {
            ModelError::File { file, .. } if file.extension().is_some_and(|extension| extension == "gguf") => {
                Some("--language takes a whole GGUF file of a model like the language part")
            }
            ModelError::Incomplete { .. } => {
                Some("the model folder is not complete or not intact; `zoetrope pull NAME` downloads a model again")
            }
            ModelError::Limit { what, .. } => limit_hint(what),
            _ => None,
        };
        Failure::Error(error.to_string(), hint.map(str::to_string))
    }
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        let error = match error {
            HubError::Refused(error) => {
                return error.downcast::<ModelError>().map_or_else(|e| Failure::new(e.to_string()), |e| (*e).into());
            }
            error => error,
        };
        let hint = match &error {
            HubError::Caller(_) => Some("--model takes a folder, or a hub name such as DAMO-NLP-SG/VideoLLaMA3-2B"),
            HubError::Network { .. } => Some("HF_ENDPOINT names another hub; --model also takes a folder"),
            HubError::Certificate { .. } => {
                Some("SSL_CERT_FILE names the file with the certificate of your company's authority")
            }
            HubError::ReadOnly { .. } => Some("HF_HUB_CACHE names another folder for the cache"),
            HubError::Space { .. } => Some("HF_HUB_CACHE names a folder on another disk"),
            HubError::Offline { .. } => Some("unset HF_HUB_OFFLINE, or give --model a folder"),
            _ => None,
        };
        Failure::Error(error.to_string(), hint.map(str::to_string))
    }
}

/// An error of the `media` crate about the file `name`.
pub(crate) fn media(name: &str, error: &MediaError) -> Failure {
    let (text, hint) = match error {
        MediaError::Io(error) if error.kind() == ErrorKind::NotFound && is_address(name) => {
            ("an address, and media are not fetched".to_string(), Some("download the file first, and name its path"))
        }
        MediaError::Io(error) => (io_words(error), io_hint(error)),
        MediaError::Malformed { .. } if Path::new(name).is_dir() => {
            (error.to_string(), Some("a folder is one video whose frames it holds; several files are named one by one"))
        }
        MediaError::Malformed { .. } => {
            (error.to_string(), Some("the file is damaged, incomplete, or not what its name says"))
        }
        MediaError::Limit { .. } => (
            error.to_string(),
            Some("the limit protects this machine's memory; convert the file to a smaller one first"),
        ),
        _ => (error.to_string(), None),
    };
    Failure::Error(format!("{name}: {text}"), hint.map(str::to_string))
}

/// Whether a name of a file begins as an address does.
fn is_address(name: &str) -> bool {
    let is_scheme = |scheme: &str| scheme.len() > 1 && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'+');
    name.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme))
}

fn io_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such file".to_string(),
        ErrorKind::PermissionDenied => "permission denied".to_string(),
        ErrorKind::IsADirectory => "is a folder, not a file".to_string(),
        ErrorKind::NotADirectory => "a part of this path is a file, not a folder".to_string(),
        ErrorKind::AlreadyExists => "there is a file of this name already".to_string(),
        ErrorKind::StorageFull => "no space left on the device".to_string(),
        ErrorKind::QuotaExceeded => "your quota of this disk is used up".to_string(),
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_string(),
        _ => error.to_string(),
    }
}

fn io_hint(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::NotFound => Some("check the spelling and the folder"),
        ErrorKind::IsADirectory => Some("name a file"),
        _ => None,
    }
}

fn limit_hint(what: &str) -> Option<&'static str> {
    match what {
        "pictures and videos of a conversation" => {
            Some("--max-media allows more; a folder of pictures is shown as one video")
        }
        "characters of a message" => Some("shorten the question"),
        "prompt tokens" => Some("shorten the question, or lower --max-visual-tokens, --max-frames or --fps"),
        "visual tokens" => Some("lower --max-visual-tokens, --max-frames or --fps, or use --start and --end"),
        "tokens of the answer" => Some("lower --max-new-tokens"),
        "bytes of keys and values" => {
            Some("lower --max-new-tokens or --max-visual-tokens, or use --kv-cache-dtype int8")
        }
        _ => None,
    }
}
