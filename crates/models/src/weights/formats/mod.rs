//! The file formats of weights. Each lists its tensors and says where they lie ([`TensorStore`]); a [`RowSource`] reads
//! them some rows at a time.

mod encoding;
mod file_bytes;
mod gguf;
mod mapped_rows;
mod memory;
pub(crate) mod pickle;
mod pytorch;
mod q4_k;
mod row_source;
mod safetensors;
mod shape;
mod store;

pub(crate) use encoding::{Encoding, encode_floats};
pub(crate) use file_bytes::FileBytes;
pub(crate) use gguf::GgufFile;
pub use mapped_rows::MappedRows;
pub(crate) use memory::MemoryTensors;
pub(crate) use pytorch::PytorchFiles;
pub(crate) use row_source::{RowSource, Segment, SegmentValues};
pub(crate) use safetensors::{NAMES_KEY, OUR_NAMES, PackedEntry, SafetensorsFiles, packed_name, unpacked_name};
pub(crate) use shape::matrix_dims;
pub(crate) use store::TensorStore;
