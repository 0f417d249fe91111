//! Which files a model needs, by their names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::name::is_part;

/// How much of a model is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Its small files: configuration, tokenizer, templates.
    Outline,
    /// Its weights, too.
    Whole,
}

/// A way in which models publish their weights.
#[derive(Debug)]
pub(crate) struct WeightFormat {
    /// The one file of a small model.
    pub(crate) single: &'static str,
    /// Names the shards of a large model.
    pub(crate) index: &'static str,
}

/// The formats, the one that is taken first.
pub(crate) const FORMATS: [WeightFormat; 3] = [
    WeightFormat { single: "model.safetensors", index: "model.safetensors.index.json" },
    WeightFormat { single: "pytorch_model.bin", index: "pytorch_model.bin.index.json" },
    // Of an adapter, which is used over the model that it was made from.
    WeightFormat { single: "adapter_model.safetensors", index: "adapter_model.safetensors.index.json" },
];

/// Endings of the small files that are fetched.
#[cfg(feature = "download")]
pub(crate) const SMALL: [&str; 4] = ["json", "jinja", "txt", "model"];

/// The configuration, without which nothing is a model.
pub(crate) const CONFIG: &str = "config.json";
/// The configuration of an adapter.
pub(crate) const ADAPTER: &str = "adapter_config.json";

/// Files that change what a model sees or says, of each row one; not every model has all. A folder from another program
/// that lacks a row is complete only if that program has noted that the hub lacks it, too.
pub(crate) const EXPECTED: [&[&str]; 5] = [
    &["tokenizer.json", "vocab.json", "tokenizer.model"],
    &["preprocessor_config.json", "processor_config.json"],
    &["tokenizer_config.json"],
    &["generation_config.json"],
    &["chat_template.jinja", "chat_template.json"],
];

/// Whether the folder has a file; a link into nowhere is none.
pub(crate) fn has(folder: &Path, name: &str) -> bool {
    folder.join(name).is_file()
}

/// Whether the template is in the tokenizer's configuration, as older models have it.
pub(crate) fn has_inner_template(folder: &Path) -> bool {
    fs::read_to_string(folder.join("tokenizer_config.json")).is_ok_and(|text| text.contains("\"chat_template\""))
}

/// The weight files that loading would miss in a folder, by name; empty when it has all.
pub(crate) fn missing_weights(folder: &Path) -> Vec<String> {
    let mut missing = None;
    for format in &FORMATS {
        if has(folder, format.single) {
            return Vec::new();
        }
        let Ok(index) = fs::read(folder.join(format.index)) else { continue };
        let lacks: Vec<String> = match shards(&index) {
            Some(shards) => shards.into_iter().filter(|shard| !has(folder, shard)).collect(),
            None => vec![format.index.to_string()],
        };
        if lacks.is_empty() {
            return lacks;
        }
        missing.get_or_insert(lacks);
    }
    missing.unwrap_or_else(|| vec!["the weights".to_string()])
}

/// The weight files that an outline announces: of safetensors the shards of its index, or the single file.
#[cfg(feature = "download")]
pub(crate) fn announced_safetensors(folder: &Path) -> Vec<String> {
    let format = &FORMATS[0];
    match fs::read(folder.join(format.index)) {
        Ok(index) => shards(&index).unwrap_or_default().into_iter().collect(),
        Err(_) => vec![format.single.to_string()],
    }
}

/// The files that an index names; `None` when it is damaged.
pub(crate) fn shards(index: &[u8]) -> Option<BTreeSet<String>> {
    let index: Value = serde_json::from_slice(index).ok()?;
    let files = index["weight_map"].as_object()?.values();
    files.map(|file| file.as_str().filter(|file| is_part(file)).map(str::to_string)).collect()
}

/// The format of the weights among some files, and whether they are shards.
#[cfg(feature = "download")]
pub(crate) fn format_of(files: &[&str]) -> Option<(&'static WeightFormat, bool)> {
    FORMATS.iter().find_map(|format| {
        let sharded = match (files.contains(&format.single), files.contains(&format.index)) {
            (true, _) => false,
            (false, true) => true,
            (false, false) => return None,
        };
        Some((format, sharded))
    })
}

/// The small files among some files: none in subfolders, no code, and of indexes that of `format` alone.
#[cfg(feature = "download")]
pub(crate) fn small<'f>(files: &[&'f str], format: Option<(&WeightFormat, bool)>) -> Vec<&'f str> {
    let index = format.filter(|(_, sharded)| *sharded).map(|(format, _)| format.index);
    let is_small = |file: &&&str| {
        let ending = file.rsplit_once('.').is_some_and(|(_, ending)| SMALL.contains(&ending));
        ending && (!file.ends_with(".index.json") || index == Some(**file))
    };
    files.iter().filter(is_small).copied().collect()
}
