//! Media of a request: sources of frames, frames to patches, patches to features and visual tokens.

mod encode;
mod faults;
mod file;
mod frame_list;
mod frames;
mod index;
mod kept;
mod key;
mod patches;
#[cfg(unix)]
mod sandboxed;
mod source;
mod stored;
mod subtitles;

pub use encode::{EncodeJob, EncodeProgress, EncodeTimings, EncodedMedia, MediaFeatures};
pub use faults::FrameFaults;
pub use file::{open_bytes, open_file, open_part};
pub(crate) use frame_list::plan_chosen;
pub use frame_list::{FrameList, plan_sources};
pub use frames::PlannedFrames;
pub use index::{IndexJob, IndexProgress};
pub(crate) use kept::{file_bytes as kept_bytes, keep};
pub(crate) use key::{MediaIdentity, MediaKey};
pub use patches::{CHUNK_PATCHES, PatchStream, PreparedFrames, frames_per_run};
#[cfg(unix)]
pub use sandboxed::sandboxed_source;
pub use source::{
    ContentDigest, FoundSubtitles, FrameIter, InMemory, MediaInput, MediaSource, OpenedMedia, SourceFrame,
};
pub use stored::FeatureIndex;
pub(crate) use stored::encoded as stored_media;
