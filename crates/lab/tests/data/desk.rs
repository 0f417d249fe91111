//! A folder with small media, and rows that are read as data files.
#![expect(clippy::expect_used, reason = "a helper of tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use zoetrope_lab::data::{self, BadSample, DataOptions, Dataset};
use zoetrope_lab::sample::Sample;
use zoetrope_models::contract::media_plan::MediaKind;
use zoetrope_models::contract::prompt::MessagePart;

/// A folder with the pictures `red.png`, `green.png`, `blue.png` of 8x6 and `wide.png` of 16x6, and the clip `clip.gif`
/// of four frames, half a second each.
pub(crate) struct Desk(TempDir);

impl Desk {
    pub(crate) fn new() -> Desk {
        let desk = Desk(tempfile::tempdir().expect("a folder"));
        for (name, color) in [("red", [255, 0, 0]), ("green", [0, 255, 0]), ("blue", [0, 0, 255])] {
            desk.write(&format!("{name}.png"), &png((8, 6), color));
        }
        desk.write("wide.png", &png((16, 6), [9, 9, 9]));
        desk.write("clip.gif", &gif(4));
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// The only row of a data file that has it.
    pub(crate) fn sample(&self, row: &str) -> Result<Sample, BadSample> {
        self.sample_with(row, &DataOptions::default())
    }

    pub(crate) fn sample_with(&self, row: &str, options: &DataOptions) -> Result<Sample, BadSample> {
        let value: Value = serde_json::from_str(row).expect("JSON");
        let dataset = open(&self.write("one.jsonl", value.to_string().as_bytes()), options);
        assert_eq!(dataset.len(), 1, "{row}");
        dataset.sample(0)
    }

    /// The row in words, or the reason why it is none.
    pub(crate) fn words(&self, row: &str) -> String {
        match self.sample(row) {
            Ok(sample) => words(&sample),
            Err(bad) => format!("bad: {}", bad.reason.replace(&self.0.path().display().to_string(), "DESK")),
        }
    }
}

pub(crate) fn open(file: &Path, options: &DataOptions) -> Arc<dyn Dataset> {
    data::open(file, options).expect("a data file")
}

/// "user: {image 8x6}What is it? | assistant: Red."
pub(crate) fn words(sample: &Sample) -> String {
    let mut messages = Vec::new();
    for message in &sample.messages {
        let mut text = format!("{}: ", message.role.name());
        for part in &message.parts {
            match part {
                MessagePart::Text(own) => text.push_str(own),
                MessagePart::Media(number) => text.push_str(&media(sample, *number)),
            }
        }
        messages.push(text);
    }
    messages.join(" | ")
}

/// "{video 8x6 at 0 0.5 until 1}": sizes, times of the frames and the end.
fn media(sample: &Sample, number: usize) -> String {
    let metadata = sample.media[number].source.metadata();
    let (width, height) = metadata.size();
    let timeline = &metadata.timeline;
    let times: Vec<String> = (0..timeline.len()).map(|index| timeline.start_of(index).to_string()).collect();
    match metadata.kind {
        MediaKind::Image => format!("{{image {width}x{height}}}"),
        MediaKind::Video => format!("{{video {width}x{height} at {} until {}}}", times.join(" "), timeline.end()),
    }
}

pub(crate) fn png(size: (u32, u32), color: [u8; 3]) -> Vec<u8> {
    let picture = image::RgbImage::from_pixel(size.0, size.1, image::Rgb(color));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).expect("a picture");
    bytes.into_inner()
}

/// An animation whose frame `n` is of the gray `40 n`.
fn gif(frames: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for number in 0..frames {
        let picture = image::RgbaImage::from_pixel(8, 6, image::Rgba([40 * number, 40 * number, 40 * number, 255]));
        let delay = image::Delay::from_numer_denom_ms(500, 1);
        encoder.encode_frame(image::Frame::from_parts(picture, 0, 0, delay)).expect("a frame");
    }
    drop(encoder);
    bytes
}

/// A tar archive of `files`.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        push_tar(&mut out, name, b'0', bytes);
    }
    out.extend([0; 1024]);
    out
}

/// One file of a tar archive; names of more than 100 bytes as GNU's tar writes them.
pub(crate) fn push_tar(out: &mut Vec<u8>, name: &str, kind: u8, bytes: &[u8]) {
    if name.len() > 100 {
        push_tar(out, "././@LongLink", b'L', format!("{name}\0").as_bytes());
    }
    let mut header = [0_u8; 512];
    let short = &name.as_bytes()[..name.len().min(100)];
    header[..short.len()].copy_from_slice(short);
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    out.extend(header);
    out.extend(bytes);
    out.resize(out.len().div_ceil(512) * 512, 0);
}
