//! Which access unit a picture comes from, told by its picture order count (POC).

use std::collections::VecDeque;

use super::h264::H264Headers;
use super::hevc::HevcHeaders;
use super::parameter_sets::ParameterSets;

/// The headers of a stream.
enum Headers {
    H264(H264Headers),
    Hevc(HevcHeaders),
}

/// Access units whose pictures are still to come, in decoding order.
pub(crate) struct PendingPictures {
    headers: Headers,
    /// Sample and picture order count.
    pending: VecDeque<(usize, i64)>,
}

impl PendingPictures {
    /// For an H.264 stream with these parameter sets.
    pub(crate) fn h264(parameters: &ParameterSets) -> Self {
        Self::new(Headers::H264(H264Headers::default()), parameters)
    }

    /// For an HEVC stream with these parameter sets.
    pub(crate) fn hevc(parameters: &ParameterSets) -> Self {
        Self::new(Headers::Hevc(HevcHeaders::default()), parameters)
    }

    fn new(headers: Headers, parameters: &ParameterSets) -> Self {
        let mut new = PendingPictures { headers, pending: VecDeque::new() };
        let sets: Vec<&[u8]> = parameters.sets.iter().map(Vec::as_slice).collect();
        new.order(&sets);
        new
    }

    /// Takes the access unit of `sample`. False when its headers do not tell the picture order count.
    #[must_use]
    pub(crate) fn push(&mut self, sample: usize, units: &[&[u8]]) -> bool {
        let order = self.order(units);
        self.pending.extend(order.map(|order| (sample, order)));
        order.is_some()
    }

    /// The sample of a picture that came out; `None` when no access unit with its picture order count is pending.
    ///
    /// Of several coded video sequences, pictures come out in the order of the sequences.
    pub(crate) fn take(&mut self, order: i32) -> Option<usize> {
        let at = self.pending.iter().position(|pending| pending.1 == i64::from(order))?;
        self.pending.remove(at).map(|pending| pending.0)
    }

    /// [`PendingPictures::take`] for a decoder that gives pictures in decoding order. Access units before that of the
    /// picture have none (HEVC: skipped leading pictures).
    pub(crate) fn take_in_decoding_order(&mut self, order: i32) -> Option<usize> {
        let at = self.pending.iter().position(|pending| pending.1 == i64::from(order))?;
        self.pending.drain(..=at).next_back().map(|pending| pending.0)
    }

    fn order(&mut self, units: &[&[u8]]) -> Option<i64> {
        let facts = match &mut self.headers {
            Headers::H264(headers) => {
                units.iter().any(|unit| headers.unit(unit));
                headers.end()
            }
            Headers::Hevc(headers) => {
                units.iter().any(|unit| headers.unit(unit));
                headers.end()
            }
        };
        facts.and_then(|facts| facts.order).map(|order| order.1)
    }
}
