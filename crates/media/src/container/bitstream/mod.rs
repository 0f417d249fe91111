//! The index pass: the first bytes of samples correct what the container states about them.
//!
//! A container's statements are hints. Muxers call every sample a keyframe or the wrong ones, leave out presentation
//! times, and list frames that are never shown. The pass looks at the samples that the container calls keyframes and at
//! the first few. Only where these contradict the container does it look at all samples, so that a long file opens as
//! fast as before when it tells the truth.

pub(super) mod headers;
pub(super) mod keyframes;
pub(super) mod order;

mod av1;
mod vpx;

use super::byte_source::ByteSource;
use super::sample::facts::SampleFacts;
use super::sample::layout::SampleLayout;
use super::track::{Codec, Sample, VideoTrack};
use crate::error::MediaError;
use headers::HeaderReader;

/// Samples that are looked at whatever the container says of them.
const FIRST: usize = 64;

/// Corrects the keyframes of samples that lie in one piece, before an edit list is applied, which begins at keyframes.
/// `configuration` is that of the track and whether units have lengths.
///
/// # Errors
/// `Io` when the file cannot be read.
pub(super) fn correct_keyframes(
    source: &ByteSource,
    codec: &Codec,
    configuration: (&[u8], bool),
    samples: &mut [Sample],
    warnings: &mut Vec<String>,
) -> Result<(), MediaError> {
    let Some(mut reader) = HeaderReader::new(source, &[], codec, configuration) else { return Ok(()) };
    let head = reader.facts(samples, 0..samples.len().min(FIRST))?;
    if keyframes::wrong(&mut reader, samples, &head)? {
        let facts = reader.facts(samples, 0..samples.len())?;
        set_keyframes(samples, &facts, warnings);
    }
    Ok(())
}

fn set_keyframes(samples: &mut [Sample], facts: &[Option<SampleFacts>], warnings: &mut Vec<String>) {
    let count = |samples: &[Sample]| samples.iter().filter(|sample| sample.keyframe).count();
    let stated = count(samples);
    keyframes::set(samples, facts);
    if stated > 0 {
        warnings.push(format!("the file calls {stated} frames keyframes, {} are", count(samples)));
    }
}

/// Corrects the samples of `track`. Transport streams have looked at all bytes already.
///
/// # Errors
/// `Io` when the file cannot be read.
pub(super) fn correct(
    source: &ByteSource,
    layout: &SampleLayout,
    track: &mut VideoTrack,
    warnings: &mut Vec<String>,
) -> Result<(), MediaError> {
    let Some(mut reader) = HeaderReader::of_track(source, layout, track) else { return Ok(()) };
    let first = track.samples.len().min(FIRST);
    let head = reader.facts(&track.samples, 0..first)?;
    let wrong = keyframes::wrong(&mut reader, &track.samples, &head)?;
    let reorders = order::is_missing(&track.samples, &head);
    let hides = head.iter().flatten().any(|facts| facts.hidden);
    if !(wrong || reorders || hides) {
        return Ok(());
    }
    let facts = reader.facts(&track.samples, 0..track.samples.len())?;
    if wrong {
        set_keyframes(&mut track.samples, &facts, warnings);
    }
    if reorders {
        order::restore(&mut track.samples, &facts);
        warnings.push("the file has no presentation times, frames are in the order that the video itself gives".into());
    }
    let hidden = |facts: &Option<SampleFacts>| facts.is_some_and(|facts| facts.hidden);
    if hides && !facts.iter().all(hidden) {
        let samples = track.samples.iter_mut().zip(&facts).filter(|(_, facts)| hidden(facts));
        samples.for_each(|(sample, _)| sample.shown = false);
    }
    Ok(())
}
