//! H.264 through `rusty_h264-decoder`: progressive 8-bit 4:2:0, the fast one.

use rusty_h264_decoder::{DecodeError, Decoder};

use super::nal::{Parameters, avc_droppable, malformed, units};
use super::{Decode, Picture, h264_second, unsupported};
use crate::error::MediaError;
use crate::limits::Limits;
use crate::yuv::{Samples, Yuv};

/// The first choice for H.264.
pub(super) struct First {
    decoder: Decoder,
    prefix: usize,
    limits: Limits,
    annex_b: Vec<u8>,
}

impl First {
    /// Feeds the parameter sets after checking their sizes.
    pub(super) fn new(parameters: &Parameters, limits: &Limits) -> Result<Self, MediaError> {
        let mut first =
            First { decoder: Decoder::new(), prefix: parameters.prefix, limits: limits.clone(), annex_b: Vec::new() };
        let sets: Vec<&[u8]> = parameters.sets.iter().map(Vec::as_slice).collect();
        first.feed(&sets)?;
        Ok(first)
    }

    fn feed(&mut self, units: &[&[u8]]) -> Result<Option<Yuv>, MediaError> {
        self.annex_b.clear();
        for unit in units {
            h264_second::check_unit(unit, &self.limits)?;
            self.annex_b.extend_from_slice(&[0, 0, 1]);
            self.annex_b.extend_from_slice(unit);
        }
        let frame = self.decoder.decode(&self.annex_b).map_err(explain)?;
        Ok(frame.map(|f| Yuv {
            width: f.width,
            height: f.height,
            depth: 8,
            half_columns: true,
            half_rows: true,
            interlaced: false,
            left: true,
            planes: [f.y, f.u, f.v].map(Samples::Byte),
        }))
    }
}

impl Decode for First {
    fn push(&mut self, sample: usize, data: &[u8], wanted: bool, out: &mut Vec<Picture>) -> Result<(), MediaError> {
        let units = units(data, self.prefix);
        if !wanted && avc_droppable(&units) {
            return Ok(());
        }
        match self.feed(&units)? {
            Some(yuv) => out.push(Picture { sample, yuv, colour: None }),
            // Every access unit holds a whole picture here; this decoder does not hold pictures back.
            None => return Err(malformed("H.264 stream", format!("frame {sample} is incomplete"))),
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<Picture>) -> Result<(), MediaError> {
        Ok(())
    }
}

fn explain(error: DecodeError) -> MediaError {
    match error {
        DecodeError::Unsupported(what) => unsupported(format!("H.264 coding tool ({what})")),
        error => malformed("H.264 stream", error.to_string()),
    }
}
