//! TensorBoard's event files: records of a length, a payload and masked CRC-32C sums; the payload is an `Event` in
//! protobuf (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::{Message, Oneof};

use crate::error::LabError;

/// An event file, open for further events.
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// A new event file in `folder`, for the steps after `step` finished ones. TensorBoard reads the files of a folder
    /// in the order of their names as one run; the start of a session tells it to forget what earlier files have of
    /// later steps.
    pub(super) fn create(folder: &Path, step: u64) -> Result<Self, LabError> {
        let failed = |error: std::io::Error| LabError::File { file: folder.to_path_buf(), what: error.to_string() };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut newest = 0;
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let seconds = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('.').next()?.parse().ok());
            newest = newest.max(seconds.unwrap_or(0));
        }
        let seconds = (now() as u64).max(newest + 1);
        let path = folder.join(format!("{PREFIX}{seconds:010}.zoetrope"));
        let file = OpenOptions::new().append(true).create_new(true).open(&path).map_err(failed)?;
        let mut events = EventFile { path, file };
        events.write(0, What::FileVersion("brain.Event:2".to_string()))?;
        if step > 0 {
            events.write(step + 1, What::SessionLog(SessionLog { status: SESSION_START }))?;
        }
        Ok(events)
    }

    /// Writes numbers of a step under their tags.
    pub(super) fn scalars(&mut self, step: u64, values: &[(String, f64)]) -> Result<(), LabError> {
        let value = |(tag, value): &(String, f64)| Value {
            tag: tag.clone(),
            metadata: None,
            kind: Some(ValueKind::SimpleValue(*value as f32)),
        };
        let values = values.iter().map(value).collect();
        self.write(step, What::Summary(Summary { values }))
    }

    /// Writes Markdown of a step under a tag.
    pub(super) fn text(&mut self, step: u64, tag: &str, text: &str) -> Result<(), LabError> {
        let metadata = Metadata { plugin: Some(Plugin { name: "text".to_string() }) };
        let tensor = TensorProto { dtype: DT_STRING, strings: vec![text.as_bytes().to_vec()] };
        let value = Value { tag: tag.to_string(), metadata: Some(metadata), kind: Some(ValueKind::Tensor(tensor)) };
        self.write(step, What::Summary(Summary { values: vec![value] }))
    }

    fn write(&mut self, step: u64, what: What) -> Result<(), LabError> {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let event = Event { wall_time: now(), step, what: Some(what) };
        let bytes = record(&event.encode_to_vec());
        let failed = |error: std::io::Error| LabError::File { file: self.path.clone(), what: error.to_string() };
        self.file.write_all(&bytes).map_err(failed)
    }
}

/// What TensorBoard looks for in the name of a file; seconds since 1970 follow.
const PREFIX: &str = "events.out.tfevents.";
/// `SessionLog.START`.
const SESSION_START: i32 = 1;
/// `DataType.DT_STRING`.
const DT_STRING: i32 = 7;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(message, optional, tag = "9")]
    metadata: Option<Metadata>,
    #[prost(oneof = "ValueKind", tags = "2, 8")]
    kind: Option<ValueKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum ValueKind {
    #[prost(float, tag = "2")]
    SimpleValue(f32),
    #[prost(message, tag = "8")]
    Tensor(TensorProto),
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    plugin: Option<Plugin>,
}

#[derive(Clone, PartialEq, Message)]
struct Plugin {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(bytes = "vec", repeated, tag = "8")]
    strings: Vec<Vec<u8>>,
}

/// Length, sum of the length, payload, sum of the payload; all numbers in little-endian order.
fn record(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let mut bytes = Vec::with_capacity(payload.len() + 16);
    bytes.extend(length);
    bytes.extend(masked_crc(&length).to_le_bytes());
    bytes.extend(payload);
    bytes.extend(masked_crc(payload).to_le_bytes());
    bytes
}

/// The sum of a sum in a file would be weak; TFRecord rotates it and adds a constant.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli, reversed polynomial 0x82f63b78), bit by bit: a step has a few hundred bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let next = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 })
    };
    !bytes.iter().fold(!0, next)
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the CRC catalog, and the examples of RFC 3720, B.4.
    #[test]
    fn sums_are_those_of_castagnoli() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    /// The bytes that the `tensorboard` package 2.21 writes for its first event, but for the time.
    #[test]
    fn a_record_is_framed_as_tensorboard_frames_it() {
        let event = Event { wall_time: 0.0, step: 0, what: Some(What::FileVersion("brain.Event:2".into())) };
        let payload = event.encode_to_vec();
        assert_eq!(payload, [b"\x1a\x0d".as_slice(), b"brain.Event:2"].concat());
        let bytes = record(&payload);
        assert_eq!(bytes[..8], 15u64.to_le_bytes());
        assert_eq!(bytes.len(), 8 + 4 + 15 + 4);
    }
}
