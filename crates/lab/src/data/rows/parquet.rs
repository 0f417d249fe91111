//! Parquet files: columns are the fields of rows. A row is read with the pages that it stands in, and no others.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::types::{UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::DataType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;
use serde_json::{Map, Value};

use super::store::{Row, RowStore};
use crate::data::fault::{FaultKind, RowResult};

/// Most bytes of a row group, uncompressed: a damaged file may say anything.
const MAX_GROUP_BYTES: i64 = 8 << 30;

/// Rows of a Parquet file.
pub(super) struct ParquetRows {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    /// Number of rows up to and with each row group.
    ends: Vec<u64>,
}

impl ParquetRows {
    /// Reads what stands at the end of the file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // Without an index of pages, a row's pages are found one after the other.
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&File::open(path)?, options).map_err(|error| invalid(&error))?;
        let (mut ends, mut end) = (Vec::new(), 0_u64);
        for (number, group) in metadata.metadata().row_groups().iter().enumerate() {
            let (rows, bytes) = (group.num_rows(), group.total_byte_size());
            if rows < 0 || !(0..=MAX_GROUP_BYTES).contains(&bytes) {
                let text = format!("Parquet: row group {number} has {rows} rows of {bytes} bytes");
                return Err(io::Error::new(ErrorKind::InvalidData, text));
            }
            end += rows as u64;
            ends.push(end);
        }
        Ok(ParquetRows { path: path.to_path_buf(), metadata, ends })
    }

    fn read(&self, group: usize, row: u64) -> Result<Option<StructArray>, ParquetError> {
        // Every reader has a position of its own.
        let file = File::open(&self.path)?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            .with_row_groups(vec![group])
            .with_offset(row as usize)
            .with_limit(1)
            .with_batch_size(1)
            .build()?
            .next();
        Ok(reader.transpose()?.map(StructArray::from))
    }
}

fn invalid(error: &ParquetError) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error.to_string())
}

impl RowStore for ParquetRows {
    fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn row(&self, index: u64) -> RowResult<Row> {
        let group = self.ends.partition_point(|end| *end <= index);
        let before = group.checked_sub(1).map_or(0, |before| self.ends[before]);
        let unreadable = |what: String| FaultKind::Unreadable.of(what);
        let read = self.read(group, index - before).map_err(|error| unreadable(error.to_string()))?;
        let columns = read.ok_or_else(|| unreadable(format!("row group {group} ends before row {index}")))?;
        Ok(Row { fields: object(&columns, 0)?, members: Vec::new() })
    }
}

/// The fields of element `at`. Columns of types that no row needs, such as dates, are left out.
fn object(columns: &StructArray, at: usize) -> RowResult<Map<String, Value>> {
    let mut fields = Map::new();
    for (field, column) in columns.fields().iter().zip(columns.columns()) {
        fields.extend(value(column, at)?.map(|value| (field.name().clone(), value)));
    }
    Ok(fields)
}

/// Element `at` of a column. Bytes are a `data:` URL, as rows of JSON have them.
fn value(column: &ArrayRef, at: usize) -> RowResult<Option<Value>> {
    if column.is_null(at) {
        return Ok(Some(Value::Null));
    }
    let bytes = |bytes: &[u8]| Value::String(format!("data:;base64,{}", STANDARD.encode(bytes)));
    Ok(Some(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(at).into(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(at).into(),
        DataType::Utf8View => column.as_string_view().value(at).into(),
        DataType::Binary => bytes(column.as_binary::<i32>().value(at)),
        DataType::LargeBinary => bytes(column.as_binary::<i64>().value(at)),
        DataType::BinaryView => bytes(column.as_binary_view().value(at)),
        DataType::Boolean => column.as_boolean().value(at).into(),
        DataType::Int8 => column.as_primitive::<Int8Type>().value(at).into(),
        DataType::Int16 => column.as_primitive::<Int16Type>().value(at).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(at).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(at).into(),
        DataType::UInt8 => column.as_primitive::<UInt8Type>().value(at).into(),
        DataType::UInt16 => column.as_primitive::<UInt16Type>().value(at).into(),
        DataType::UInt32 => column.as_primitive::<UInt32Type>().value(at).into(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(at).into(),
        DataType::Float32 => column.as_primitive::<Float32Type>().value(at).into(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(at).into(),
        DataType::Struct(_) => object(column.as_struct(), at)?.into(),
        DataType::List(_) => list(&column.as_list::<i32>().value(at))?.into(),
        DataType::LargeList(_) => list(&column.as_list::<i64>().value(at))?.into(),
        DataType::FixedSizeList(..) => list(&column.as_fixed_size_list().value(at))?.into(),
        DataType::Dictionary(..) => return dictionary(column, at),
        _ => return Ok(None),
    }))
}

fn list(items: &ArrayRef) -> RowResult<Vec<Value>> {
    (0..items.len()).map(|at| Ok(value(items, at)?.unwrap_or_default())).collect()
}

/// An element of a column that has each of its values once.
fn dictionary(column: &ArrayRef, at: usize) -> RowResult<Option<Value>> {
    let dictionary = column.as_any_dictionary();
    let key = dictionary.normalized_keys().get(at).copied();
    match key.filter(|key| *key < dictionary.values().len()) {
        Some(key) => value(dictionary.values(), key),
        None => Err(FaultKind::Unreadable.of("an element of a dictionary that there is not")),
    }
}
