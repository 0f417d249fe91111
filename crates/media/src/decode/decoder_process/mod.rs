//! The AV1 decoder in a process of its own, because it can abort the process on damaged input.
//!
//! The program is started again as `PROGRAM decode-child` and talks over its standard input and output. Its `main` must
//! then call [`run`] and nothing else:
//!
//! ```no_run
//! if std::env::args().nth(1).as_deref() == Some(zoetrope_media::decoder_process::ARGUMENT) {
//!     zoetrope_media::decoder_process::run(std::io::stdin().lock(), std::io::stdout().lock()).ok();
//!     return;
//! }
//! ```
//!
//! The program is `OpenOptions::child_program`, or the running one when that is `None`. A library user whose program
//! has no such entry sets it; the workspace's `zoetrope-decode-child` is one. On Unix the memory of the process is
//! limited with `ulimit -v`. A process that does not answer in time is killed. Either gives an error for the frames
//! being decoded and ends nothing else.

pub(crate) mod av1_worker;
pub(crate) mod limited_command;
pub(crate) mod running;
pub(crate) mod wire;

use std::io::{self, Read, Write};

use av1_worker::Av1Worker;
pub use running::end_all;
use wire::{HELLO, WireFrame, invalid, read_array};

/// The command-line argument that turns the program into a decoder.
pub const ARGUMENT: &str = "decode-child";

/// Answers requests until `input` ends. Call it from the program's `main` when its first argument is [`ARGUMENT`].
///
/// # Errors
/// When the parent goes away in the middle of a message, or asks for something unknown.
pub fn run(input: impl Read, output: impl Write) -> io::Result<()> {
    let (mut input, mut output) = (io::BufReader::new(input), io::BufWriter::new(output));
    output.write_all(HELLO)?;
    output.flush()?;
    let mut decoder = Av1Worker::default();
    loop {
        let mut request = [0];
        if input.read(&mut request)? == 0 {
            return Ok(());
        }
        let result = match &request {
            b"R" => {
                let max_pixels = u64::from_le_bytes(read_array(&mut input)?);
                decoder.reset(max_pixels, u32::from_le_bytes(read_array(&mut input)?))
            }
            b"P" => {
                let sample = u64::from_le_bytes(read_array(&mut input)?);
                let length = u32::from_le_bytes(read_array(&mut input)?);
                let mut data = Vec::new();
                // Grows with what arrives, not with what is announced.
                input.by_ref().take(u64::from(length)).read_to_end(&mut data)?;
                emit(&mut output, |emit| decoder.push(sample, &data, emit))?
            }
            b"F" => emit(&mut output, |emit| decoder.finish(emit))?,
            [other] => return Err(invalid(format!("request {other:#04x} is unknown"))),
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

/// Writes the frames that `decode` gives; what it says in the end is the inner result.
fn emit(
    output: &mut impl Write,
    decode: impl FnOnce(&mut dyn FnMut(WireFrame)) -> Result<(), String>,
) -> io::Result<Result<(), String>> {
    let mut written = Ok(());
    let result = decode(&mut |frame| {
        if written.is_ok() {
            written = frame.write(output);
        }
    });
    written.map(|()| result)
}

#[cfg(test)]
mod tests {
    use super::wire::{read_answers, request_decode};
    use super::*;

    #[test]
    fn the_process_greets_and_answers() {
        let mut requests = Vec::new();
        request_decode(&mut requests, 1, &[1, 2, 3]).unwrap();
        let mut out = Vec::new();
        run(requests.as_slice(), &mut out).unwrap();
        assert!(out.starts_with(HELLO));
        let (frames, error) = read_answers(&mut &out[HELLO.len()..], 100).unwrap();
        assert!(frames.is_empty() && error.is_some());
        assert!(run(&b"Z"[..], io::sink()).is_err());
    }
}
