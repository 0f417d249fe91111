//! The facts of samples, read from their first bytes.

use std::ops::Range;

use super::super::byte_source::{ByteSource, PeekReader};
use super::super::nal::h264::H264Headers;
use super::super::nal::hevc::HevcHeaders;
use super::super::nal::parameter_sets::ParameterSets;
use super::super::nal::units::units;
use super::super::sample::facts::SampleFacts;
use super::super::sample::layout::SampleLayout;
use super::super::track::{Codec, Sample, VideoTrack};
use super::{av1, vpx};
use crate::error::MediaError;

/// Bytes of a sample that are looked at first, and those when its first slice lies behind them.
const HEAD: usize = 1024;
const LONG_HEAD: usize = 256 << 10;

/// Follows the headers of a stream.
pub(in super::super) enum Headers {
    H264(H264Headers),
    Hevc(HevcHeaders),
    Vp8,
    Vp9,
    Av1,
}

impl Headers {
    /// For a codec whose headers are known here.
    pub(in super::super) fn new(codec: &Codec) -> Option<Headers> {
        Some(match codec {
            Codec::H264 => Headers::H264(H264Headers::default()),
            Codec::Hevc => Headers::Hevc(HevcHeaders::default()),
            Codec::Vp8 => Headers::Vp8,
            Codec::Vp9 => Headers::Vp9,
            Codec::Av1 => Headers::Av1,
            _ => return None,
        })
    }

    /// Takes a NAL unit. Returns whether the facts of the access unit are complete. Other codecs have none.
    pub(in super::super) fn unit(&mut self, unit: &[u8]) -> bool {
        match self {
            Headers::H264(headers) => headers.unit(unit),
            Headers::Hevc(headers) => headers.unit(unit),
            _ => false,
        }
    }

    /// Ends an access unit of NAL units.
    pub(in super::super) fn end(&mut self) -> Option<SampleFacts> {
        match self {
            Headers::H264(headers) => headers.end(),
            Headers::Hevc(headers) => headers.end(),
            _ => None,
        }
    }
}

/// Reads the facts of samples that lie in one piece.
pub(in super::super) struct HeaderReader<'a> {
    source: &'a ByteSource,
    peek: PeekReader<'a>,
    /// Bytes that each sample begins with and the file does not repeat.
    prefix: &'a [u8],
    codec: Codec,
    parameters: ParameterSets,
}

impl<'a> HeaderReader<'a> {
    /// `None` when nothing is known of the codec or samples lie in packets.
    pub(super) fn of_track(source: &'a ByteSource, layout: &'a SampleLayout, track: &VideoTrack) -> Option<Self> {
        let prefix = match layout {
            SampleLayout::Ranges | SampleLayout::WithParameterSets(_) => &[][..],
            SampleLayout::Prefixed(prefix) => prefix,
            SampleLayout::Zlib(_) | SampleLayout::Packets(_) => return None,
        };
        Self::new(source, prefix, &track.codec, (&track.extradata, track.length_prefixed))
    }

    /// For samples that begin with `prefix`; `configuration` is that of the track and whether units have lengths.
    pub(in super::super) fn new(
        source: &'a ByteSource,
        prefix: &'a [u8],
        codec: &Codec,
        (extradata, length_prefixed): (&[u8], bool),
    ) -> Option<Self> {
        Headers::new(codec)?;
        // The decoder tells what is wrong with a damaged configuration.
        let parameters = ParameterSets::read(codec, extradata, length_prefixed).ok()?;
        let peek = PeekReader::new(source, HEAD);
        Some(HeaderReader { source, peek, prefix, codec: codec.clone(), parameters })
    }

    /// The facts of consecutive samples. What a sample says depends on the parameter sets before it.
    pub(in super::super) fn facts(
        &mut self,
        samples: &[Sample],
        range: Range<usize>,
    ) -> Result<Vec<Option<SampleFacts>>, MediaError> {
        let Some(mut headers) = Headers::new(&self.codec) else { return Ok(vec![None; range.len()]) };
        for set in &self.parameters.sets {
            headers.unit(set);
        }
        samples[range].iter().map(|sample| self.one(sample, &mut headers)).collect()
    }

    /// The facts of one sample, apart from its order.
    pub(super) fn alone(&mut self, sample: &Sample) -> Result<Option<SampleFacts>, MediaError> {
        Ok(self.facts(std::slice::from_ref(sample), 0..1)?.remove(0))
    }

    fn one(&mut self, sample: &Sample, headers: &mut Headers) -> Result<Option<SampleFacts>, MediaError> {
        match headers {
            Headers::H264(_) | Headers::Hevc(_) => {
                let mut complete = false;
                for most in [HEAD, LONG_HEAD] {
                    let head = self.head(sample, most)?;
                    let cut = head.len() < sample.size as usize + self.prefix.len();
                    let all = units(&head, self.parameters.length_size);
                    complete = all.into_iter().any(|unit| headers.unit(unit));
                    if complete || !cut {
                        break;
                    }
                    headers.end();
                }
                Ok(if complete { headers.end() } else { None })
            }
            Headers::Vp8 => Ok(vpx::vp8(&self.head(sample, HEAD)?)),
            Headers::Vp9 => {
                let facts = vpx::vp9(&self.head(sample, HEAD)?);
                match facts {
                    // A hidden frame may have others behind it in one sample (a superframe).
                    Some(facts) if facts.hidden => {
                        let mut last = [0];
                        self.source.read_at(sample.offset + u64::from(sample.size.max(1)) - 1, &mut last)?;
                        Ok(Some(SampleFacts { hidden: !vpx::is_superframe_marker(last[0]), ..facts }))
                    }
                    facts => Ok(facts),
                }
            }
            Headers::Av1 => Ok(av1::facts(&self.head(sample, HEAD)?)),
        }
    }

    fn head(&mut self, sample: &Sample, most: usize) -> Result<Vec<u8>, MediaError> {
        let bytes = self.peek.peek(sample.offset, most.min(sample.size as usize))?;
        Ok([self.prefix, bytes].concat())
    }
}
