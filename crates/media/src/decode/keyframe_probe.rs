//! The probe at opening: one keyframe is decoded to learn the decoder, the true size and the chroma subsampling.

use std::sync::atomic::Ordering;

use super::codec::decoder::DecodedFrame;
use super::decodable_track::DecodableTrack;
use super::decoder_panic::catch_decoder_panic;
use crate::error::{MediaError, malformed};

/// Keyframes tried before the stream is called undecodable.
const MAX_KEYFRAMES: usize = 8;

/// Decodes the first keyframe that decodes, and raises `decoder_index` of the track past decoders that refuse it.
///
/// # Errors
/// The first refusal when no keyframe decodes.
pub(crate) fn probe(track: &DecodableTrack) -> Result<DecodedFrame, MediaError> {
    let mut refusal = None;
    let decoders = track.factory.names().len();
    for &keyframe in track.index.keyframes.iter().take(MAX_KEYFRAMES) {
        for decoder_index in track.decoder_index.load(Ordering::Relaxed)..decoders {
            match decode_keyframe(track, keyframe as usize, decoder_index) {
                Ok(frame) => return Ok(frame),
                Err(error @ MediaError::Limit { .. }) => return Err(error),
                Err(error @ MediaError::Unsupported { .. }) => {
                    track.decoder_index.fetch_max((decoder_index + 1).min(decoders - 1), Ordering::Relaxed);
                    refusal = Some(error);
                }
                Err(error) => refusal = Some(refusal.unwrap_or(error)),
            }
        }
        if matches!(refusal, Some(MediaError::Unsupported { .. } | MediaError::Bug(_))) {
            break;
        }
    }
    Err(match refusal {
        Some(MediaError::Malformed { what, .. }) => {
            let codec = track.movie.track.codec.name();
            malformed("video stream", format!("no frame of the {codec} could be decoded ({what})"))
        }
        Some(error) => error,
        None => malformed("video stream", "it has no key frame"),
    })
}

fn decode_keyframe(track: &DecodableTrack, keyframe: usize, decoder_index: usize) -> Result<DecodedFrame, MediaError> {
    let data = track.movie.read_sample(&track.source, keyframe)?;
    catch_decoder_panic("video stream", || {
        let mut decoder = track.factory.make(decoder_index)?;
        let mut frames = Vec::new();
        decoder.push(keyframe, &data, true, &mut frames)?;
        decoder.finish(&mut frames)?;
        let missing = || malformed("video stream", format!("key frame {keyframe} gave no picture"));
        frames.into_iter().next().ok_or_else(missing)
    })
}
