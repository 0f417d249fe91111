//! Parquet files, written here as data sets of the Hugging Face hub are: pictures as bytes beside a path.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder, StructBuilder};
use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field, Fields};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use zoetrope_lab::data::{self, DataOptions};

use crate::desk::{Desk, open, png, words};

/// Seven rows in three row groups; picture `n` is `n + 1` pixels wide, the fourth row has none.
fn file() -> Vec<u8> {
    let pictures: Vec<Option<Vec<u8>>> = (0..7).map(|n| (n != 3).then(|| png((n + 1, 4), [9, 9, 9]))).collect();
    let bytes = BinaryArray::from_iter(pictures.iter().map(|picture| picture.as_deref()));
    let paths = StringArray::from_iter((0..7).map(|n| Some(format!("{n}.png"))));
    let image = StructArray::from(vec![
        (Arc::new(Field::new("bytes", DataType::Binary, true)), Arc::new(bytes.clone()) as ArrayRef),
        (Arc::new(Field::new("path", DataType::Utf8, true)), Arc::new(paths) as ArrayRef),
    ]);
    let valid = arrow_array::BooleanArray::from_iter((0..7).map(|n| Some(n != 3)));
    let (fields, columns, _) = image.into_parts();
    let image = StructArray::new(fields, columns, Some(valid.values().clone().into()));
    let fields: Fields = ["from", "value"].map(|name| Field::new(name, DataType::Utf8, true)).to_vec().into();
    let mut turns = ListBuilder::new(StructBuilder::from_fields(fields, 0));
    for n in 0..7 {
        for (from, value) in [("human", format!("Question {n}?")), ("gpt", format!("Answer {n}."))] {
            let turn = turns.values();
            turn.field_builder::<StringBuilder>(0).expect("from").append_value(from);
            turn.field_builder::<StringBuilder>(1).expect("value").append_value(value);
            turn.append(true);
        }
        turns.append(true);
    }
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from_iter_values(0..7)) as ArrayRef),
        ("image", Arc::new(image) as ArrayRef),
        ("conversations", Arc::new(turns.finish()) as ArrayRef),
    ]);
    let batch = batch.expect("a batch");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(3)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a file");
    bytes
}

#[test]
fn rows_are_read_in_any_order() {
    let desk = Desk::new();
    let data = open(&desk.write("rows", &file()), &DataOptions::default());
    assert_eq!(data.len(), 7);
    for n in [5, 0, 6, 3, 2, 2, 4, 1] {
        let picture = if n == 3 { String::new() } else { format!("{{image {}x4}}", n + 1) };
        let sample = data.sample(n).map_err(|bad| bad.to_string()).expect("a sample");
        assert_eq!(words(&sample), format!("user: {picture}Question {n}? | assistant: Answer {n}."));
    }
}

#[test]
fn damaged_files_are_errors_and_damaged_pages_bad_rows() {
    let desk = Desk::new();
    let whole = file();
    for cut in [10, whole.len() / 2, whole.len() - 1] {
        let path = desk.write("cut.parquet", &whole[..cut]);
        let error = data::open(&path, &DataOptions::default()).err().expect("no data").to_string();
        assert!(error.contains("cut.parquet: "), "{error}");
    }
    let mut damaged = whole.clone();
    damaged[4..400].fill(0xee);
    let data = open(&desk.write("damaged.parquet", &damaged), &DataOptions::default());
    let bad = data.sample(0).expect_err("no sample");
    assert_eq!((bad.kind(), bad.row), ("row unreadable", 1), "{bad}");
}
