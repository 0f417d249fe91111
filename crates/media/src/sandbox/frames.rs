//! Frames that a sandboxed process decodes.

use std::sync::Arc;

use super::opened_file::OpenedFile;
use super::process::MediaProcess;
use super::wire::{
    DONE, ERROR, FRAME, FrameHead, SHORT, max_frame_bytes, read_contents, read_frame, read_json, read_kind, unexpected,
    write_indices,
};
use super::wire_error::WireError;
use crate::error::MediaError;
use crate::frame::Frame;

/// Frames in the order of the request, made by [`super::SandboxedClip::frames`].
pub struct SandboxedFrames {
    clip: Arc<OpenedFile>,
    /// `None` after the last frame and after a failure.
    process: Option<MediaProcess>,
    /// The counts up to the last frame.
    counts: FrameHead,
}

/// An answer to a request for frames.
enum Answer {
    Frame(FrameHead, Frame),
    Refused(MediaError),
    /// No further frame; how many were lost.
    Done(u64),
}

impl SandboxedFrames {
    pub(super) fn new(clip: Arc<OpenedFile>, mut process: MediaProcess, indices: &[usize]) -> Result<Self, MediaError> {
        if let Err(error) = process.request(|out| write_indices(out, indices)) {
            return Err(process.gone(&error));
        }
        Ok(SandboxedFrames { clip, process: Some(process), counts: FrameHead::default() })
    }

    /// Frames given so far that show a neighbor's image because their own could not be decoded.
    pub fn repeated(&self) -> usize {
        self.counts.repeated as usize
    }

    /// Frames given so far that may show damage.
    pub fn damaged(&self) -> usize {
        self.counts.damaged as usize
    }

    /// Frames left out so far because nothing near them could be decoded.
    pub fn lost(&self) -> usize {
        self.counts.lost as usize
    }
}

impl Iterator for SandboxedFrames {
    type Item = Result<Frame, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        let max_bytes = max_frame_bytes(&self.clip.options.limits);
        let process = self.process.as_mut()?;
        process.begin_answer();
        match answer(process, max_bytes) {
            Ok(Answer::Frame(head, frame)) => {
                self.counts = head;
                Some(Ok(frame))
            }
            Ok(Answer::Refused(error)) => Some(Err(error)),
            Ok(Answer::Done(lost)) => {
                self.counts.lost = lost;
                if let Some(process) = self.process.take() {
                    self.clip.give_back(process);
                }
                None
            }
            Err(error) => {
                let error = process.gone(&error);
                self.process = None;
                Some(Err(error))
            }
        }
    }
}

fn answer(process: &mut MediaProcess, max_bytes: u64) -> std::io::Result<Answer> {
    let input = &mut process.answers;
    match read_kind(input)? {
        FRAME => read_frame(input, max_bytes).map(|(head, frame)| Answer::Frame(head, frame)),
        ERROR => Ok(Answer::Refused(read_json::<WireError>(input, SHORT)?.into())),
        DONE => {
            let lost = read_contents(input, 8)?;
            Ok(Answer::Done(lost.first_chunk::<8>().map_or(0, |lost| u64::from_le_bytes(*lost))))
        }
        other => Err(unexpected(other)),
    }
}
