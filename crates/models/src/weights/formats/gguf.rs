//! GGUF files: which tensors are there, of which type and shape, and where.
//!
//! Only the header's tensor list is read: candle's reader keeps the whole header in memory (a vocabulary takes up to 32
//! times its bytes), divides by an alignment of zero, and does not name the tensor whose type it refuses. Candle
//! dequantizes the blocks. Deliberately absent: the tokenizer and the hyperparameters of the header.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::DType;
use candle_core::quantized::GgmlDType;
use zoetrope_system::mmap::MappedFile;

use super::encoding::Encoding;
use super::file_bytes::FileBytes;
use super::row_source::{Segment, SegmentValues};
use super::shape::matrix_dims;
use super::store::TensorStore;
use crate::error::{ModelError, ModelResult};

/// Most tensors of a file.
const TENSORS: usize = 1 << 16;
/// Most arrays inside one another.
const DEPTH: usize = 4;
/// Where tensors begin, unless the file says so: at multiples of this.
const ALIGNMENT: usize = 32;

/// A mapped GGUF file.
pub(crate) struct GgufFile {
    path: PathBuf,
    bytes: FileBytes,
    architecture: String,
    /// Where the first tensor begins.
    data: usize,
    tensors: HashMap<String, GgufTensor>,
}

/// A tensor as the header describes it.
struct GgufTensor {
    /// Number of the `ggml_type`.
    ggml_type: u32,
    /// Outermost axis first.
    shape: Vec<usize>,
    /// First byte after the beginning of the data.
    offset: u64,
}

impl GgufFile {
    /// Reads the header of the file at `path`. Nothing is allocated for what the file does not hold.
    pub(crate) fn open(path: &Path) -> Result<GgufFile, ModelError> {
        let wrong = |what: String| ModelError::File { file: path.to_path_buf(), what };
        let map = MappedFile::open(path).map_err(|error| wrong(error.to_string()))?;
        let mut header = Header { bytes: &map, at: 0, parts: 1, alignment: ALIGNMENT, architecture: String::new() };
        if header.take(4).ok() != Some(b"GGUF") {
            return Err(wrong("not a GGUF file".to_string()));
        }
        let version = header.u32().map_err(wrong)?;
        if !(2..=3).contains(&version) {
            let text = format!("{}: GGUF version {version}; 2 and 3 are read", path.display());
            return Err(ModelError::Unsupported(text));
        }
        let number = header.count(24, "tensors").map_err(wrong)?;
        if number > TENSORS {
            return Err(ModelError::Limit { what: "tensors of a GGUF file", number, limit: TENSORS });
        }
        header.values().map_err(wrong)?;
        let tensors = header.tensors(number).map_err(wrong)?;
        if header.parts > 1 {
            let text = format!("{} is one of {} parts; merge them into one file first", path.display(), header.parts);
            return Err(ModelError::Unsupported(text));
        }
        let (data, architecture) = (header.at.next_multiple_of(header.alignment), header.architecture);
        let bytes = FileBytes::Mapped(Arc::new(map));
        Ok(GgufFile { path: path.to_path_buf(), data, architecture, tensors, bytes })
    }

    /// `general.architecture`; empty when the file does not say.
    pub(crate) fn architecture(&self) -> &str {
        &self.architecture
    }

    /// An error of this file.
    pub(crate) fn wrong(&self, what: String) -> ModelError {
        ModelError::File { file: self.path.clone(), what }
    }
}

impl TensorStore for GgufFile {
    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Outermost axis first.
    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| &entry.shape[..])
    }

    fn rows(&self, name: &str, shape: &[usize]) -> ModelResult<Segment> {
        let entry = self.tensors.get(name).ok_or_else(|| self.missing(name))?;
        if entry.shape != shape {
            let text = format!("tensor {name} has shape {:?}, the model's configuration says {shape:?}", entry.shape);
            return Err(self.wrong(text));
        }
        let encoding = encoding(entry.ggml_type).ok_or_else(|| {
            let text = format!("tensor {name} of {} has type {}; {READ}", self.path.display(), entry.ggml_type);
            ModelError::Unsupported(text)
        })?;
        let (rows, cols) = matrix_dims(&entry.shape);
        if cols == 0 || !cols.is_multiple_of(encoding.block_len()) {
            let text = format!("tensor {name} has rows of {cols} values, not whole blocks of {}", encoding.block_len());
            return Err(self.wrong(text));
        }
        let start = usize::try_from(entry.offset).ok().and_then(|offset| self.data.checked_add(offset));
        let len = rows.checked_mul(encoding.bytes(cols));
        let end = start.zip(len).and_then(|(start, len)| start.checked_add(len)).filter(|end| *end <= self.bytes.len());
        let (Some(start), Some(end)) = (start, end) else {
            let text = format!("tensor {name} of {rows} x {cols} values at byte {} of the data", entry.offset);
            let size = self.bytes.len();
            return Err(self.wrong(format!("cut off: {text} is not all there, the file has {size} bytes")));
        };
        if !start.is_multiple_of(8) {
            return Err(self.wrong(format!("tensor {name} begins at byte {start}, not at a multiple of 8")));
        }
        Ok(Segment { rows, values: SegmentValues::File { file: self.bytes.clone(), bytes: start..end, encoding } })
    }

    fn missing(&self, name: &str) -> ModelError {
        self.wrong(format!("tensor {name} is missing"))
    }

    fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

const READ: &str = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K are read";

/// The encoding of a `ggml_type`; `None` for those that are not read.
fn encoding(ggml_type: u32) -> Option<Encoding> {
    Some(match ggml_type {
        0 => Encoding::Float(DType::F32),
        1 => Encoding::Float(DType::F16),
        30 => Encoding::Float(DType::BF16),
        2 => Encoding::Blocks(GgmlDType::Q4_0),
        3 => Encoding::Blocks(GgmlDType::Q4_1),
        6 => Encoding::Blocks(GgmlDType::Q5_0),
        7 => Encoding::Blocks(GgmlDType::Q5_1),
        8 => Encoding::Blocks(GgmlDType::Q8_0),
        10 => Encoding::Blocks(GgmlDType::Q2K),
        11 => Encoding::Blocks(GgmlDType::Q3K),
        12 => Encoding::Blocks(GgmlDType::Q4K),
        13 => Encoding::Blocks(GgmlDType::Q5K),
        14 => Encoding::Blocks(GgmlDType::Q6K),
        _ => return None,
    })
}

/// A place in the header, and what it said so far. Errors are texts that name the byte.
struct Header<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Files that the model is split over.
    parts: u64,
    alignment: usize,
    architecture: String,
}

impl<'a> Header<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let (at, whole) = (self.at, self.bytes.len());
        let end = at.checked_add(len).filter(|end| *end <= whole);
        let end = end.ok_or_else(|| format!("cut off: {len} bytes from byte {at}, the file has {whole}"))?;
        self.at = end;
        Ok(&self.bytes[at..end])
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.number().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.number().map(u64::from_le_bytes)
    }

    /// A length or number of things of at least `size` bytes each, which are still to come.
    fn count(&mut self, size: usize, what: &str) -> Result<usize, String> {
        let (at, count) = (self.at, self.u64()?);
        let left = self.bytes.len() - self.at;
        let fits = usize::try_from(count).ok().filter(|count| count.checked_mul(size).is_some_and(|n| n <= left));
        fits.ok_or_else(|| format!("{count} {what} at byte {at}, with {left} bytes left in the file"))
    }

    fn text(&mut self) -> Result<&'a [u8], String> {
        let len = self.count(1, "letters")?;
        self.take(len)
    }

    /// The list of tensors, which is `number` long.
    fn tensors(&mut self, number: usize) -> Result<HashMap<String, GgufTensor>, String> {
        let mut all = HashMap::new();
        for at in 0..number {
            let (name, entry) = self.tensor().map_err(|what| format!("tensor {at} of {number} in the list: {what}"))?;
            if all.insert(name.clone(), entry).is_some() {
                return Err(format!("tensor {name} is there twice"));
            }
        }
        Ok(all)
    }

    /// One tensor of the list.
    fn tensor(&mut self) -> Result<(String, GgufTensor), String> {
        let name = String::from_utf8_lossy(self.text()?).into_owned();
        let axes = self.u32()?;
        if axes > 4 {
            return Err(format!("{name} has {axes} axes, at most 4"));
        }
        let mut shape = Vec::new();
        for _ in 0..axes {
            let size = self.u64()?;
            shape.push(usize::try_from(size).map_err(|_| format!("{name} has an axis of {size}"))?);
        }
        // The file names the innermost axis first.
        shape.reverse();
        Ok((name, GgufTensor { shape, ggml_type: self.u32()?, offset: self.u64()? }))
    }

    /// All values before the list of tensors.
    fn values(&mut self) -> Result<(), String> {
        for _ in 0..self.count(12, "values")? {
            self.value()?;
        }
        Ok(())
    }

    /// One value with its key; only what is needed here is kept.
    fn value(&mut self) -> Result<(), String> {
        let key = self.text()?;
        let kind = self.u32()?;
        let start = self.at;
        self.skip(kind, DEPTH)?;
        let value = &self.bytes[start..self.at];
        match key {
            b"general.architecture" if kind == 8 => self.architecture = String::from_utf8_lossy(&value[8..]).into(),
            b"general.alignment" if kind == 4 => {
                let alignment = whole(value) as usize;
                if !alignment.is_power_of_two() || alignment > 1 << 20 {
                    return Err(format!("an alignment of {alignment}"));
                }
                self.alignment = alignment;
            }
            b"split.count" => self.parts = whole(value),
            _ => {}
        }
        Ok(())
    }

    /// Goes past a value of the type `kind`.
    fn skip(&mut self, kind: u32, depth: usize) -> Result<(), String> {
        if let Some(size) = size(kind) {
            return self.take(size).map(|_| ());
        }
        match kind {
            8 => self.text().map(|_| ()),
            9 if depth == 0 => Err(format!("arrays inside one another at byte {}, more than {DEPTH}", self.at)),
            9 => {
                let inner = self.u32()?;
                let least = size(inner).unwrap_or(8);
                let count = self.count(least, "values in an array")?;
                match size(inner) {
                    Some(size) => self.take(count * size).map(|_| ()),
                    None => (0..count).try_for_each(|_| self.skip(inner, depth - 1)),
                }
            }
            _ => Err(format!("a value of type {kind} at byte {}", self.at)),
        }
    }
}

/// Bytes of a value of the type `kind`; `None` for text, arrays and what is unknown.
fn size(kind: u32) -> Option<usize> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// Little-endian bytes, at most the first eight, as a number.
fn whole(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::super::row_source::RowSource;
    use super::*;

    fn golden(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/gguf").join(name)
    }

    fn values(segment: Segment, cols: usize) -> Vec<f32> {
        let rows = RowSource { cols, segments: vec![segment] };
        let mut all = vec![f32::NAN; rows.rows() * cols];
        for (row, out) in all.chunks_exact_mut(cols).enumerate() {
            rows.read(row..row + 1, out).unwrap();
        }
        let mut whole = vec![f32::NAN; all.len()];
        rows.read(0..rows.rows(), &mut whole).unwrap();
        assert!(all.iter().zip(&whole).all(|(a, b)| a.to_bits() == b.to_bits()));
        all
    }

    #[test]
    fn every_type_means_what_the_reference_says() {
        let gguf = GgufFile::open(&golden("types.gguf")).unwrap();
        assert_eq!(gguf.architecture(), "qwen2");
        let want = candle_core::safetensors::load(golden("types.safetensors"), &Device::Cpu).unwrap();
        assert_eq!((want.len(), gguf.names().len()), (13, 14));
        for (name, want) in want {
            let segment = gguf.rows(&name, want.dims()).unwrap();
            let want: Vec<f32> = want.flatten_all().and_then(|all: Tensor| all.to_vec1()).unwrap();
            assert_eq!(values(segment, want.len() / 2), want, "{name}");
        }
        let text = gguf.rows("IQ4_NL", &[1, 32]).err().unwrap().to_string();
        assert!(text.contains("not supported: tensor IQ4_NL of ") && text.contains("has type 20"), "{text}");
    }

    /// A header: strings, numbers and so on, one after the other.
    #[derive(Default)]
    struct Bytes(Vec<u8>);

    impl Bytes {
        fn new(version: u32, tensors: u64, values: u64) -> Bytes {
            Bytes(b"GGUF".to_vec()).u32(version).u64(tensors).u64(values)
        }

        fn u32(mut self, value: u32) -> Bytes {
            self.0.extend(value.to_le_bytes());
            self
        }

        fn u64(mut self, value: u64) -> Bytes {
            self.0.extend(value.to_le_bytes());
            self
        }

        fn text(self, text: &str) -> Bytes {
            let mut all = self.u64(text.len() as u64);
            all.0.extend(text.as_bytes());
            all
        }

        /// A tensor of the list: innermost axis first.
        fn tensor(self, name: &str, shape: &[u64], ggml_type: u32, offset: u64) -> Bytes {
            let all = shape.iter().fold(self.text(name).u32(shape.len() as u32), |all, axis| all.u64(*axis));
            all.u32(ggml_type).u64(offset)
        }

        fn open(&self) -> Result<GgufFile, ModelError> {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model.gguf");
            std::fs::write(&path, &self.0).unwrap();
            GgufFile::open(&path)
        }

        fn refused(&self, words: &[&str]) {
            says(self.open().err().unwrap(), words);
        }
    }

    fn says(error: ModelError, words: &[&str]) {
        let text = error.to_string();
        for word in words.iter().chain(&["model.gguf"]) {
            assert!(text.contains(word), "{word:?} is not in {text:?}");
        }
    }

    #[test]
    fn headers_that_are_wrong_or_lie_are_refused_before_memory_is_taken() {
        let (huge, old) = (u64::MAX / 2, Bytes::new(1, 0, 0));
        Bytes(b"GGML".to_vec()).refused(&["not a GGUF file"]);
        Bytes(b"GG".to_vec()).refused(&["not a GGUF file"]);
        old.refused(&["not supported", "version 1"]);
        Bytes::new(3, huge, 0).refused(&["9223372036854775807 tensors at byte 8", "8 bytes left"]);
        Bytes::new(3, 0, huge).refused(&["9223372036854775807 values at byte 16", "0 bytes left"]);
        let one = || Bytes::new(3, 0, 1);
        one().u64(huge).u32(8).u64(0).refused(&["9223372036854775807 letters at byte 24"]);
        one().text("key").u32(8).u64(1 << 40).refused(&["1099511627776 letters at byte 39"]);
        one().text("key").u32(9).u32(4).u64(1 << 62).refused(&["4611686018427387904 values in an array at byte 43"]);
        one().text("key").u32(9).u32(8).u64(99).refused(&["99 values in an array"]);
        one().text("key").u32(99).u64(0).refused(&["type 99"]);
        let deep = (0..9).fold(one().text("key").u32(9), |all, _| all.u32(9).u64(1));
        deep.refused(&["arrays inside one another"]);
        for alignment in [0, 3, 1 << 30] {
            let text = format!("an alignment of {alignment}");
            one().text("general.alignment").u32(4).u32(alignment).refused(&[&text]);
        }
        one().text("split.count").u32(4).u32(2).refused(&["one of 2 parts"]);
        let list = || Bytes::new(3, 1, 0);
        list().tensor("blk", &[1; 5], 0, 0).refused(&["blk has 5 axes"]);
        Bytes::new(3, 2, 0).tensor("blk", &[4], 0, 0).tensor("blk", &[4], 0, 0).refused(&["blk is there twice"]);
        let many = Bytes(Bytes::new(3, 70_000, 0).0.into_iter().chain(vec![0; 24 * 70_000]).collect());
        let error = many.open().err().unwrap();
        assert!(matches!(error, ModelError::Limit { number: 70_000, limit: 65_536, .. }), "{error}");
    }

    #[test]
    fn tensors_that_do_not_fit_the_model_or_the_file_are_refused() {
        let of = |shape: &[u64], kind: u32, offset: u64| {
            Bytes::new(3, 1, 0).tensor("blk", shape, kind, offset).open().unwrap()
        };
        let refused = |gguf: GgufFile, shape: &[usize], words: &[&str]| {
            says(gguf.rows("blk", shape).err().unwrap(), words);
        };
        says(of(&[4], 0, 0).rows("other", &[4]).err().unwrap(), &["tensor other is missing"]);
        refused(of(&[8, 4], 0, 0), &[4, 7], &["tensor blk has shape [4, 8]", "says [4, 7]"]);
        refused(of(&[8, 4], 0, 0), &[32], &["tensor blk has shape [4, 8]", "says [32]"]);
        refused(of(&[8, 4], 0, 0), &[4, 8], &["cut off: tensor blk of 4 x 8 values", "the file has 67 bytes"]);
        refused(of(&[8, 4], 0, u64::MAX), &[4, 8], &["cut off: tensor blk", "at byte 18446744073709551615"]);
        refused(of(&[32, 1 << 62], 0, 0), &[1 << 62, 32], &["cut off: tensor blk"]);
        refused(of(&[8, 4], 12, 0), &[4, 8], &["tensor blk has rows of 8 values", "blocks of 256"]);
        refused(of(&[0, 4], 0, 0), &[4, 0], &["rows of 0 values"]);
        refused(of(&[8, 4], 9, 0), &[4, 8], &["tensor blk", "has type 9; F32"]);
    }

    /// Whatever single byte is changed and wherever the file is cut: an error or a part that can be read.
    #[test]
    fn no_damage_of_a_file_panics() {
        let whole = std::fs::read(golden("types.gguf")).unwrap();
        let shapes = candle_core::safetensors::load(golden("types.safetensors"), &Device::Cpu).unwrap();
        let check = |bytes: Vec<u8>| {
            let Ok(gguf) = Bytes(bytes).open() else { return };
            for (name, like) in &shapes {
                if let Ok(segment) = gguf.rows(name, like.dims()) {
                    values(segment, like.dims()[1]);
                }
            }
        };
        for at in 0..1400 {
            for change in [1, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                check(bytes);
            }
        }
        (0..whole.len()).step_by(7).for_each(|len| check(whole[..len].to_vec()));
    }
}
