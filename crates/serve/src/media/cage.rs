//! Where files of strangers are opened: in processes without rights, where the system has them.

#[cfg(unix)]
mod processes {
    use std::path::Path;
    use std::sync::Arc;

    use zoetrope_engine::{EngineError, Limits, MediaSource, sandboxed_source};
    use zoetrope_media::MediaError;
    use zoetrope_media::sandbox::Sandbox;
    pub use zoetrope_media::sandbox::SandboxOptions;

    /// Processes that open and decode.
    pub(crate) struct Cage(Sandbox);

    impl Cage {
        pub(crate) fn start(options: SandboxOptions) -> Result<Self, MediaError> {
            Sandbox::start(options).map(Cage)
        }

        pub(crate) fn open(
            &self,
            path: &Path,
            name: &str,
            limits: &Limits,
        ) -> Result<Arc<dyn MediaSource>, EngineError> {
            match self.0.open(path, &limits.files) {
                Ok(clip) => Ok(sandboxed_source(name, clip, limits.files.subtitles.clone())),
                Err(error) => Err(EngineError::Media { name: name.to_string(), error }),
            }
        }
    }
}

#[cfg(not(unix))]
mod processes {
    use std::path::Path;
    use std::sync::Arc;

    use zoetrope_engine::{EngineError, Limits, MediaSource, open_file};
    use zoetrope_media::MediaError;

    /// What such processes may use; there are none on this system.
    #[derive(Clone, Debug, Default)]
    pub struct SandboxOptions;

    /// This process.
    pub(crate) struct Cage;

    impl Cage {
        pub(crate) fn start(_: SandboxOptions) -> Result<Self, MediaError> {
            tracing::warn!("media are decoded in this process: this system has no cage for them");
            Ok(Cage)
        }

        pub(crate) fn open(
            &self,
            path: &Path,
            _name: &str,
            limits: &Limits,
        ) -> Result<Arc<dyn MediaSource>, EngineError> {
            open_file(path, limits)
        }
    }
}

pub(crate) use processes::Cage;
pub use processes::SandboxOptions;
