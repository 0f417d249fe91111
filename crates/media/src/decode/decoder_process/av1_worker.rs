//! The AV1 decoder behind the requests of the parent.

use super::wire::WireFrame;

#[cfg(feature = "av1")]
use zoetrope_system::av1::{Av1Decoder, Av1Frame};

/// Decodes AV1. Without the `av1` feature it refuses every request.
#[derive(Default)]
pub(crate) struct Av1Worker {
    #[cfg(feature = "av1")]
    decoder: Option<Av1Decoder>,
}

#[cfg(feature = "av1")]
impl Av1Worker {
    /// Starts afresh on `threads` threads, with a limit on the pixels of a frame.
    pub(crate) fn reset(&mut self, max_pixels: u64, threads: u32) -> Result<(), String> {
        let max_pixels = u32::try_from(max_pixels).unwrap_or(u32::MAX);
        self.decoder = Some(Av1Decoder::new(max_pixels, threads).map_err(|e| e.to_string())?);
        Ok(())
    }

    /// Decodes one sample and gives the frames that are ready to `emit`.
    pub(crate) fn push(&mut self, sample: u64, data: &[u8], emit: &mut dyn FnMut(WireFrame)) -> Result<(), String> {
        let decoder = self.decoder.as_mut().ok_or("no reset before the first sample")?;
        decoder.push(data, sample as i64, |picture| emit(wire_frame(picture))).map_err(|e| e.to_string())
    }

    /// Gives the frames that the decoder still holds to `emit`.
    pub(crate) fn finish(&mut self, emit: &mut dyn FnMut(WireFrame)) -> Result<(), String> {
        let decoder = self.decoder.as_mut().ok_or("no reset before the end")?;
        decoder.finish(|picture| emit(wire_frame(picture))).map_err(|e| e.to_string())
    }
}

#[cfg(feature = "av1")]
fn wire_frame(picture: Av1Frame) -> WireFrame {
    let Av1Frame { tag, width, height, depth, layout, codes, full_range, planes } = picture;
    let (sample, bit_depth, color_codes) = (tag as u64, depth, codes);
    WireFrame { sample, width, height, bit_depth, layout, color_codes, full_range, planes }
}

#[cfg(not(feature = "av1"))]
impl Av1Worker {
    /// Refuses.
    pub(crate) fn reset(&mut self, _: u64, _: u32) -> Result<(), String> {
        Err("this program was built without the av1 feature".into())
    }

    /// Refuses.
    pub(crate) fn push(&mut self, _: u64, _: &[u8], _: &mut dyn FnMut(WireFrame)) -> Result<(), String> {
        Err("this program was built without the av1 feature".into())
    }

    /// Refuses.
    pub(crate) fn finish(&mut self, _: &mut dyn FnMut(WireFrame)) -> Result<(), String> {
        Err("this program was built without the av1 feature".into())
    }
}
