//! The wire format between the parent and a decoder process.
//!
//! A message is one request (`R` reset, `P` one sample, `F` the end of the samples) and then answers (`p` frame, `e`
//! error text) up to `d` (done).
//! Numbers are little-endian. Before the first request the process says [`HELLO`].

use std::io::{self, Read, Write};

/// What a decoder process says first.
pub(crate) const HELLO: &[u8; 8] = b"ztchild2";

/// A decoded frame as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WireFrame {
    /// The sample (decoding order) it came from.
    pub(crate) sample: u64,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) bit_depth: u8,
    /// Chroma layout: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub(crate) layout: u8,
    /// Matrix, primaries and transfer codes.
    pub(crate) color_codes: [u8; 3],
    pub(crate) full_range: bool,
    /// Y, U and V without padding, two bytes per value above 8 bits.
    pub(crate) planes: [Vec<u8>; 3],
}

impl WireFrame {
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"p")?;
        out.write_all(&self.sample.to_le_bytes())?;
        out.write_all(&self.width.to_le_bytes())?;
        out.write_all(&self.height.to_le_bytes())?;
        let [matrix, primaries, transfer] = self.color_codes;
        out.write_all(&[self.bit_depth, self.layout, matrix, primaries, transfer, u8::from(self.full_range)])?;
        self.planes.iter().try_for_each(|plane| out.write_all(plane))
    }

    /// Reads what `write` wrote, after the `p`. The size is checked against `max_pixels` before anything is allocated.
    fn read(input: &mut impl Read, max_pixels: u64) -> io::Result<Self> {
        let sample = u64::from_le_bytes(read_array(input)?);
        let (width, height) = (u32::from_le_bytes(read_array(input)?), u32::from_le_bytes(read_array(input)?));
        let [bit_depth, layout, matrix, primaries, transfer, full] = read_array::<6>(input)?;
        if u64::from(width) * u64::from(height) > max_pixels || !(8..=16).contains(&bit_depth) || layout > 3 {
            return Err(invalid("the decoder process gave a picture of impossible size"));
        }
        let bytes = if bit_depth > 8 { 2 } else { 1 };
        let luma = width as usize * height as usize * bytes;
        let columns = if matches!(layout, 1 | 2) { width.div_ceil(2) } else { width };
        let rows = if layout == 1 { height.div_ceil(2) } else { height };
        let chroma = if layout == 0 { 0 } else { columns as usize * rows as usize * bytes };
        let mut planes = [vec![0; luma], vec![0; chroma], vec![0; chroma]];
        planes.iter_mut().try_for_each(|plane| input.read_exact(plane))?;
        let color_codes = [matrix, primaries, transfer];
        Ok(WireFrame { sample, width, height, bit_depth, layout, color_codes, full_range: full != 0, planes })
    }
}

/// An error about bytes that do not follow this format.
pub(super) fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

/// Reads exactly `N` bytes.
pub(super) fn read_array<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Asks the decoder to start afresh on `threads` threads and to refuse frames over `max_pixels`.
pub(crate) fn request_reset(out: &mut impl Write, max_pixels: u64, threads: u32) -> io::Result<()> {
    out.write_all(b"R")?;
    out.write_all(&max_pixels.to_le_bytes())?;
    out.write_all(&threads.to_le_bytes())?;
    out.flush()
}

/// Asks the decoder for the frames that it still holds.
pub(crate) fn request_finish(out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"F")?;
    out.flush()
}

/// Asks the decoder for the frames of one sample.
pub(crate) fn request_decode(out: &mut impl Write, sample: u64, data: &[u8]) -> io::Result<()> {
    let length = u32::try_from(data.len()).map_err(io::Error::other)?;
    out.write_all(b"P")?;
    out.write_all(&sample.to_le_bytes())?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(data)?;
    out.flush()
}

/// Reads answers up to "done": the frames, and the error text of the decoder.
pub(crate) fn read_answers(input: &mut impl Read, max_pixels: u64) -> io::Result<(Vec<WireFrame>, Option<String>)> {
    let (mut frames, mut error) = (Vec::new(), None);
    loop {
        match read_array::<1>(input)? {
            [b'p'] => frames.push(WireFrame::read(input, max_pixels)?),
            [b'e'] => {
                let length = u32::from_le_bytes(read_array(input)?).min(4096);
                let mut text = vec![0; length as usize];
                input.read_exact(&mut text)?;
                error = Some(String::from_utf8_lossy(&text).into_owned());
            }
            [b'd'] => return Ok((frames, error)),
            [other] => return Err(invalid(format!("the decoder process answered {other:#04x}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_travel_unchanged() {
        let frame = WireFrame {
            sample: 7,
            width: 3,
            height: 3,
            bit_depth: 10,
            layout: 1,
            color_codes: [9, 9, 16],
            full_range: true,
            planes: [(0..18).collect(), vec![1; 8], vec![2; 8]],
        };
        let mut bytes = Vec::new();
        frame.write(&mut bytes).unwrap();
        bytes.extend(b"e\x02\0\0\0nod");
        let (frames, error) = read_answers(&mut bytes.as_slice(), 100).unwrap();
        assert_eq!((frames, error), (vec![frame], Some("no".into())));
        assert!(read_answers(&mut bytes.as_slice(), 8).is_err());
    }
}
