//! The AV1 decoder in a process of its own, because it can end the process on damaged input.
//!
//! The program is started again as `PROGRAM decode-child` and talks over its standard input and output; its `main` must
//! then call [`serve`] and nothing else:
//!
//! ```no_run
//! if std::env::args().nth(1).as_deref() == Some(zoetrope_media::child::ARGUMENT) {
//!     zoetrope_media::child::serve(std::io::stdin().lock(), std::io::stdout().lock()).ok();
//!     return;
//! }
//! ```
//!
//! Which program: `OpenOptions::child_program`, else the running one. A library user whose program has no such entry
//! sets it (the workspace's `zoetrope-decode-child` is one). On Unix the child's memory is bounded with `ulimit -v`,
//! and a child that does not answer in time is killed; either gives an error for the group at hand, never more.
//!
//! Messages are one request (`R` reset, `P` one sample) and then answers (`p` picture, `e` error text) up to `d`
//! (done), numbers little-endian. Before the first request the child says [`HELLO`].

use std::io::{self, Read, Write};

/// The argument that turns the program into a decoder.
pub const ARGUMENT: &str = "decode-child";

/// What a child says first.
pub const HELLO: &[u8; 8] = b"ztchild1";

/// A picture as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) sample: u64,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) depth: u8,
    pub(crate) layout: u8,
    pub(crate) codes: [u8; 3],
    pub(crate) full_range: bool,
    pub(crate) planes: [Vec<u8>; 3],
}

impl Plain {
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"p")?;
        out.write_all(&self.sample.to_le_bytes())?;
        out.write_all(&self.width.to_le_bytes())?;
        out.write_all(&self.height.to_le_bytes())?;
        let [matrix, primaries, transfer] = self.codes;
        out.write_all(&[self.depth, self.layout, matrix, primaries, transfer, u8::from(self.full_range)])?;
        self.planes.iter().try_for_each(|plane| out.write_all(plane))
    }

    /// Reads what `write` wrote, after the `p`. The size is checked against `pixels` before anything is allocated.
    fn read(input: &mut impl Read, pixels: u64) -> io::Result<Self> {
        let sample = u64::from_le_bytes(take(input)?);
        let (width, height) = (u32::from_le_bytes(take(input)?), u32::from_le_bytes(take(input)?));
        let [depth, layout, matrix, primaries, transfer, full] = take::<6>(input)?;
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_string());
        if u64::from(width) * u64::from(height) > pixels || !(8..=16).contains(&depth) || layout > 3 {
            return Err(bad("the decoder process gave a picture of impossible size"));
        }
        let bytes = if depth > 8 { 2 } else { 1 };
        let luma = width as usize * height as usize * bytes;
        let columns = if matches!(layout, 1 | 2) { width.div_ceil(2) } else { width };
        let rows = if layout == 1 { height.div_ceil(2) } else { height };
        let chroma = if layout == 0 { 0 } else { columns as usize * rows as usize * bytes };
        let mut planes = [vec![0; luma], vec![0; chroma], vec![0; chroma]];
        planes.iter_mut().try_for_each(|plane| input.read_exact(plane))?;
        let codes = [matrix, primaries, transfer];
        Ok(Plain { sample, width, height, depth, layout, codes, full_range: full != 0, planes })
    }
}

fn take<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Asks the decoder to start afresh and to refuse frames over `pixels`.
pub(crate) fn ask_reset(out: &mut impl Write, pixels: u64) -> io::Result<()> {
    out.write_all(b"R")?;
    out.write_all(&pixels.to_le_bytes())?;
    out.flush()
}

/// Asks the decoder for the pictures of one sample.
pub(crate) fn ask_push(out: &mut impl Write, sample: u64, data: &[u8]) -> io::Result<()> {
    let length = u32::try_from(data.len()).map_err(io::Error::other)?;
    out.write_all(b"P")?;
    out.write_all(&sample.to_le_bytes())?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(data)?;
    out.flush()
}

/// Reads answers up to "done": the pictures, and what the decoder complained about.
pub(crate) fn answers(input: &mut impl Read, pixels: u64) -> io::Result<(Vec<Plain>, Option<String>)> {
    let (mut pictures, mut complaint) = (Vec::new(), None);
    loop {
        match take::<1>(input)? {
            [b'p'] => pictures.push(Plain::read(input, pixels)?),
            [b'e'] => {
                let length = u32::from_le_bytes(take(input)?).min(4096);
                let mut text = vec![0; length as usize];
                input.read_exact(&mut text)?;
                complaint = Some(String::from_utf8_lossy(&text).into_owned());
            }
            [b'd'] => return Ok((pictures, complaint)),
            [other] => {
                let text = format!("the decoder process answered {other:#04x}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
    }
}

/// Answers requests until `input` ends. Call it from the program's `main` when its first argument is [`ARGUMENT`].
///
/// # Errors
/// When the other side goes away in the middle of a message, or asks for something unknown.
pub fn serve(input: impl Read, output: impl Write) -> io::Result<()> {
    let (mut input, mut output) = (io::BufReader::new(input), io::BufWriter::new(output));
    output.write_all(HELLO)?;
    output.flush()?;
    let mut decoder = worker::Worker::default();
    loop {
        let mut kind = [0];
        if input.read(&mut kind)? == 0 {
            return Ok(());
        }
        let result = match &kind {
            b"R" => decoder.reset(u64::from_le_bytes(take(&mut input)?)),
            b"P" => {
                let sample = u64::from_le_bytes(take(&mut input)?);
                let length = u32::from_le_bytes(take(&mut input)?);
                let mut data = Vec::new();
                // Grows with what arrives, not with what is announced.
                input.by_ref().take(u64::from(length)).read_to_end(&mut data)?;
                let mut written = Ok(());
                let result = decoder.push(sample, &data, |picture| {
                    if written.is_ok() {
                        written = picture.write(&mut output);
                    }
                });
                written?;
                result
            }
            [other] => {
                let text = format!("request {other:#04x} is unknown");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        };
        if let Err(text) = result {
            output.write_all(b"e")?;
            output.write_all(&(text.len() as u32).to_le_bytes())?;
            output.write_all(text.as_bytes())?;
        }
        output.write_all(b"d")?;
        output.flush()?;
    }
}

#[cfg(feature = "av1")]
mod worker {
    use zoetrope_kernels::av1::{Av1Decoder, Av1Picture};

    use super::Plain;

    /// The decoder behind the requests.
    #[derive(Default)]
    pub(super) struct Worker(Option<Av1Decoder>);

    impl Worker {
        pub(super) fn reset(&mut self, pixels: u64) -> Result<(), String> {
            let pixels = u32::try_from(pixels).unwrap_or(u32::MAX);
            self.0 = Some(Av1Decoder::new(pixels).map_err(|e| e.to_string())?);
            Ok(())
        }

        pub(super) fn push(&mut self, sample: u64, data: &[u8], mut take: impl FnMut(Plain)) -> Result<(), String> {
            let decoder = self.0.as_mut().ok_or("no reset before the first sample")?;
            decoder.push(data, sample as i64, |picture| take(plain(picture))).map_err(|e| e.to_string())
        }
    }

    fn plain(picture: Av1Picture) -> Plain {
        let Av1Picture { tag, width, height, depth, layout, codes, full_range, planes } = picture;
        Plain { sample: tag as u64, width, height, depth, layout, codes, full_range, planes }
    }
}

#[cfg(not(feature = "av1"))]
mod worker {
    use super::Plain;

    /// Without the `av1` feature every request is refused.
    #[derive(Default)]
    pub(super) struct Worker;

    impl Worker {
        pub(super) fn reset(&mut self, _pixels: u64) -> Result<(), String> {
            Err("this program was built without the av1 feature".into())
        }

        pub(super) fn push(&mut self, _: u64, _: &[u8], _: impl FnMut(Plain)) -> Result<(), String> {
            Err("this program was built without the av1 feature".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_travel_unchanged() {
        let picture = Plain {
            sample: 7,
            width: 3,
            height: 3,
            depth: 10,
            layout: 1,
            codes: [9, 9, 16],
            full_range: true,
            planes: [(0..18).collect(), vec![1; 8], vec![2; 8]],
        };
        let mut bytes = Vec::new();
        picture.write(&mut bytes).unwrap();
        bytes.extend(b"e\x02\0\0\0nod");
        let (pictures, complaint) = answers(&mut bytes.as_slice(), 100).unwrap();
        assert_eq!((pictures, complaint), (vec![picture], Some("no".into())));
        assert!(answers(&mut bytes.as_slice(), 8).is_err());
    }

    #[test]
    fn the_child_greets_and_answers() {
        let mut requests = Vec::new();
        ask_push(&mut requests, 1, &[1, 2, 3]).unwrap();
        let mut out = Vec::new();
        serve(requests.as_slice(), &mut out).unwrap();
        assert!(out.starts_with(HELLO));
        let (pictures, complaint) = answers(&mut &out[HELLO.len()..], 100).unwrap();
        assert!(pictures.is_empty() && complaint.is_some());
        assert!(serve(&b"Z"[..], io::sink()).is_err());
    }
}
