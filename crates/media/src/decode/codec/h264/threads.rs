//! H.264 through the frame threads of `rust_h264`: several pictures at a time, for progressive streams.

use rust_h264::decoder::Frame;
use rust_h264::threading::ThreadedDecoder;

use super::super::decoder::{DecodedFrame, VideoDecoder};
use super::super::non_reference::needed_h264;
use super::rust_h264::yuv_image;
use super::sps::{check_size, explain, is_sps, parse_unit};
use super::sps_syntax::SpsSyntax;
use crate::container::nal::parameter_sets::ParameterSets;
use crate::container::nal::picture_order::PendingPictures;
use crate::error::{MediaError, malformed, unsupported};
use crate::options::limits::Limits;

/// The second decoder for H.264 on several threads. Any damage is an error: it conceals what the one on a single thread
/// drops.
pub(in super::super) struct RustH264Threads {
    decoder: ThreadedDecoder,
    pending: PendingPictures,
    length_size: usize,
    limits: Limits,
}

impl RustH264Threads {
    /// Feeds the parameter sets after checking their sizes. Up to `threads` pictures are decoded at a time.
    pub(in super::super) fn new(
        parameters: &ParameterSets,
        limits: &Limits,
        threads: usize,
    ) -> Result<Self, MediaError> {
        let (decoder, pending) = (ThreadedDecoder::new(threads), PendingPictures::h264(parameters));
        let length_size = parameters.length_size;
        let mut new = RustH264Threads { decoder, pending, length_size, limits: limits.clone() };
        for set in &parameters.sets {
            new.push_unit(set, &mut Vec::new())?;
        }
        Ok(new)
    }

    fn push_unit(&mut self, unit: &[u8], out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        check_size(unit, &self.limits)?;
        if is_sps(unit) && !SpsSyntax::from_sps(unit).is_some_and(|syntax| syntax.frames_only) {
            return Err(unsupported("fields of H.264 on several threads".into()));
        }
        let frames = self.decoder.decode_nal(&parse_unit(unit)).map_err(explain)?;
        self.give(frames, out)
    }

    fn give(&mut self, frames: Vec<Frame>, out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        for frame in frames {
            let order = frame.pic_order_cnt;
            let Some(sample) = self.pending.take(order) else {
                return Err(unsupported(format!("H.264 picture of unknown order {order} on several threads")));
            };
            out.push(DecodedFrame { sample, yuv: yuv_image(&frame, false)?, color: None });
        }
        Ok(())
    }
}

impl VideoDecoder for RustH264Threads {
    fn push(
        &mut self,
        sample: usize,
        data: &[u8],
        requested: bool,
        out: &mut Vec<DecodedFrame>,
    ) -> Result<(), MediaError> {
        let Some(units) = needed_h264(data, self.length_size, requested) else { return Ok(()) };
        if !self.pending.push(sample, &units) {
            return Err(malformed("H.264 stream", format!("frame {sample} does not tell its order")));
        }
        units.into_iter().try_for_each(|unit| self.push_unit(unit, out))
    }

    fn finish(&mut self, out: &mut Vec<DecodedFrame>) -> Result<(), MediaError> {
        let frames = self.decoder.flush();
        self.give(frames, out)
    }
}
