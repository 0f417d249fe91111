//! The trait of all decoders, and what they give out.

use crate::color::description::Color;
use crate::color::yuv::YuvImage;
use crate::container::track::Orientation;
use crate::error::MediaError;

/// One decoded frame, before color conversion.
#[derive(Debug)]
pub(crate) struct DecodedFrame {
    /// The sample (decoding order) whose access unit it came from.
    pub(crate) sample: usize,
    /// Luma and chroma.
    pub(crate) yuv: YuvImage,
    /// The color description of the bitstream, where only the decoder knows it (AV1).
    pub(crate) color: Option<Color>,
}

/// A decoder of one run of samples from a keyframe on. A fresh one is made for every run.
///
/// Errors of `push` and `finish` leave the decoder usable. The caller decides whether to go on (concealing what is
/// missing), to try the next decoder from the keyframe on, or to give up.
pub(crate) trait VideoDecoder: Send {
    /// Feeds one sample. `requested` is false for a sample whose frame nobody needs: when no other frame refers to it,
    /// it is not decoded at all.
    fn push(
        &mut self,
        sample: usize,
        data: &[u8],
        requested: bool,
        out: &mut Vec<DecodedFrame>,
    ) -> Result<(), MediaError>;

    /// Gives out every frame still held.
    fn finish(&mut self, out: &mut Vec<DecodedFrame>) -> Result<(), MediaError>;
}

/// Whether the words in which a decoder calls something unsupported tell of damage: of values that no stream has, or of
/// frames that are not there. Only a coding tool can be read by installing another program.
pub(super) fn tells_damage(refusal: &str) -> bool {
    ["without reference", "invalid", "out of range", "exceeds"].iter().any(|words| refusal.contains(words))
}

/// Pushes the units of a sample one by one and goes on after a damaged one, whose error is the inner result.
///
/// # Errors
/// `Limit` and `Unsupported`, which end the sample.
pub(super) fn push_units(
    units: Vec<&[u8]>,
    mut push: impl FnMut(&[u8]) -> Result<(), MediaError>,
) -> Result<Result<(), MediaError>, MediaError> {
    let mut first_error = Ok(());
    for unit in units {
        match push(unit) {
            Err(error @ (MediaError::Limit { .. } | MediaError::Unsupported { .. })) => return Err(error),
            result => first_error = first_error.and(result),
        }
    }
    Ok(first_error)
}

/// What the headers of a bitstream say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BitstreamInfo {
    /// Name of the profile; empty when unknown.
    pub(crate) profile: String,
    /// Color description.
    pub(crate) color: Color,
    /// Sample aspect ratio, where it is stated.
    pub(crate) sample_aspect: Option<(u32, u32)>,
    /// Flip and turn for display, where it is stated.
    pub(crate) orientation: Option<Orientation>,
}
