//! HEVC through the frame threads of `rust_h265`: several pictures at a time.

use rust_h265::{DecodeLimits, Decoder, Frame, parse_nal};

use super::super::decoder::{DecodedFrame, VideoDecoder};
use super::super::non_reference::needed_hevc;
use super::rust_h265::{explain, yuv_image};
use super::sps::check_size;
use crate::container::nal::parameter_sets::ParameterSets;
use crate::container::nal::picture_order::PendingPictures;
use crate::error::{MediaError, malformed, unsupported};
use crate::options::limits::Limits;

/// A decoder for HEVC on several threads. Any damage is an error.
pub(in super::super) struct RustH265Threads {
    decoder: Decoder,
    pending: PendingPictures,
    length_size: usize,
    temporal_layers: u8,
    limits: Limits,
}

impl RustH265Threads {
    /// Feeds the parameter sets after checking their sizes. Up to `threads` pictures are decoded at a time.
    pub(in super::super) fn new(
        parameters: &ParameterSets,
        limits: &Limits,
        threads: usize,
    ) -> Result<Self, MediaError> {
        let bounds = DecodeLimits { max_picture_pixels: limits.pixels, max_picture_memory_bytes: limits.child_bytes };
        let mut new = RustH265Threads {
            decoder: Decoder::with_limits(bounds).with_threads(threads),
            pending: PendingPictures::hevc(parameters),
            length_size: parameters.length_size,
            temporal_layers: parameters.temporal_layers,
            limits: limits.clone(),
        };
        for set in &parameters.sets {
            new.push_unit(set, &mut Vec::new())?;
        }
        Ok(new)
    }

    fn push_unit(&mut self, unit: &[u8], out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        check_size(unit, &self.limits)?;
        let Some(parsed) = parse_nal(unit) else { return Err(malformed("HEVC stream", "a broken unit header")) };
        match self.decoder.decode_nal(&parsed).map_err(explain)? {
            Some(frame) => self.give(frame, out),
            None => Ok(()),
        }
    }

    fn give(&mut self, frame: Frame, out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        let order = frame.pic_order_cnt;
        let Some(sample) = self.pending.take_in_decoding_order(order) else {
            return Err(unsupported(format!("HEVC picture of unknown order {order} on several threads")));
        };
        out.push(DecodedFrame { sample, yuv: yuv_image(frame)?, color: None });
        Ok(())
    }
}

impl VideoDecoder for RustH265Threads {
    fn push(
        &mut self,
        sample: usize,
        data: &[u8],
        requested: bool,
        out: &mut Vec<DecodedFrame>,
    ) -> Result<(), MediaError> {
        let needed = needed_hevc(data, self.length_size, self.temporal_layers, requested);
        let Some(units) = needed else { return Ok(()) };
        if !self.pending.push(sample, &units) {
            return Err(malformed("HEVC stream", format!("frame {sample} does not tell its order")));
        }
        units.into_iter().try_for_each(|unit| self.push_unit(unit, out))
    }

    fn finish(&mut self, out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        while let Some(frame) = self.decoder.flush() {
            self.give(frame, out)?;
        }
        self.decoder.next_error().map_or(Ok(()), |error| Err(explain(error)))
    }
}
