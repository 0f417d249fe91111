//! Several sample descriptions of one track: parameter sets change at a sample of the file.

use super::super::nal::parameter_sets::ParameterSets;
use super::super::sample::layout::SampleLayout;
use super::stbl::stsd::VideoSampleEntry;
use super::unedited_sample::UneditedSample;

/// How samples are read that follow `entries`: the decoder is set up for the first one, so keyframes of the others
/// begin with the parameter sets of their own. Samples of another codec than the first entry's are dropped.
pub(super) fn apply(
    entries: &[VideoSampleEntry],
    samples: &mut Vec<UneditedSample>,
    warnings: &mut Vec<String>,
) -> SampleLayout {
    let Some((first, others)) = entries.split_first() else { return SampleLayout::Ranges };
    if others.is_empty() || samples.iter().all(|sample| sample.description == 0) {
        return SampleLayout::Ranges;
    }
    let entry = |sample: &UneditedSample| entries.get(sample.description as usize).unwrap_or(first);
    let all = samples.len();
    let mut other_codec = String::new();
    samples.retain(|sample| {
        let same = entry(sample).codec == first.codec;
        if !same {
            other_codec = entry(sample).codec.name().to_string();
        }
        same
    });
    if samples.len() < all {
        let (left_out, codec) = (all - samples.len(), first.codec.name());
        warnings.push(format!("{left_out} frames are {other_codec}, the others {codec}: they are left out"));
    }
    let prefixes: Vec<Vec<u8>> = entries.iter().map(|entry| prefix(first, entry)).collect();
    // Chunks follow one description each, so these change at few places of the file.
    let mut places: Vec<(u64, u32)> = samples.iter().map(|sample| (sample.offset, sample.description)).collect();
    places.sort_unstable();
    places.dedup_by_key(|place| place.1);
    let sets = |description: u32| prefixes.get(description as usize).cloned().unwrap_or_default();
    let changes: Vec<_> = places.into_iter().map(|(offset, description)| (offset, sets(description))).collect();
    match changes.iter().all(|(_, sets)| sets.is_empty()) {
        true => SampleLayout::Ranges,
        false => SampleLayout::WithParameterSets(changes),
    }
}

/// The parameter sets of `entry` as NAL units with lengths as in the samples; empty when they are those of `first`.
fn prefix(first: &VideoSampleEntry, entry: &VideoSampleEntry) -> Vec<u8> {
    let read = |entry: &VideoSampleEntry| {
        ParameterSets::read(&entry.codec, &entry.extradata, entry.length_prefixed).unwrap_or_default()
    };
    let (own, before) = (read(entry), read(first));
    if own.sets == before.sets { Vec::new() } else { own.framed(before.length_size) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::description::Color;
    use crate::container::track::{Codec, Crop};

    fn entry(codec: Codec, picture_set: u8) -> VideoSampleEntry {
        // One sequence parameter set of two bytes and one picture parameter set of one, lengths of 4 bytes.
        let extradata = vec![1, 100, 0, 30, 0xff, 0xe1, 0, 2, 0x67, 1, 1, 0, 1, picture_set];
        VideoSampleEntry {
            codec,
            extradata,
            length_prefixed: true,
            width: 64,
            height: 48,
            sar: None,
            color: Color::default(),
            crop: Crop::default(),
            crop_warning: None,
        }
    }

    fn samples(descriptions: &[u32]) -> Vec<UneditedSample> {
        let sample = |(n, &description): (usize, &u32)| UneditedSample {
            offset: 100 * n as u64,
            size: 10,
            dts: n as i64,
            composition_offset: 0,
            duration: 1,
            keyframe: n % 2 == 0,
            description,
        };
        descriptions.iter().enumerate().map(sample).collect()
    }

    #[test]
    fn keyframes_of_another_description_begin_with_its_parameter_sets() {
        let entries = [entry(Codec::H264, 0x68), entry(Codec::H264, 0x69)];
        let (mut all, mut warnings) = (samples(&[0, 0, 1, 1]), Vec::new());
        let layout = apply(&entries, &mut all, &mut warnings);
        let SampleLayout::WithParameterSets(changes) = layout else { panic!("{layout:?}") };
        assert_eq!((all.len(), warnings.len()), (4, 0));
        assert_eq!(changes, [(0, vec![]), (200, vec![0, 0, 0, 2, 0x67, 1, 0, 0, 0, 1, 0x69])]);
        let same = [entry(Codec::H264, 0x68), entry(Codec::H264, 0x68)];
        assert!(matches!(apply(&same, &mut all, &mut warnings), SampleLayout::Ranges));
    }

    #[test]
    fn frames_of_another_codec_are_left_out_with_a_warning() {
        let entries = [entry(Codec::H264, 0x68), entry(Codec::Hevc, 0x68)];
        let (mut all, mut warnings) = (samples(&[0, 1, 1]), Vec::new());
        apply(&entries, &mut all, &mut warnings);
        assert_eq!(
            (all.len(), &warnings[..]),
            (1, &["2 frames are HEVC, the others H.264: they are left out".into()][..])
        );
    }
}
