//! Media of a request: sources of frames, frames to patches, patches to features and visual tokens.

mod encode;
mod faults;
mod file;
mod frames;
mod patches;
mod source;

pub use encode::{EncodeJob, EncodeProgress, EncodeTimings, EncodedMedia, project};
pub use faults::FrameFaults;
pub use file::open_file;
pub use frames::PlannedFrames;
pub use patches::{CHUNK_PATCHES, PatchStream, PreparedFrames, frames_per_run};
pub use source::{FrameIter, InMemory, MediaInput, MediaSource, SourceFrame};
