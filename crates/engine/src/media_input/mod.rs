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

pub(crate) use encode::PROJECTED_FRAMES;
pub use encode::{EncodeJob, EncodeProgress, EncodeTimings, EncodedMedia, MediaFeatures, project};
pub use faults::FrameFaults;
pub use file::open_file;
pub use frame_list::FrameList;
pub(crate) use frame_list::{as_one_a_second, with_own_times};
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
