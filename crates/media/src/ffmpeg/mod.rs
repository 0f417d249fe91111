//! The system's FFmpeg as a child process, for everything without an embedded decoder.
//!
//! The program is `ZOETROPE_FFMPEG`, else `ffmpeg` on the PATH. Opening runs it once over the file for exact frame
//! times: the `showinfo` filter on every frame, which costs one decode. Taking frames runs it again, with the requested
//! frames selected before the pipe.
//!
//! It gets the file as its standard input and may open nothing else (`input.rs`). Its memory is limited, and it is
//! killed when its time is over. H.264, HEVC, VP9, AV1 and images need nothing of this.

pub(crate) mod clip;
pub(crate) mod frames;
pub(crate) mod input;
pub(crate) mod open_file;

mod process;
mod select;
mod showinfo;
